-- Failed attempts to sign in, counted by all nodes together. Counters are keyed hashes.
CREATE TABLE ledger_attempts (
    counter    BLOB    NOT NULL PRIMARY KEY,
    failures   INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    unlocks    INTEGER NOT NULL,  -- of the account, when counting started
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_attempts_by_end ON ledger_attempts (expires_at);

-- When a secret was recorded: hashes of sessions are deleted once no session can last so long.
ALTER TABLE ledger_secrets ADD COLUMN recorded_at INTEGER NOT NULL DEFAULT 0;

UPDATE ledger_secrets SET recorded_at = unixepoch() * 1000000;

CREATE INDEX ledger_secrets_of_sessions_by_age ON ledger_secrets (recorded_at) WHERE kind = 'session';

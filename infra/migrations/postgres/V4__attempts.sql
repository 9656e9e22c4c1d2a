-- Failed attempts to sign in, counted by all nodes together. Counters are keyed hashes.
CREATE TABLE ledger.attempts (
    counter    uuid        PRIMARY KEY,
    failures   bigint      NOT NULL,
    since      timestamptz NOT NULL,
    last       timestamptz NOT NULL,
    unlocks    bigint      NOT NULL,  -- of the account, when counting started
    expires_at timestamptz NOT NULL
);

CREATE INDEX attempts_by_end ON ledger.attempts (expires_at);

-- When a secret was recorded: hashes of sessions are deleted once no session can last so long.
ALTER TABLE ledger.secrets ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT clock_timestamp();

CREATE INDEX secrets_of_sessions_by_age ON ledger.secrets (recorded_at) WHERE kind = 'session';

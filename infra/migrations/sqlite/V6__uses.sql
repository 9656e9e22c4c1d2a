-- When a session or a key was last used: to the minute.
CREATE TABLE ledger_uses (
    organization BLOB    NOT NULL,
    owner        BLOB    NOT NULL,  -- the session or the key
    kind         TEXT    NOT NULL,  -- session, api_key
    used_at      INTEGER NOT NULL,
    home         BLOB    NOT NULL,  -- by whom: where their account is
    person       BLOB    NOT NULL,  -- and whose it is
    trace        BLOB,              -- from which address: sealed under their key
    PRIMARY KEY (organization, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_uses_by_time ON ledger_uses (kind, used_at);

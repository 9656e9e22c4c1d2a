-- By what somebody proves who they are: hashes, never the secrets themselves.
CREATE TABLE ledger_secrets (
    organization BLOB NOT NULL,
    owner        BLOB NOT NULL,  -- the session
    kind         TEXT NOT NULL,  -- session
    hash         BLOB NOT NULL,
    PRIMARY KEY (organization, owner, kind)
) STRICT, WITHOUT ROWID;

-- When a session or a key was last used: to the minute.
CREATE TABLE ledger.uses (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    owner        uuid        NOT NULL,              -- the session or the key
    kind         text        COLLATE "C" NOT NULL,  -- session, api_key
    used_at      timestamptz NOT NULL,
    home         uuid        NOT NULL,              -- by whom: where their account is
    person       uuid        NOT NULL,              -- and whose it is
    trace        bytea,                             -- from which address: sealed under their key
    PRIMARY KEY (partition, organization, owner)
);

CREATE INDEX uses_by_time ON ledger.uses (kind, used_at);

-- By what somebody proves who they are: hashes, never the secrets themselves.
CREATE TABLE ledger.secrets (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    owner        uuid    NOT NULL,                    -- the session
    kind         text    COLLATE "C" NOT NULL,        -- session
    hash         bytea   NOT NULL,
    PRIMARY KEY (partition, organization, owner, kind)
);

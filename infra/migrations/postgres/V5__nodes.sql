-- The nodes that serve, one row for each run.
CREATE TABLE ledger.nodes (
    name         text        NOT NULL,
    run          uuid        NOT NULL,
    version      text        NOT NULL,  -- of the program
    started_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (name, run)
);

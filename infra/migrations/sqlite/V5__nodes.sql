-- The nodes that serve, one row for each run.
CREATE TABLE ledger_nodes (
    name         TEXT    NOT NULL,
    run          BLOB    NOT NULL,
    version      TEXT    NOT NULL,  -- of the program
    started_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (name, run)
) STRICT, WITHOUT ROWID;

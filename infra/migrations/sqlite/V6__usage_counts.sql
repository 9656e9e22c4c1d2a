-- How many requests with API keys each run of a node has counted.
CREATE TABLE ledger_usage_counts (
    organization BLOB    NOT NULL,
    day          TEXT    NOT NULL,            -- the local one of the organization: 2026-11-27
    run          BLOB    NOT NULL,
    key          BLOB    NOT NULL,
    count        INTEGER NOT NULL,
    recorded     INTEGER NOT NULL DEFAULT 0,  -- how many of them are recorded by events
    taken        INTEGER NOT NULL DEFAULT 0,  -- how many are about to be
    taken_for    TEXT,                        -- by the event of this day
    is_open      INTEGER NOT NULL,            -- whether count exceeds recorded
    PRIMARY KEY (organization, day, run, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_usage_counts_open ON ledger_usage_counts (day, organization) WHERE is_open;

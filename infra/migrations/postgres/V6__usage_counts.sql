-- How many requests with API keys each run of a node has counted.
CREATE TABLE ledger.usage_counts (
    organization uuid    NOT NULL,
    day          text    NOT NULL,            -- the local one of the organization: 2026-11-27
    run          uuid    NOT NULL,
    key          uuid    NOT NULL,
    count        bigint  NOT NULL,
    recorded     bigint  NOT NULL DEFAULT 0,  -- how many of them are recorded by events
    taken        bigint  NOT NULL DEFAULT 0,  -- how many are about to be
    taken_for    text,                        -- by the event of this day
    is_open      boolean NOT NULL,            -- whether count exceeds recorded
    PRIMARY KEY (organization, day, run, key)
);

-- Not on counts, so that a new count changes no index.
CREATE INDEX usage_counts_open ON ledger.usage_counts (day, organization) WHERE is_open;

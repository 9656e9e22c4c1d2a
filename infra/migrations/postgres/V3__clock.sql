-- The clock of the log, in one row. Created real; may become simulated as long as there are no events.
CREATE TABLE ledger.clock (
    id                  boolean PRIMARY KEY DEFAULT true CHECK (id),
    is_simulated        boolean NOT NULL,
    offset_microseconds bigint  NOT NULL,  -- the simulated time minus the database's
    CHECK (offset_microseconds = 0 OR is_simulated AND offset_microseconds > 0)
);

INSERT INTO ledger.clock (is_simulated, offset_microseconds) VALUES (false, 0);

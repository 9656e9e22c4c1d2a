-- The clock of the log, in one row. Created real; may become simulated as long as there are no events.
CREATE TABLE ledger_clock (
    id                  INTEGER PRIMARY KEY CHECK (id = 1),
    is_simulated        INTEGER NOT NULL,
    offset_microseconds INTEGER NOT NULL,  -- the simulated time minus the database's
    CHECK (offset_microseconds = 0 OR is_simulated AND offset_microseconds > 0)
) STRICT;

INSERT INTO ledger_clock (id, is_simulated, offset_microseconds) VALUES (1, 0, 0);

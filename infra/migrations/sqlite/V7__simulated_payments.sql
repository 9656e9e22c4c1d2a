-- The books of the payment simulator.
CREATE TABLE ledger_simulated_payments (
    id        BLOB    NOT NULL PRIMARY KEY,
    refund_of BLOB,                          -- the payment that a refund pays back
    amount    INTEGER NOT NULL,
    currency  TEXT    NOT NULL,
    token     TEXT    NOT NULL,
    state     TEXT    NOT NULL,
    requests  INTEGER NOT NULL DEFAULT 1     -- how often it was asked for
) STRICT, WITHOUT ROWID;

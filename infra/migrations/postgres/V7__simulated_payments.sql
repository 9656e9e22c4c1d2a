-- The books of the payment simulator.
CREATE TABLE ledger.simulated_payments (
    id        uuid   NOT NULL PRIMARY KEY,
    refund_of uuid,                          -- the payment that a refund pays back
    amount    bigint NOT NULL,
    currency  text   NOT NULL,
    token     text   NOT NULL,
    state     text   NOT NULL,
    requests  bigint NOT NULL DEFAULT 1      -- how often it was asked for
);

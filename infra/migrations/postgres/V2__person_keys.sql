-- What personal values are sealed by. A destroyed key leaves its row: nothing is ever sealed for that person again.
CREATE TABLE ledger.person_keys (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    person       uuid    NOT NULL,
    sealing      text    COLLATE "C" NOT NULL,  -- identity, trace
    wrapped      bytea,                         -- by a master key; NULL once it is destroyed
    PRIMARY KEY (partition, organization, person, sealing)
);

-- Keys of the service itself: for guards, links, cursors. Wrapped by a master key too.
CREATE TABLE ledger.purpose_keys (
    purpose text  COLLATE "C" PRIMARY KEY,
    wrapped bytea NOT NULL
);

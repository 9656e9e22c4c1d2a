-- What personal values are sealed by. A destroyed key leaves its row: nothing is ever sealed for that person again.
CREATE TABLE ledger_person_keys (
    organization BLOB NOT NULL,
    person       BLOB NOT NULL,
    sealing      TEXT NOT NULL,  -- identity, trace
    wrapped      BLOB,           -- by a master key; NULL once it is destroyed
    PRIMARY KEY (organization, person, sealing)
) STRICT, WITHOUT ROWID;

-- Keys of the service itself: for guards, links, cursors. Wrapped by a master key too.
CREATE TABLE ledger_purpose_keys (
    purpose TEXT NOT NULL PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

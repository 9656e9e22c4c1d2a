-- The events. A stream is a linked list: each event refers to the previous one, `ends` to the last. No index with
-- random keys grows with the log, so that a batch touches few pages (docs/adr/0003).
CREATE TABLE events (
    offset       INTEGER PRIMARY KEY,
    stream       INTEGER NOT NULL,  -- the offset of the stream's first event
    previous     INTEGER NOT NULL,  -- the offset of the stream's previous event, 0 if there is none
    version      INTEGER NOT NULL,
    recorded_at  INTEGER NOT NULL,  -- microseconds since 1970
    event_id     BLOB NOT NULL,
    organization BLOB NOT NULL,
    stream_name  TEXT NOT NULL,
    type         TEXT NOT NULL,
    leaf_hash    BLOB NOT NULL,
    data         BLOB NOT NULL,
    meta         BLOB NOT NULL
) STRICT;

CREATE TABLE streams (
    organization BLOB NOT NULL,
    name         TEXT NOT NULL,
    first        INTEGER NOT NULL,  -- the offset of its first event, which identifies the stream
    PRIMARY KEY (organization, name)
) STRICT, WITHOUT ROWID;

-- The last event of each stream: only what every append changes, so that many rows fit on a page.
CREATE TABLE ends (
    stream  INTEGER PRIMARY KEY,
    last    INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

-- Every 64th event of a stream, so that its middle is found without following the whole chain.
CREATE TABLE marks (
    stream  INTEGER NOT NULL,
    version INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE registry (
    organization BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE claims (
    organization BLOB NOT NULL,
    kind         TEXT NOT NULL,
    hash         BLOB NOT NULL,
    owner        TEXT NOT NULL,
    PRIMARY KEY (organization, kind, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    organization BLOB NOT NULL,
    name         TEXT NOT NULL,
    value        INTEGER NOT NULL,
    PRIMARY KEY (organization, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE incarnations (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL
) STRICT;

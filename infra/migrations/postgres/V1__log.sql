-- An append locks its partition's row until commit. The rows are never updated: updating one at every append would
-- accumulate dead row versions while a snapshot is open.
CREATE TABLE log.heads (
    partition integer PRIMARY KEY
);

-- The events, insert-only. A stream is identified by the offset of its first event.
CREATE TABLE log.events (
    partition    integer     NOT NULL,
    "offset"     bigint      NOT NULL,
    stream       bigint      NOT NULL,
    version      bigint      NOT NULL,
    recorded_at  timestamptz NOT NULL,
    event_id     uuid        NOT NULL,
    organization uuid        NOT NULL,
    stream_name  text        COLLATE "C" NOT NULL,
    type         text        COLLATE "C" NOT NULL,
    leaf_hash    bytea       NOT NULL,
    data         bytea       NOT NULL,
    meta         bytea       NOT NULL,
    PRIMARY KEY (partition, "offset")
);

CREATE UNIQUE INDEX events_by_stream ON log.events (partition, stream, version);

CREATE TABLE log.streams (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    name         text    COLLATE "C" NOT NULL,
    first        bigint  NOT NULL,
    PRIMARY KEY (partition, organization, name)
);

-- The partition of each organization, assigned when it is created.
CREATE TABLE log.registry (
    organization uuid    PRIMARY KEY,
    partition    integer NOT NULL
);

CREATE TABLE log.claims (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    kind         text    COLLATE "C" NOT NULL,
    hash         bytea   NOT NULL,
    owner        text    COLLATE "C" NOT NULL,
    PRIMARY KEY (partition, organization, kind, hash)
);

CREATE TABLE log.counters (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    name         text    COLLATE "C" NOT NULL,
    value        bigint  NOT NULL,
    PRIMARY KEY (partition, organization, name)
);

CREATE TABLE log.incarnations (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id     uuid NOT NULL
);

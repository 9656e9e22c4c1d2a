-- How far each reactor has made tasks of events, by partition.
CREATE TABLE ledger.cursors (
    partition   integer NOT NULL,
    reactor     text    COLLATE "C" NOT NULL,
    incarnation uuid    NOT NULL,
    "offset"    bigint  NOT NULL,
    event_id    uuid    NOT NULL,  -- nil at the start
    PRIMARY KEY (partition, reactor)
);

-- What is left to be carried out; a task that is done is deleted. Nothing personal and no secrets.
CREATE TABLE ledger.tasks (
    partition    integer     NOT NULL,
    id           uuid        NOT NULL,
    rank         bigint      GENERATED ALWAYS AS IDENTITY,  -- in the order of their events, within a partition
    reactor      text        COLLATE "C" NOT NULL,
    organization uuid        NOT NULL,
    kind         text        COLLATE "C" NOT NULL,
    subject      uuid        NOT NULL,
    number       bigint      NOT NULL,
    target       uuid        NOT NULL,
    due_at       timestamptz NOT NULL,  -- while it is carried out: until when the worker may
    attempts     integer     NOT NULL,
    epoch        bigint      NOT NULL,
    last_error   text,
    is_dead      boolean     NOT NULL,
    PRIMARY KEY (partition, id)
);

CREATE INDEX tasks_by_id ON ledger.tasks (id);
CREATE INDEX tasks_by_time ON ledger.tasks (reactor, due_at, rank) WHERE NOT is_dead;
CREATE INDEX tasks_by_target ON ledger.tasks (partition, reactor, target, rank) WHERE NOT is_dead;
CREATE INDEX dead_tasks ON ledger.tasks (id) WHERE is_dead;

-- Results of requests with an idempotency key: a repetition is answered from here.
CREATE TABLE ledger.idempotency_keys (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    scope        text        COLLATE "C" NOT NULL,
    key          text        COLLATE "C" NOT NULL,
    request_hash bytea       NOT NULL,
    "offset"     bigint      NOT NULL,
    recorded_at  timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (partition, organization, scope, key)
);

CREATE INDEX idempotency_keys_by_end ON ledger.idempotency_keys (expires_at);

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

-- By what somebody proves who they are: hashes, never the secrets themselves.
CREATE TABLE ledger.secrets (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    owner        uuid    NOT NULL,                    -- the session
    kind         text    COLLATE "C" NOT NULL,        -- session
    hash         bytea   NOT NULL,
    PRIMARY KEY (partition, organization, owner, kind)
);

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
    is_dead_lettered      boolean     NOT NULL,
    PRIMARY KEY (partition, id)
);

CREATE INDEX tasks_by_id ON ledger.tasks (id);
CREATE INDEX tasks_by_time ON ledger.tasks (reactor, due_at, rank) WHERE NOT is_dead_lettered;
CREATE INDEX tasks_by_target ON ledger.tasks (partition, reactor, target, rank) WHERE NOT is_dead_lettered;
CREATE INDEX dead_lettered_tasks ON ledger.tasks (id) WHERE is_dead_lettered;

-- Long work that somebody ordered. Nothing personal.
CREATE TABLE ledger.jobs (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    id           uuid        NOT NULL,
    kind         text        COLLATE "C" NOT NULL,
    actor        text        NOT NULL,  -- JSON, ids only
    is_dry_run   boolean     NOT NULL,
    request_hash bytea       NOT NULL,  -- a keyed hash of the order
    state        text        COLLATE "C" NOT NULL,  -- waiting, running, done, failed
    done         bigint      NOT NULL,
    total        bigint      NOT NULL,
    counts       text        NOT NULL,  -- JSON: how many parts ended how
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    finished_at  timestamptz,
    due_at       timestamptz NOT NULL,  -- while it runs: until when the node may
    attempts     integer     NOT NULL,
    epoch        bigint      NOT NULL,
    failure      text,
    PRIMARY KEY (partition, organization, id)
);

CREATE INDEX jobs_by_id ON ledger.jobs (id);
CREATE INDEX jobs_by_organization ON ledger.jobs (partition, organization, created_at, id);
CREATE INDEX open_jobs ON ledger.jobs (partition, organization, created_at, id) WHERE state IN ('waiting', 'running');
CREATE UNIQUE INDEX running_jobs ON ledger.jobs (partition, organization) WHERE state = 'running';
CREATE INDEX finished_jobs ON ledger.jobs (finished_at) WHERE finished_at IS NOT NULL;

-- What a job is done with, until it is finished, and what came of it: sealed.
CREATE TABLE ledger.job_payloads (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    job          uuid    NOT NULL,
    what         text    COLLATE "C" NOT NULL,  -- input, report
    bytes        bytea   NOT NULL,
    PRIMARY KEY (partition, organization, job, what)
);

-- When a session or a key was last used: to the minute.
CREATE TABLE ledger.credential_activity (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    owner        uuid        NOT NULL,              -- the session or the key
    kind         text        COLLATE "C" NOT NULL,  -- session, api_key
    used_at      timestamptz NOT NULL,
    home         uuid        NOT NULL,              -- by whom: where their account is
    person       uuid        NOT NULL,              -- and whose it is
    trace        bytea,                             -- from which address: sealed under their key
    PRIMARY KEY (partition, organization, owner)
);

CREATE INDEX credential_activity_by_time ON ledger.credential_activity (kind, used_at);

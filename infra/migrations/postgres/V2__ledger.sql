-- Results of requests with an idempotency key, returned for repeated requests.
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

-- Keys that seal personal values. A destroyed key keeps its row: nothing is ever sealed for that person again.
CREATE TABLE ledger.person_keys (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    person       uuid    NOT NULL,
    sealing      text    COLLATE "C" NOT NULL,  -- identity, trace
    wrapped      bytea,                         -- by a master key; NULL if destroyed
    PRIMARY KEY (partition, organization, person, sealing)
);

-- The service's own keys: for constraints, links, cursors. Also wrapped by a master key.
CREATE TABLE ledger.purpose_keys (
    purpose text  COLLATE "C" PRIMARY KEY,
    wrapped bytea NOT NULL
);

-- Hashes of credentials, never the secrets themselves.
CREATE TABLE ledger.secrets (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    owner        uuid    NOT NULL,                    -- the session, user or API key
    kind         text    COLLATE "C" NOT NULL,        -- session, password, api_key
    hash         bytea   NOT NULL,
    PRIMARY KEY (partition, organization, owner, kind)
);

-- The position up to which each reactor has scheduled tasks, by partition.
CREATE TABLE ledger.cursors (
    partition   integer NOT NULL,
    reactor     text    COLLATE "C" NOT NULL,
    incarnation uuid    NOT NULL,
    "offset"    bigint  NOT NULL,
    event_id    uuid    NOT NULL,  -- nil at the start
    PRIMARY KEY (partition, reactor)
);

-- Pending tasks; a task is deleted once it is done. No personal data and no secrets.
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
    state        text        COLLATE "C" NOT NULL,  -- scheduled (due later), due, running, dead_lettered
    due_at       timestamptz NOT NULL,
    leased_until timestamptz,                       -- while it runs, like the next two
    holder       text        COLLATE "C",           -- the node's name
    holder_run   uuid,                              -- the run of the node
    attempts     integer     NOT NULL,
    epoch        bigint      NOT NULL,              -- fencing token: discards outcomes of lost leases
    last_error   text,
    PRIMARY KEY (partition, id)
);

CREATE INDEX tasks_by_id ON ledger.tasks (id);
CREATE INDEX tasks_by_target ON ledger.tasks (partition, organization, target);
-- The oldest due task of each target is the first of its entries here: claiming skips from target to target.
CREATE INDEX due_tasks ON ledger.tasks (reactor, partition, target, rank) WHERE state = 'due';
CREATE INDEX scheduled_tasks ON ledger.tasks (reactor, due_at) WHERE state = 'scheduled';
-- At most one task of a target runs at a time.
CREATE UNIQUE INDEX running_tasks ON ledger.tasks (reactor, partition, target) WHERE state = 'running';
CREATE INDEX dead_lettered_tasks ON ledger.tasks (id) WHERE state = 'dead_lettered';

-- Jobs: long-running work that was requested. No personal data.
CREATE TABLE ledger.jobs (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    id           uuid        NOT NULL,
    kind         text        COLLATE "C" NOT NULL,
    actor        text        NOT NULL,  -- JSON, ids only
    is_dry_run   boolean     NOT NULL,
    request_hash bytea       NOT NULL,  -- a keyed hash of the request
    state        text        COLLATE "C" NOT NULL,  -- waiting, running, done, failed
    done         bigint      NOT NULL,
    total        bigint      NOT NULL,
    counts       text        NOT NULL,  -- JSON: number of parts by outcome
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    finished_at  timestamptz,
    due_at       timestamptz NOT NULL,
    leased_until timestamptz,           -- while it runs, like the next two
    holder       text        COLLATE "C",  -- the node's name
    holder_run   uuid,                  -- the run of the node
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

-- The input of a job, until it is finished, and its report, both sealed.
CREATE TABLE ledger.job_payloads (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    job          uuid    NOT NULL,
    what         text    COLLATE "C" NOT NULL,  -- input, report
    bytes        bytea   NOT NULL,
    PRIMARY KEY (partition, organization, job, what)
);

-- When a session or an API key was last used, to the minute.
CREATE TABLE ledger.credential_activity (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    owner        uuid        NOT NULL,              -- the session or the API key
    kind         text        COLLATE "C" NOT NULL,  -- session, api_key
    used_at      timestamptz NOT NULL,
    home         uuid        NOT NULL,              -- the organization of the user's account
    person       uuid        NOT NULL,              -- the user
    trace        bytea,                             -- the client address, sealed under the user's key
    PRIMARY KEY (partition, organization, owner)
);

CREATE INDEX credential_activity_by_time ON ledger.credential_activity (kind, used_at);

-- Leases of work that one node at a time does, by name: the timers of a partition, a lane, housekeeping.
CREATE TABLE ledger.leases (
    name         text        COLLATE "C" PRIMARY KEY,
    node         text        NOT NULL,
    run          uuid        NOT NULL,
    leased_until timestamptz NOT NULL
);

-- Timers whose last attempt failed. What is due is a read model.
CREATE TABLE ledger.timer_failures (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    subject      uuid        NOT NULL,
    kind         text        COLLATE "C" NOT NULL,
    due_at       timestamptz NOT NULL,
    attempts     integer     NOT NULL,
    retry_at     timestamptz NOT NULL,
    error        text        NOT NULL,  -- without personal data
    PRIMARY KEY (partition, organization, subject)
);

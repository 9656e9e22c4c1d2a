-- Long work that somebody ordered. Nothing personal.
CREATE TABLE ledger.jobs (
    partition    integer     NOT NULL,
    organization uuid        NOT NULL,
    id           uuid        NOT NULL,
    kind         text        COLLATE "C" NOT NULL,
    actor        text        NOT NULL,  -- JSON, ids only
    is_dry_run   boolean     NOT NULL,
    fingerprint  bytea       NOT NULL,  -- a keyed hash of the order
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
CREATE TABLE ledger.job_papers (
    partition    integer NOT NULL,
    organization uuid    NOT NULL,
    job          uuid    NOT NULL,
    what         text    COLLATE "C" NOT NULL,  -- input, report
    bytes        bytea   NOT NULL,
    PRIMARY KEY (partition, organization, job, what)
);

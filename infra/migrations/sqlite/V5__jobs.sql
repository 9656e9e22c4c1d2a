-- Long work that somebody ordered. Nothing personal.
CREATE TABLE ledger_jobs (
    id           BLOB    NOT NULL PRIMARY KEY,
    organization BLOB    NOT NULL,
    kind         TEXT    NOT NULL,
    actor        TEXT    NOT NULL,  -- JSON, ids only
    is_dry_run   INTEGER NOT NULL,
    fingerprint  BLOB    NOT NULL,  -- a keyed hash of the order
    state        TEXT    NOT NULL,  -- waiting, running, done, failed
    done         INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    counts       TEXT    NOT NULL,  -- JSON: how many parts ended how
    created_at   INTEGER NOT NULL,  -- microseconds since 1970, as all times
    started_at   INTEGER,
    finished_at  INTEGER,
    due_at       INTEGER NOT NULL,  -- while it runs: until when the node may
    attempts     INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    failure      TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_jobs_by_organization ON ledger_jobs (organization, created_at, id);
CREATE INDEX ledger_open_jobs ON ledger_jobs (organization, created_at, id) WHERE state IN ('waiting', 'running');
CREATE UNIQUE INDEX ledger_running_jobs ON ledger_jobs (organization) WHERE state = 'running';
CREATE INDEX ledger_finished_jobs ON ledger_jobs (finished_at) WHERE finished_at IS NOT NULL;

-- What a job is done with, until it is finished, and what came of it: sealed.
CREATE TABLE ledger_job_papers (
    job   BLOB NOT NULL,
    what  TEXT NOT NULL,  -- input, report
    bytes BLOB NOT NULL,
    PRIMARY KEY (job, what)
) STRICT;

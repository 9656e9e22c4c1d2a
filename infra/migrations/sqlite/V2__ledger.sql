-- Results of requests with an idempotency key, returned for repeated requests.
CREATE TABLE ledger_idempotency_keys (
    organization BLOB NOT NULL,
    scope        TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    offset       INTEGER NOT NULL,
    recorded_at  INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (organization, scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_idempotency_keys_by_end ON ledger_idempotency_keys (expires_at);

-- Keys that seal personal values. A destroyed key keeps its row: nothing is ever sealed for that person again.
CREATE TABLE ledger_person_keys (
    organization BLOB NOT NULL,
    person       BLOB NOT NULL,
    sealing      TEXT NOT NULL,  -- identity, trace
    wrapped      BLOB,           -- by a master key; NULL if destroyed
    PRIMARY KEY (organization, person, sealing)
) STRICT, WITHOUT ROWID;

-- The service's own keys: for constraints, links, cursors. Also wrapped by a master key.
CREATE TABLE ledger_purpose_keys (
    purpose TEXT NOT NULL PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Hashes of credentials, never the secrets themselves.
CREATE TABLE ledger_secrets (
    organization BLOB NOT NULL,
    owner        BLOB NOT NULL,  -- the session, user or API key
    kind         TEXT NOT NULL,  -- session, password, api_key
    hash         BLOB NOT NULL,
    PRIMARY KEY (organization, owner, kind)
) STRICT, WITHOUT ROWID;

-- The position up to which each reactor has scheduled tasks.
CREATE TABLE ledger_cursors (
    reactor     TEXT NOT NULL PRIMARY KEY,
    incarnation BLOB NOT NULL,
    offset      INTEGER NOT NULL,
    event_id    BLOB NOT NULL  -- nil at the start
) STRICT, WITHOUT ROWID;

-- Pending tasks; a task is deleted once it is done. No personal data and no secrets.
CREATE TABLE ledger_tasks (
    rank         INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their events
    id           BLOB NOT NULL UNIQUE,
    reactor      TEXT NOT NULL,
    organization BLOB NOT NULL,
    kind         TEXT NOT NULL,
    subject      BLOB NOT NULL,
    number       INTEGER NOT NULL,
    target       BLOB NOT NULL,
    state        TEXT NOT NULL,     -- scheduled (due later), due, running, dead_lettered
    due_at       INTEGER NOT NULL,  -- microseconds since 1970, like all times
    leased_until INTEGER,           -- while it runs, like the next two
    holder       TEXT,              -- the node's name
    holder_run   BLOB,              -- the run of the node
    attempts     INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,  -- fencing token: discards outcomes of lost leases
    last_error   TEXT
) STRICT;

-- The oldest due task of each target is the first of its entries here: claiming skips from target to target.
CREATE INDEX ledger_tasks_by_target ON ledger_tasks (organization, target);
CREATE INDEX ledger_due_tasks ON ledger_tasks (reactor, target, rank) WHERE state = 'due';
CREATE INDEX ledger_scheduled_tasks ON ledger_tasks (reactor, due_at) WHERE state = 'scheduled';
-- At most one task of a target runs at a time.
CREATE UNIQUE INDEX ledger_running_tasks ON ledger_tasks (reactor, target) WHERE state = 'running';
CREATE INDEX ledger_dead_lettered_tasks ON ledger_tasks (id) WHERE state = 'dead_lettered';

-- Jobs: long-running work that was requested. No personal data.
CREATE TABLE ledger_jobs (
    id           BLOB    NOT NULL PRIMARY KEY,
    organization BLOB    NOT NULL,
    kind         TEXT    NOT NULL,
    actor        TEXT    NOT NULL,  -- JSON, ids only
    is_dry_run   INTEGER NOT NULL,
    request_hash BLOB    NOT NULL,  -- a keyed hash of the request
    state        TEXT    NOT NULL,  -- waiting, running, done, failed
    done         INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    counts       TEXT    NOT NULL,  -- JSON: number of parts by outcome
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    due_at       INTEGER NOT NULL,
    leased_until INTEGER,           -- while it runs, like the next two
    holder       TEXT,              -- the node's name
    holder_run   BLOB,              -- the run of the node
    attempts     INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    failure      TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_jobs_by_organization ON ledger_jobs (organization, created_at, id);
CREATE INDEX ledger_open_jobs ON ledger_jobs (organization, created_at, id) WHERE state IN ('waiting', 'running');
CREATE UNIQUE INDEX ledger_running_jobs ON ledger_jobs (organization) WHERE state = 'running';
CREATE INDEX ledger_finished_jobs ON ledger_jobs (finished_at) WHERE finished_at IS NOT NULL;

-- The input of a job, until it is finished, and its report, both sealed.
CREATE TABLE ledger_job_payloads (
    job   BLOB NOT NULL,
    what  TEXT NOT NULL,  -- input, report
    bytes BLOB NOT NULL,
    PRIMARY KEY (job, what)
) STRICT;

-- When a session or an API key was last used, to the minute.
CREATE TABLE ledger_credential_activity (
    organization BLOB    NOT NULL,
    owner        BLOB    NOT NULL,  -- the session or the API key
    kind         TEXT    NOT NULL,  -- session, api_key
    used_at      INTEGER NOT NULL,
    home         BLOB    NOT NULL,  -- the organization of the user's account
    person       BLOB    NOT NULL,  -- the user
    trace        BLOB,              -- the client address, sealed under the user's key
    PRIMARY KEY (organization, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_credential_activity_by_time ON ledger_credential_activity (kind, used_at);

-- Leases of work that one process at a time does, by name: timers, a lane, housekeeping.
CREATE TABLE ledger_leases (
    name         TEXT NOT NULL PRIMARY KEY,
    node         TEXT NOT NULL,
    run          BLOB NOT NULL,
    leased_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Timers whose last attempt failed. What is due is a read model.
CREATE TABLE ledger_timer_failures (
    organization BLOB    NOT NULL,
    subject      BLOB    NOT NULL,
    kind         TEXT    NOT NULL,
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    retry_at     INTEGER NOT NULL,
    error        TEXT    NOT NULL,  -- without personal data
    PRIMARY KEY (organization, subject)
) STRICT, WITHOUT ROWID;

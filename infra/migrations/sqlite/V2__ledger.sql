-- Results of requests with an idempotency key: a repetition is answered from here.
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

-- By what somebody proves who they are: hashes, never the secrets themselves.
CREATE TABLE ledger_secrets (
    organization BLOB NOT NULL,
    owner        BLOB NOT NULL,  -- the session
    kind         TEXT NOT NULL,  -- session
    hash         BLOB NOT NULL,
    PRIMARY KEY (organization, owner, kind)
) STRICT, WITHOUT ROWID;

-- How far each reactor has made tasks of events.
CREATE TABLE ledger_cursors (
    reactor     TEXT NOT NULL PRIMARY KEY,
    incarnation BLOB NOT NULL,
    offset      INTEGER NOT NULL,
    event_id    BLOB NOT NULL  -- nil at the start
) STRICT, WITHOUT ROWID;

-- What is left to be carried out; a task that is done is deleted. Nothing personal and no secrets.
CREATE TABLE ledger_tasks (
    rank         INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their events
    id           BLOB NOT NULL UNIQUE,
    reactor      TEXT NOT NULL,
    organization BLOB NOT NULL,
    kind         TEXT NOT NULL,
    subject      BLOB NOT NULL,
    number       INTEGER NOT NULL,
    target       BLOB NOT NULL,
    due_at       INTEGER NOT NULL,  -- microseconds since 1970; while it is carried out: until when the worker may
    attempts     INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    last_error   TEXT,
    is_dead_lettered      INTEGER NOT NULL
) STRICT;

CREATE INDEX ledger_tasks_by_time ON ledger_tasks (reactor, due_at, rank) WHERE is_dead_lettered = 0;
CREATE INDEX ledger_tasks_by_target ON ledger_tasks (reactor, target, rank) WHERE is_dead_lettered = 0;
CREATE INDEX ledger_dead_lettered_tasks ON ledger_tasks (id) WHERE is_dead_lettered = 1;

-- Long work that somebody ordered. Nothing personal.
CREATE TABLE ledger_jobs (
    id           BLOB    NOT NULL PRIMARY KEY,
    organization BLOB    NOT NULL,
    kind         TEXT    NOT NULL,
    actor        TEXT    NOT NULL,  -- JSON, ids only
    is_dry_run   INTEGER NOT NULL,
    request_hash BLOB    NOT NULL,  -- a keyed hash of the order
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
CREATE TABLE ledger_job_payloads (
    job   BLOB NOT NULL,
    what  TEXT NOT NULL,  -- input, report
    bytes BLOB NOT NULL,
    PRIMARY KEY (job, what)
) STRICT;

-- When a session or a key was last used: to the minute.
CREATE TABLE ledger_credential_activity (
    organization BLOB    NOT NULL,
    owner        BLOB    NOT NULL,  -- the session or the key
    kind         TEXT    NOT NULL,  -- session, api_key
    used_at      INTEGER NOT NULL,
    home         BLOB    NOT NULL,  -- by whom: where their account is
    person       BLOB    NOT NULL,  -- and whose it is
    trace        BLOB,              -- from which address: sealed under their key
    PRIMARY KEY (organization, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_credential_activity_by_time ON ledger_credential_activity (kind, used_at);

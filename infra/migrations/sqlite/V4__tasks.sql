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
    is_dead      INTEGER NOT NULL
) STRICT;

CREATE INDEX ledger_tasks_by_time ON ledger_tasks (reactor, due_at, rank) WHERE is_dead = 0;
CREATE INDEX ledger_tasks_by_target ON ledger_tasks (reactor, target, rank) WHERE is_dead = 0;
CREATE INDEX ledger_dead_tasks ON ledger_tasks (id) WHERE is_dead = 1;

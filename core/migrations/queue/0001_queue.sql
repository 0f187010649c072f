-- What is still to be done, and the books of the runs that want it. A finished job has no row anywhere.
-- Instants are UTC, in milliseconds since 1970.

-- Exactly one row.
CREATE TABLE queue (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    paused     INTEGER NOT NULL DEFAULT 0,
    -- The last fencing token. One sequence for all jobs: a token of a job that was finished and enqueued again can
    -- never fit its new lease.
    fence      INTEGER NOT NULL DEFAULT 0,
    -- The number of rows of `jobs`, so that the high-water mark costs no count.
    unfinished INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO queue (id) VALUES (1);

CREATE TABLE runs (
    id            TEXT    PRIMARY KEY,
    request       TEXT    NOT NULL,
    class         INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    -- Beside the state: a run can be paused while it is enumerated, and after its end while meetings are pending.
    paused        INTEGER NOT NULL DEFAULT 0,
    beat_until    INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    finished_at   INTEGER,
    ended_because TEXT,
    unproven      TEXT    NOT NULL DEFAULT '[]',
    listed        INTEGER NOT NULL DEFAULT 0,
    present       INTEGER NOT NULL DEFAULT 0,
    incomplete    INTEGER NOT NULL DEFAULT 0,
    missing       INTEGER NOT NULL DEFAULT 0,
    excluded      INTEGER NOT NULL DEFAULT 0,
    indeterminate INTEGER NOT NULL DEFAULT 0,
    detected      INTEGER NOT NULL DEFAULT 0,
    recovered     INTEGER NOT NULL DEFAULT 0,
    failed        INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    unavailable   INTEGER NOT NULL DEFAULT 0,
    expired       INTEGER NOT NULL DEFAULT 0,
    pending       INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    files         INTEGER NOT NULL DEFAULT 0,
    bytes         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE jobs (
    id          INTEGER PRIMARY KEY,
    uuid        TEXT    NOT NULL UNIQUE,
    -- One of its runs in `job_runs`: that run's class and pause apply.
    owner       TEXT    NOT NULL REFERENCES runs (id),
    payload     TEXT    NOT NULL,
    deadline    INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    starts      INTEGER NOT NULL DEFAULT 0,
    state       TEXT    NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'leased', 'delayed')),
    due         INTEGER,
    -- What went wrong last, or what it waits for.
    cause       TEXT,
    worker      TEXT,
    fence       INTEGER,
    lease_until INTEGER,
    CHECK ((state = 'delayed') = (due IS NOT NULL)),
    CHECK ((state = 'leased') = (worker IS NOT NULL)),
    CHECK ((state = 'leased') = (fence IS NOT NULL)),
    CHECK ((state = 'leased') = (lease_until IS NOT NULL))
) STRICT;

-- The order of claiming inside one run, and the way to skip from one run with ready jobs to the next.
CREATE INDEX jobs_in_order ON jobs (state, owner, deadline);
CREATE INDEX jobs_due ON jobs (due) WHERE state = 'delayed';
CREATE INDEX jobs_lease_end ON jobs (lease_until) WHERE state = 'leased';

CREATE TRIGGER job_added AFTER INSERT ON jobs BEGIN
    UPDATE queue SET unfinished = unfinished + 1;
END;
CREATE TRIGGER job_gone AFTER DELETE ON jobs BEGIN
    UPDATE queue SET unfinished = unfinished - 1;
END;

-- The runs in whose books a job is pending.
CREATE TABLE job_runs (
    job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    run TEXT    NOT NULL REFERENCES runs (id),
    PRIMARY KEY (job, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_of_run ON job_runs (run, job);

-- Given up: what `retry` takes up again. Each run has its own copy, because each counts it as failed.
CREATE TABLE dead (
    run      TEXT    NOT NULL REFERENCES runs (id),
    uuid     TEXT    NOT NULL,
    payload  TEXT    NOT NULL,
    cause    TEXT    NOT NULL,
    starts   INTEGER NOT NULL,
    died_at  INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    PRIMARY KEY (run, uuid)
) STRICT, WITHOUT ROWID;

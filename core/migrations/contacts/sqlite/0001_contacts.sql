-- What the platform has captured: one row a contact, one a file. Instants are microseconds since 1970 (UTC), so that
-- they sort and compare exactly; participants are a JSON list.

CREATE TABLE contacts (
    source       TEXT   NOT NULL,
    source_id    TEXT   NOT NULL,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    topic        TEXT,
    host         TEXT,
    participants TEXT   NOT NULL,
    run_id       TEXT,
    buffer_path  TEXT,
    PRIMARY KEY (source, source_id)
);

-- The order of pages.
CREATE INDEX contacts_in_order ON contacts (source, started_at, source_id);

CREATE TABLE media (
    source    TEXT   NOT NULL,
    source_id TEXT   NOT NULL,
    file_id   TEXT   NOT NULL,
    -- Its place among the files of the contact.
    position  BIGINT NOT NULL,
    file_type TEXT,
    kind      TEXT,
    size      BIGINT,
    sha256    TEXT,
    state     TEXT   NOT NULL,
    PRIMARY KEY (source, source_id, file_id),
    FOREIGN KEY (source, source_id) REFERENCES contacts (source, source_id) ON DELETE CASCADE
);

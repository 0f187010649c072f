-- Who has the duty of automatic recovery, and the ledger of what it has covered (JSON).

-- Exactly one row.
CREATE TABLE duty (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    -- Of the last taking; NULL if the duty was given up.
    token   TEXT,
    process TEXT,
    until   INTEGER,
    ledger  TEXT,
    CHECK ((token IS NULL) = (process IS NULL)),
    CHECK ((token IS NULL) = (until IS NULL))
) STRICT;
INSERT INTO duty (id) VALUES (1);

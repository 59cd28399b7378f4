-- Tenants, their keys and the ledger. Moments are microseconds since the Unix epoch, UTC.
-- AUTOINCREMENT: a number that was once given never names anything else, even after a deletion.
-- Checks on a call's words are written with OR: for IN with three words or more SQLite builds a temporary tree at each
-- statement, which cost more than the rest of it.

CREATE TABLE tenants (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id),
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('live', 'test', 'admin')),
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    last_four  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    UNIQUE (tenant_id, id)
) STRICT;

-- No AUTOINCREMENT here: rows of the ledger are never deleted, so no number comes twice, and keeping the last one
-- would write a page more for each call.
CREATE TABLE calls (
    id             INTEGER PRIMARY KEY,
    tenant_id      INTEGER NOT NULL,
    key_id         INTEGER NOT NULL,
    account        TEXT NOT NULL,
    endpoint       TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind = 'queue' OR kind = 'run' OR kind = 'stream'),
    state          TEXT NOT NULL DEFAULT 'held'
                   CHECK (state = 'held' OR state = 'sent' OR state = 'settled' OR state = 'released'
                          OR state = 'unknown'),
    request_id     TEXT,
    app_base       TEXT,
    body_sha256    BLOB CHECK (length(body_sha256) = 32),
    body_bytes     INTEGER,
    status         INTEGER,
    billable_units TEXT,
    held_at        INTEGER NOT NULL,
    sent_at        INTEGER,
    settled_at     INTEGER,
    released_at    INTEGER,
    lost_at        INTEGER,
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, id),
    CHECK (state <> 'sent' OR (sent_at IS NOT NULL AND request_id IS NOT NULL AND app_base IS NOT NULL)),
    CHECK (state <> 'settled' OR (settled_at IS NOT NULL AND status IS NOT NULL)),
    CHECK (state <> 'released' OR released_at IS NOT NULL),
    CHECK (state <> 'unknown' OR lost_at IS NOT NULL)
) STRICT;

-- One row per request id and account. The id comes first, because follow-ups are looked up by it alone.
CREATE UNIQUE INDEX calls_by_request_id ON calls (request_id, account) WHERE request_id IS NOT NULL;

-- What a stopped process left behind is found at once, however long the ledger is.
CREATE INDEX calls_held ON calls (held_at) WHERE state = 'held';

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters (name, value) VALUES ('keys_revision', 0), ('pings', 0);

-- Triggers, so that no statement that touches a key or a tenant can forget it.
CREATE TRIGGER keys_made    AFTER INSERT ON keys    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER keys_changed AFTER UPDATE ON keys    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER keys_gone    AFTER DELETE ON keys    BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER tenants_made    AFTER INSERT ON tenants BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER tenants_changed AFTER UPDATE ON tenants BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER tenants_gone    AFTER DELETE ON tenants BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;

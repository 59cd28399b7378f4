-- Who may spend, and who spent what. Moments are microseconds since the Unix epoch, UTC; money is whole nano-dollars;
-- prices, multipliers and units are decimals as text, which SQLite never computes with.
-- AUTOINCREMENT: a number that was once given never names anything else, even after a deletion.
-- Checks on a call's words are written with OR: for IN with three words or more SQLite builds a temporary tree at each
-- statement, which cost more than the rest of it.

CREATE TABLE instance (
    id TEXT PRIMARY KEY  -- drawn once: tells this relay's calls from another's on the same fal account
) STRICT;

INSERT INTO instance (id) VALUES (lower(hex(randomblob(8))));

CREATE TABLE tenants (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    status     TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    alert_url  TEXT,
    tags       TEXT NOT NULL DEFAULT '[]',   -- JSON, a list of words for people
    rules      TEXT NOT NULL DEFAULT '{}',   -- JSON, `rules::Rules`
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE UNIQUE INDEX tenants_by_name ON tenants (name) WHERE deleted_at IS NULL;

CREATE TABLE groups (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    multiplier TEXT NOT NULL DEFAULT '1',
    rules      TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE UNIQUE INDEX groups_by_name ON groups (name) WHERE deleted_at IS NULL;

-- Keys that name no group belong to this one.
INSERT INTO groups (id, name, created_at) VALUES (1, 'default', 0);

CREATE TABLE keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id),
    group_id   INTEGER NOT NULL DEFAULT 1 REFERENCES groups (id),
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('live', 'test')),
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    last_four  TEXT NOT NULL,
    rules      TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    starts_at  INTEGER,
    expires_at INTEGER,
    revoked_at INTEGER,
    deleted_at INTEGER,
    tokens_revoked_at INTEGER,   -- when all client tokens that it had made were ended last
    UNIQUE (tenant_id, id)
) STRICT;

-- A key that was deleted may be imported again.
CREATE UNIQUE INDEX keys_by_digest ON keys (digest) WHERE deleted_at IS NULL;

CREATE INDEX keys_by_group ON keys (group_id);

-- Client tokens: short-lived children of keys, for browsers and phones. A row goes some time after its end; the ledger's
-- rows name the key as well. What was spent and is held under a ceiling lies in the row itself, as in a meter.
CREATE TABLE client_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id     INTEGER NOT NULL REFERENCES keys (id),
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    rules      TEXT NOT NULL DEFAULT '{}',   -- JSON, `rules::Rules`; they narrow the key's
    limit_nano INTEGER CHECK (limit_nano >= 0),
    spent_nano INTEGER NOT NULL DEFAULT 0,
    held_nano  INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE INDEX client_tokens_by_key ON client_tokens (key_id, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX client_tokens_by_end ON client_tokens (expires_at) WHERE held_nano = 0;
CREATE INDEX client_tokens_revoked ON client_tokens (key_id) WHERE revoked_at IS NOT NULL;

-- Operators' tokens: for the admin listener only.
CREATE TABLE operators (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('read', 'manage', 'owner')),
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    last_four  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

-- A cap on what a tenant (key_id 0) or one of its keys may spend in a period.
CREATE TABLE budgets (
    tenant_id    INTEGER NOT NULL,
    key_id       INTEGER NOT NULL,
    period       TEXT NOT NULL CHECK (period IN ('total', 'day', 'week', 'month')),
    limit_nano   INTEGER NOT NULL CHECK (limit_nano >= 0),
    soft_percent INTEGER NOT NULL CHECK (soft_percent BETWEEN 1 AND 100),
    zone         TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key_id, period)
) STRICT, WITHOUT ROWID;

-- What was spent and is held in one window of one owner. Every tenant has the meter of all its time; others are opened for
-- budgets. A meter is always the sum of the rows whose `held_at` lies in its window, whenever it was opened.
-- The end comes before the period in the key: the windows of now are found without passing those that are over.
CREATE TABLE meters (
    tenant_id  INTEGER NOT NULL,
    key_id     INTEGER NOT NULL,   -- 0: the tenant as a whole
    ends_at    INTEGER NOT NULL,
    period     TEXT NOT NULL,
    starts_at  INTEGER NOT NULL,
    spent_nano INTEGER NOT NULL DEFAULT 0,
    held_nano  INTEGER NOT NULL DEFAULT 0 CHECK (held_nano >= 0),
    limit_nano INTEGER,            -- the budget's, while there is one
    soft_nano  INTEGER,            -- where somebody is told
    told_at    INTEGER,            -- when that was
    PRIMARY KEY (tenant_id, key_id, ends_at, period)
) STRICT, WITHOUT ROWID;

-- No AUTOINCREMENT here: rows of the ledger are never deleted, so no number comes twice, and keeping the last one
-- would write a page more for each call.
CREATE TABLE calls (
    id             INTEGER PRIMARY KEY,
    tenant_id      INTEGER NOT NULL,
    key_id         INTEGER NOT NULL,
    token_id       INTEGER,           -- the key's client token, if the call came with one; it may be gone
    account        TEXT NOT NULL,
    endpoint       TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind = 'queue' OR kind = 'run' OR kind = 'stream' OR kind = 'realtime'),
    state          TEXT NOT NULL DEFAULT 'held'
                   CHECK (state = 'held' OR state = 'sent' OR state = 'settled' OR state = 'released'
                          OR state = 'unknown'),
    -- 1 while something may still happen to the row, then null. A column of its own, so that only the first and the last
    -- step touch its index.
    open           INTEGER DEFAULT 1 CHECK (open = 1),
    request_id     TEXT,
    app_base       TEXT,
    body_sha256    BLOB CHECK (length(body_sha256) = 32),
    body_bytes     INTEGER,
    lease          INTEGER NOT NULL,   -- its place among the jobs in flight
    tags           TEXT,           -- the tenant's own, `k=v,k=v`
    status         INTEGER,
    reason         TEXT,           -- why it was released or given up, in a word

    -- Frozen at submit.
    unit_price     TEXT,           -- null: not known then
    unit           TEXT,
    multiplier     TEXT NOT NULL,
    price_version  INTEGER,
    hold_nano      INTEGER NOT NULL CHECK (hold_nano >= 0),
    hold_basis     TEXT NOT NULL,
    -- 1 while the hold counts in the meters: until the cost is known, also when the row is closed.
    hold_open      INTEGER DEFAULT 1 CHECK (hold_open = 1),

    -- Written once, at the end. Null is unknown and never zero.
    billable_units TEXT,
    cost_nano      INTEGER,        -- what fal bills
    charge_nano    INTEGER,        -- what the tenant pays
    cost_basis     TEXT,
    -- The sums of what was learned later; the rows of `adjustments` say why. A cost that was unknown begins at zero here.
    adjusted_cost_nano   INTEGER,
    adjusted_charge_nano INTEGER,

    held_at        INTEGER NOT NULL,
    sent_at        INTEGER,
    settled_at     INTEGER,
    released_at    INTEGER,
    lost_at        INTEGER,
    FOREIGN KEY (tenant_id, key_id) REFERENCES keys (tenant_id, id),
    CHECK (state <> 'sent' OR (sent_at IS NOT NULL AND request_id IS NOT NULL AND app_base IS NOT NULL)),
    CHECK (state <> 'settled' OR (settled_at IS NOT NULL AND status IS NOT NULL)),
    CHECK (state <> 'released' OR released_at IS NOT NULL),
    CHECK (state <> 'unknown' OR lost_at IS NOT NULL),
    CHECK ((cost_nano IS NULL) = (charge_nano IS NULL)),
    CHECK ((adjusted_cost_nano IS NULL) = (adjusted_charge_nano IS NULL)),
    CHECK ((cost_basis IS NULL) = (cost_nano IS NULL AND adjusted_cost_nano IS NULL))
) STRICT;

-- One row per request id and account. The id comes first, because follow-ups are looked up by it alone.
CREATE UNIQUE INDEX calls_by_request_id ON calls (request_id, account) WHERE request_id IS NOT NULL;

-- What must still be followed is found at once, however long the ledger is.
CREATE INDEX calls_open ON calls (id) WHERE open = 1;

-- Holds that outlived their rows: the cost is not known yet.
CREATE INDEX calls_unpriced ON calls (id) WHERE open IS NULL AND hold_open = 1;

-- Calls in a stretch of time, a tenant's or all: for meters of a new window and for searches, the newest first.
CREATE INDEX calls_by_tenant ON calls (tenant_id, held_at);
CREATE INDEX calls_by_time ON calls (held_at);

-- What was learned of a call's cost after it was closed. Never edited.
CREATE TABLE adjustments (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id     INTEGER NOT NULL REFERENCES calls (id),
    at          INTEGER NOT NULL,
    cost_nano   INTEGER NOT NULL,   -- the difference, with its sign
    charge_nano INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    author      TEXT NOT NULL
) STRICT;

CREATE INDEX adjustments_by_call ON adjustments (call_id);

-- The ledger rolled up by day (UTC, of `held_at`; days since the epoch), so that usage over years is read at once.
-- Calls count when they are settled; what is learned later changes the sums of the call's own day, so they are always
-- those of its rows. The tenant comes first: his own usage is one stretch of this table.
CREATE TABLE usage_days (
    tenant_id   INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    key_id      INTEGER NOT NULL,
    endpoint    TEXT NOT NULL,
    calls       INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    unpriced    INTEGER NOT NULL,   -- calls whose cost is not known
    cost_nano   INTEGER NOT NULL,
    charge_nano INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day, key_id, endpoint)
) STRICT, WITHOUT ROWID;

-- The same by tag, `k=v`; a call with several counts in each.
CREATE TABLE usage_tags (
    tenant_id   INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    tag         TEXT NOT NULL,
    key_id      INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    unpriced    INTEGER NOT NULL,
    cost_nano   INTEGER NOT NULL,
    charge_nano INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day, tag, key_id)
) STRICT, WITHOUT ROWID;

-- fal's price list as last synced, and every change to it.
CREATE TABLE prices (
    endpoint   TEXT PRIMARY KEY,
    unit_price TEXT NOT NULL,
    unit       TEXT NOT NULL,
    version    INTEGER NOT NULL,    -- of the list that brought this price
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE price_versions (
    version   INTEGER PRIMARY KEY,
    synced_at INTEGER NOT NULL,
    source    TEXT NOT NULL,
    endpoints INTEGER NOT NULL,
    changes   INTEGER NOT NULL
) STRICT;

CREATE TABLE price_changes (
    version        INTEGER NOT NULL,
    endpoint       TEXT NOT NULL,
    old_unit_price TEXT,            -- null: new in the list
    old_unit       TEXT,
    new_unit_price TEXT,            -- null: gone from it
    new_unit       TEXT,
    PRIMARY KEY (version, endpoint)
) STRICT, WITHOUT ROWID;

-- The operator's own prices, for endpoints or globs of them. They win over fal's list.
CREATE TABLE price_overrides (
    pattern    TEXT PRIMARY KEY,
    unit_price TEXT NOT NULL,
    unit       TEXT NOT NULL,
    set_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Webhooks. What is to be told of a job, from its submit on; `open` until it is told in `deliveries`.
CREATE TABLE webhooks (
    call_id   INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL,
    target    TEXT NOT NULL,
    host      TEXT NOT NULL,            -- the target's origin: deliveries share its places
    name      TEXT NOT NULL,            -- the delivery's id as its receiver sees it, the same at each try
    open      INTEGER DEFAULT 1 CHECK (open = 1)
) STRICT;

CREATE INDEX webhooks_open ON webhooks (call_id) WHERE open = 1;

-- The outbox. The number grows in the order in which jobs ended.
CREATE TABLE deliveries (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id       INTEGER NOT NULL UNIQUE REFERENCES webhooks (call_id),
    tenant_id     INTEGER NOT NULL,
    host          TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'waiting'
                  CHECK (state = 'waiting' OR state = 'delivered' OR state = 'dead'),
    bytes         INTEGER NOT NULL,
    tries         INTEGER NOT NULL DEFAULT 0,   -- on the ladder; begins anew with a redelivery
    attempts      INTEGER NOT NULL DEFAULT 0,   -- in all
    created_at    INTEGER NOT NULL,
    due_at        INTEGER,                      -- the next try; null when there is none
    ended_at      INTEGER,
    status        INTEGER,                      -- of the last answer
    reason        TEXT,                         -- why the last try failed, in words
    CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due_at, host, bytes) WHERE state = 'waiting';
CREATE INDEX deliveries_by_tenant ON deliveries (tenant_id, id);
CREATE INDEX deliveries_dead ON deliveries (tenant_id, id) WHERE state = 'dead';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

-- Apart from their rows, which are written again at each try.
CREATE TABLE delivery_bodies (
    id   INTEGER PRIMARY KEY REFERENCES deliveries (id),
    body BLOB NOT NULL
) STRICT;

CREATE TABLE delivery_attempts (
    delivery_id INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    status      INTEGER,
    reason      TEXT,
    took_micros INTEGER NOT NULL,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Who changed what, from what, to what, why. Never edited.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    author     TEXT NOT NULL,
    action     TEXT NOT NULL,       -- such as `key.rotate`
    object     TEXT NOT NULL,       -- such as `key:3`
    old        TEXT,                -- JSON; null: made now
    new        TEXT,                -- JSON; null: gone now
    reason     TEXT
) STRICT;

CREATE INDEX audit_by_object ON audit (object);

-- Webhooks: secrets that this installation made for itself, which all its processes share. A new one of a name may be
-- published before it is used, and an old one for a while after.
CREATE TABLE secrets (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT NOT NULL,
    value     BLOB NOT NULL CHECK (length(value) = 32),
    begins_at INTEGER NOT NULL,    -- from when it is used
    ends_at   INTEGER              -- from when it means nothing any more
) STRICT;

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters (name, value) VALUES ('keys_revision', 0), ('prices_revision', 0), ('pings', 0),
    -- 1 from the first client token with browser origins on.
    ('token_origins', 0);

-- Triggers, so that no statement that touches what a caller may do can forget to say so.
CREATE TRIGGER tenants_made AFTER INSERT ON tenants BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER tenants_changed AFTER UPDATE ON tenants BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER tenants_gone AFTER DELETE ON tenants BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER groups_made AFTER INSERT ON groups BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER groups_changed AFTER UPDATE ON groups BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER groups_gone AFTER DELETE ON groups BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER keys_made AFTER INSERT ON keys BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER keys_changed AFTER UPDATE ON keys BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER keys_gone AFTER DELETE ON keys BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER operators_made AFTER INSERT ON operators BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER operators_changed AFTER UPDATE ON operators BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER operators_gone AFTER DELETE ON operators BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER budgets_made AFTER INSERT ON budgets BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER budgets_changed AFTER UPDATE ON budgets BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER budgets_gone AFTER DELETE ON budgets BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER secrets_made AFTER INSERT ON secrets BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
-- A new client token changes nothing for anybody else, and they are many.
CREATE TRIGGER client_tokens_revoked AFTER UPDATE OF revoked_at ON client_tokens BEGIN UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'; END;
CREATE TRIGGER prices_synced AFTER INSERT ON price_versions BEGIN UPDATE counters SET value = value + 1 WHERE name = 'prices_revision'; END;
CREATE TRIGGER price_overrides_made AFTER INSERT ON price_overrides BEGIN UPDATE counters SET value = value + 1 WHERE name = 'prices_revision'; END;
CREATE TRIGGER price_overrides_changed AFTER UPDATE ON price_overrides BEGIN UPDATE counters SET value = value + 1 WHERE name = 'prices_revision'; END;
CREATE TRIGGER price_overrides_gone AFTER DELETE ON price_overrides BEGIN UPDATE counters SET value = value + 1 WHERE name = 'prices_revision'; END;

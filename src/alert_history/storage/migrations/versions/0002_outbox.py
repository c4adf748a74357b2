"""The outbox: what is still to be said (`delivery_queue`) and what became of it (`deliveries`).

The queue holds only what is pending or leased, so that looking for work costs the same however much was
delivered before; a settled delivery moves to the log, which is partitioned by week like all that grows.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_POSTGRES_COLUMNS = """
    id text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    target text COLLATE "C" NOT NULL,
    event_key bigint NOT NULL,
    event text NOT NULL,
    receipt_id text COLLATE "C",
    state text NOT NULL CHECK (state IN ('pending', 'leased', 'delivered', 'superseded', 'dead')),
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    lease_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    log jsonb NOT NULL DEFAULT '[]',
    external_id text,
    settled_at timestamptz
"""

POSTGRES = f"""
CREATE TABLE delivery_queue ({_POSTGRES_COLUMNS}, PRIMARY KEY (id, fingerprint)) WITH (fillfactor = 70);
CREATE INDEX idx_delivery_queue_due ON delivery_queue (target, due_at) WHERE state = 'pending';
CREATE INDEX idx_delivery_queue_alert ON delivery_queue (target, fingerprint, starts_at, event_key);
CREATE INDEX idx_delivery_queue_occurrence ON delivery_queue (fingerprint, starts_at);
CREATE TABLE deliveries ({_POSTGRES_COLUMNS}, PRIMARY KEY (id, fingerprint, created_at))
    PARTITION BY RANGE (created_at);
CREATE INDEX idx_deliveries_alert ON deliveries (fingerprint, starts_at);
CREATE INDEX idx_deliveries_dead ON deliveries (target, created_at) WHERE state = 'dead';
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT
"""

_SQLITE_COLUMNS = """
    id TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    target TEXT NOT NULL,
    event_key INTEGER NOT NULL,
    event TEXT NOT NULL,
    receipt_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'delivered', 'superseded', 'dead')),
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    lease_until INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    log TEXT NOT NULL DEFAULT '[]',
    external_id TEXT,
    settled_at INTEGER
"""

SQLITE = f"""
CREATE TABLE delivery_queue ({_SQLITE_COLUMNS}) WITHOUT ROWID;
CREATE INDEX idx_delivery_queue_due ON delivery_queue (target, due_at) WHERE state = 'pending';
CREATE INDEX idx_delivery_queue_alert ON delivery_queue (target, fingerprint, starts_at, event_key);
CREATE INDEX idx_delivery_queue_occurrence ON delivery_queue (starts_at, fingerprint);
CREATE TABLE deliveries ({_SQLITE_COLUMNS}) WITHOUT ROWID;
CREATE INDEX idx_deliveries_alert ON deliveries (starts_at, fingerprint);
CREATE INDEX idx_deliveries_dead ON deliveries (target, created_at) WHERE state = 'dead'
"""


def upgrade() -> None:
    """Create both tables."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Drop both tables."""
    op.execute("DROP TABLE delivery_queue")
    op.execute("DROP TABLE deliveries")

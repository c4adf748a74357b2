"""What people did about occurrences: acknowledgements, notes, and what PagerDuty and Rootly tell of them.

The labels stand beside the key, so that acts are counted by them without a join. `incidents_seen` says of which
occurrence an incident of a vendor is, because a note at PagerDuty names its incident alone. Deliveries of acts have
keys below zero: one in the queue is found at once, and each lease looks for one.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

POSTGRES = """
CREATE TABLE acts (
    fingerprint text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    id text COLLATE "C" NOT NULL,
    alertname text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    "by" text NOT NULL,
    text text NOT NULL,
    source text NOT NULL,
    external_id text,
    PRIMARY KEY (fingerprint, starts_at, id)
);
CREATE INDEX idx_acts_at ON acts (at);
CREATE TABLE incidents_seen (
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX idx_incidents_seen_at ON incidents_seen (seen_at);
CREATE INDEX idx_delivery_queue_acts ON delivery_queue (target, due_at) WHERE event_key < 0
"""

SQLITE = """
CREATE TABLE acts (
    fingerprint TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    alertname TEXT NOT NULL,
    severity TEXT NOT NULL,
    namespace TEXT NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    "by" TEXT NOT NULL,
    text TEXT NOT NULL,
    source TEXT NOT NULL,
    external_id TEXT,
    PRIMARY KEY (fingerprint, starts_at, id)
) WITHOUT ROWID;
CREATE INDEX idx_acts_at ON acts (at);
CREATE TABLE incidents_seen (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;
CREATE INDEX idx_incidents_seen_at ON incidents_seen (seen_at);
CREATE INDEX idx_delivery_queue_acts ON delivery_queue (target, due_at) WHERE event_key < 0
"""


def upgrade() -> None:
    """Add both tables and the index."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them, and with them what people did."""
    op.execute("DROP INDEX idx_delivery_queue_acts")
    op.execute("DROP TABLE incidents_seen")
    op.execute("DROP TABLE acts")

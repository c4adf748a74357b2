"""Classifications by shape, what waits for them, and the audit.

A delivery that goes out with a classification names its `shape`; while it waits, `enrichment` is `awaited`.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

POSTGRES = """
CREATE TABLE classifications (
    id text COLLATE "C" PRIMARY KEY,
    shape text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    source text NOT NULL CHECK (source IN ('llm', 'rules', 'person')),
    model text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('critical', 'warning', 'info', 'noise')),
    tokens integer NOT NULL,
    cost_usd double precision NOT NULL,
    verdict jsonb NOT NULL
);
CREATE INDEX idx_classifications_shape ON classifications (shape, id DESC);
CREATE INDEX idx_classifications_at ON classifications (at);
CREATE TABLE classification_claims (
    shape text COLLATE "C" PRIMARY KEY,
    owner text NOT NULL,
    until timestamptz NOT NULL
);
CREATE TABLE audit (
    id text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    detail jsonb NOT NULL
);
ALTER TABLE delivery_queue ADD COLUMN shape text COLLATE "C", ADD COLUMN enrichment text;
ALTER TABLE deliveries ADD COLUMN shape text COLLATE "C", ADD COLUMN enrichment text;
CREATE INDEX idx_delivery_queue_awaited ON delivery_queue (shape) WHERE enrichment = 'awaited'
"""

SQLITE = """
CREATE TABLE classifications (
    id TEXT NOT NULL PRIMARY KEY,
    shape TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    at INTEGER NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('llm', 'rules', 'person')),
    model TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('critical', 'warning', 'info', 'noise')),
    tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    verdict TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX idx_classifications_shape ON classifications (shape, id DESC);
CREATE INDEX idx_classifications_at ON classifications (at);
CREATE TABLE classification_claims (
    shape TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) WITHOUT ROWID;
ALTER TABLE delivery_queue ADD COLUMN shape TEXT;
ALTER TABLE delivery_queue ADD COLUMN enrichment TEXT;
ALTER TABLE deliveries ADD COLUMN shape TEXT;
ALTER TABLE deliveries ADD COLUMN enrichment TEXT;
CREATE INDEX idx_delivery_queue_awaited ON delivery_queue (shape) WHERE enrichment = 'awaited'
"""


def upgrade() -> None:
    """Add the tables and columns; code of the version before does not mind them."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them, and with them what was classified."""
    op.execute("DROP INDEX idx_delivery_queue_awaited")
    for table in ("delivery_queue", "deliveries"):
        for column in ("shape", "enrichment"):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    for table in ("classifications", "classification_claims", "audit"):
        op.execute(f"DROP TABLE {table}")

"""The recorder: receipts, occurrences, events, quarantine, silences, settings.

On PostgreSQL what grows is partitioned by time: occurrences and their events by week of `starts_at`
(their key holds it), receipts by week and raw bodies by day of arrival. Weeks keep a year at 53 partitions,
which costs 3 ms to plan a query over all of them; days would cost 20. What no partition takes
(imports from long ago, clocks far ahead) goes to the default one.

Labels have a GIN index whose pending list is merged by the upkeep job, not by the unlucky insert that
fills it: measured at 640 alerts a transaction that takes the worst commit from 100 ms to 30 ms.
On SQLite the upkeep job merges the runs of the full-text index, for the same reason: with ten million occurrences
merging in the commits took half of what ingest could do.
"""

from alembic import op

revision = "0001"
down_revision = None

POSTGRES = """
CREATE TABLE receipts (
    id text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    path text NOT NULL,
    publish boolean NOT NULL,
    source text NOT NULL,
    receiver text NOT NULL,
    group_key text NOT NULL,
    external_url text NOT NULL,
    received integer NOT NULL,
    quarantined integer NOT NULL,
    truncated_alerts integer NOT NULL,
    details jsonb NOT NULL,
    body_sha256 bytea NOT NULL,
    body_bytes integer NOT NULL,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
CREATE TABLE receipts_default PARTITION OF receipts DEFAULT;

CREATE TABLE receipt_bodies (
    received_on timestamptz NOT NULL,
    sha256 bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (sha256, received_on)
) PARTITION BY RANGE (received_on);
ALTER TABLE receipt_bodies ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE receipt_bodies_default PARTITION OF receipt_bodies DEFAULT;

CREATE TABLE alerts (
    fingerprint text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    "timestamp" timestamptz NOT NULL,
    alertname text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('firing', 'resolved')),
    labels jsonb NOT NULL,
    annotations jsonb NOT NULL,
    ends_at timestamptz,
    expires_at timestamptz,
    last_received_at timestamptz NOT NULL,
    repeat_count integer NOT NULL,
    event_count integer NOT NULL,
    content_hash bigint NOT NULL,
    generator_url text NOT NULL,
    source text NOT NULL,
    receiver text NOT NULL,
    details jsonb,
    PRIMARY KEY (fingerprint, starts_at)
) PARTITION BY RANGE (starts_at);
CREATE INDEX idx_alerts_timestamp ON alerts ("timestamp");
CREATE INDEX idx_alerts_alertname ON alerts (alertname, "timestamp");
CREATE INDEX idx_alerts_namespace ON alerts (namespace, "timestamp");
CREATE INDEX idx_alerts_firing ON alerts ("timestamp") WHERE status = 'firing';
CREATE INDEX idx_alerts_expires_at ON alerts (expires_at) WHERE status = 'firing' AND expires_at IS NOT NULL;
CREATE INDEX idx_alerts_labels ON alerts USING gin (labels jsonb_path_ops)
    WITH (fastupdate = on, gin_pending_list_limit = 65536);
CREATE TABLE alerts_default PARTITION OF alerts DEFAULT;

CREATE TABLE events (
    fingerprint text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    key bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    receipt_id text COLLATE "C",
    detail jsonb,
    PRIMARY KEY (fingerprint, starts_at, key)
) PARTITION BY RANGE (starts_at);
CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE TABLE quarantine (
    id text COLLATE "C" PRIMARY KEY,
    received_at timestamptz NOT NULL,
    receipt_id text COLLATE "C" NOT NULL,
    position integer NOT NULL,
    reason text NOT NULL,
    source text NOT NULL,
    receiver text NOT NULL,
    raw bytea NOT NULL
);
CREATE INDEX idx_quarantine_received_at ON quarantine (received_at);

CREATE TABLE silences (
    id text COLLATE "C" PRIMARY KEY,
    matchers jsonb NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    created_by text NOT NULL,
    comment text NOT NULL
);

CREATE TABLE settings (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
"""

SQLITE = """
CREATE TABLE receipts (
    id TEXT NOT NULL PRIMARY KEY,
    received_at INTEGER NOT NULL,
    path TEXT NOT NULL,
    publish INTEGER NOT NULL,
    source TEXT NOT NULL,
    receiver TEXT NOT NULL,
    group_key TEXT NOT NULL,
    external_url TEXT NOT NULL,
    received INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    truncated_alerts INTEGER NOT NULL,
    details TEXT NOT NULL,
    body_sha256 BLOB NOT NULL,
    body_bytes INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE receipt_bodies (
    received_on INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (received_on, sha256)
);

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    "timestamp" INTEGER NOT NULL,
    alertname TEXT NOT NULL,
    namespace TEXT NOT NULL,
    severity TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('firing', 'resolved')),
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    ends_at INTEGER,
    expires_at INTEGER,
    last_received_at INTEGER NOT NULL,
    repeat_count INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    content_hash INTEGER NOT NULL,
    generator_url TEXT NOT NULL,
    source TEXT NOT NULL,
    receiver TEXT NOT NULL,
    details TEXT,
    UNIQUE (starts_at, fingerprint)
);
CREATE INDEX idx_alerts_alertname ON alerts (alertname);
CREATE INDEX idx_alerts_namespace ON alerts (namespace);
CREATE INDEX idx_alerts_firing ON alerts (status) WHERE status = 'firing';
CREATE INDEX idx_alerts_expires_at ON alerts (expires_at) WHERE status = 'firing' AND expires_at IS NOT NULL;

CREATE VIRTUAL TABLE alert_terms USING fts5 (
    terms, content = '', columnsize = 0, detail = none, tokenize = 'ascii'
);
INSERT INTO alert_terms (alert_terms, rank) VALUES ('automerge', 0);
INSERT INTO alert_terms (alert_terms, rank) VALUES ('crisismerge', 64);

CREATE TABLE events (
    alert_id INTEGER NOT NULL,
    key INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    receipt_id TEXT,
    detail TEXT,
    PRIMARY KEY (alert_id, key)
) WITHOUT ROWID;

CREATE TABLE quarantine (
    id TEXT NOT NULL PRIMARY KEY,
    received_at INTEGER NOT NULL,
    receipt_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    receiver TEXT NOT NULL,
    raw BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE silences (
    id TEXT NOT NULL PRIMARY KEY,
    matchers TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    comment TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
"""


def upgrade() -> None:
    """Create everything."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop everything."""
    for table in (
        "settings",
        "silences",
        "quarantine",
        "events",
        "alert_terms",
        "alerts",
        "receipt_bodies",
        "receipts",
    ):
        op.execute(f"DROP TABLE IF EXISTS {table}")

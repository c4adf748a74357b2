"""Who claims what: a standing for each label set, and how the end of an occurrence is known.

Only columns and tables are added, so code of the version before goes on. What it writes has no `claim`: such rows are
found by `idx_alerts_unclaimed`, and taken up. `alerts.claim` names the claim that holds an occurrence open; it is 0
where each word has to be thought about. `groups_seen` is what was learnt of Alertmanager's groups. On SQLite two
indexes go: `alert_terms` finds alertnames and namespaces too, and they cost each new alert an eighth of its time.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_COLUMNS = {
    "began_at": ("timestamptz", "INTEGER"),
    "ended_by": ("text", "TEXT"),
    "confirmed_at": ("timestamptz", "INTEGER"),
    "unconfirmed": ("text", "TEXT"),
    "claim": ("bigint", "INTEGER"),
    "joined_into": ("timestamptz", "INTEGER"),
}

POSTGRES = """
CREATE TABLE standings (
    fingerprint text COLLATE "C" PRIMARY KEY,
    standing text NOT NULL,
    closed_at timestamptz,
    conflict_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX idx_standings_conflict ON standings (conflict_at) WHERE conflict_at IS NOT NULL;
CREATE TABLE groups_seen (
    id text COLLATE "C" PRIMARY KEY,
    last_at timestamptz NOT NULL,
    seen text NOT NULL
);
CREATE INDEX idx_alerts_unclaimed ON alerts (fingerprint) WHERE claim IS NULL AND status = 'firing'
"""

SQLITE = """
CREATE TABLE standings (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    standing TEXT NOT NULL,
    closed_at INTEGER,
    conflict_at INTEGER
) WITHOUT ROWID;
CREATE INDEX idx_standings_conflict ON standings (conflict_at) WHERE conflict_at IS NOT NULL;
CREATE TABLE standings_new (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    standing TEXT NOT NULL,
    closed_at INTEGER,
    conflict_at INTEGER
);
CREATE INDEX idx_standings_new_conflict ON standings_new (conflict_at) WHERE conflict_at IS NOT NULL;
CREATE TABLE groups_seen (
    id TEXT NOT NULL PRIMARY KEY,
    last_at INTEGER NOT NULL,
    seen TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX idx_alerts_unclaimed ON alerts (fingerprint) WHERE claim IS NULL AND status = 'firing';
DROP INDEX idx_alerts_alertname;
DROP INDEX idx_alerts_namespace
"""


def upgrade() -> None:
    """Add the columns and tables."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for name, kinds in _COLUMNS.items():
        op.execute(f"ALTER TABLE alerts ADD COLUMN {name} {kinds[0] if is_postgres else kinds[1]}")
    for statement in (POSTGRES if is_postgres else SQLITE).split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them, and with them what is claimed."""
    op.execute("DROP INDEX idx_alerts_unclaimed")
    op.execute("DROP TABLE groups_seen")
    op.execute("DROP TABLE standings")
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TABLE standings_new")
        op.execute("CREATE INDEX idx_alerts_alertname ON alerts (alertname)")
        op.execute("CREATE INDEX idx_alerts_namespace ON alerts (namespace)")
    for name in _COLUMNS:
        op.execute(f"ALTER TABLE alerts DROP COLUMN {name}")

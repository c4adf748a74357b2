"""The audit in chains: from where, how it ended, and which link of which chain an entry is.

Entries of before have no chain. `audit_days` keeps the first and last digest of each chain, also when its day is gone.
"""

from alembic import op

revision = "0016"
down_revision = "0015"

_COLUMNS = ("from_address", "outcome", "day", "replica", "position", "digest")

POSTGRES = """
ALTER TABLE audit
    ADD COLUMN from_address text,
    ADD COLUMN outcome text,
    ADD COLUMN day text COLLATE "C",
    ADD COLUMN replica text COLLATE "C",
    ADD COLUMN position bigint,
    ADD COLUMN digest text;
CREATE UNIQUE INDEX idx_audit_chain ON audit (day, replica, position);
CREATE INDEX idx_audit_actor ON audit (actor, id);
CREATE INDEX idx_audit_action ON audit (action, id);
CREATE TABLE audit_days (
    number bigint PRIMARY KEY,
    day text COLLATE "C" NOT NULL,
    replica text COLLATE "C" NOT NULL,
    follows text NOT NULL,
    entries bigint NOT NULL,
    first_digest text NOT NULL,
    last_digest text NOT NULL,
    dropped_at timestamptz,
    UNIQUE (day, replica)
)
"""

SQLITE = """
ALTER TABLE audit ADD COLUMN from_address TEXT;
ALTER TABLE audit ADD COLUMN outcome TEXT;
ALTER TABLE audit ADD COLUMN day TEXT;
ALTER TABLE audit ADD COLUMN replica TEXT;
ALTER TABLE audit ADD COLUMN position INTEGER;
ALTER TABLE audit ADD COLUMN digest TEXT;
CREATE UNIQUE INDEX idx_audit_chain ON audit (day, replica, position);
CREATE INDEX idx_audit_actor ON audit (actor, id);
CREATE INDEX idx_audit_action ON audit (action, id);
CREATE TABLE audit_days (
    number INTEGER PRIMARY KEY NOT NULL,
    day TEXT NOT NULL,
    replica TEXT NOT NULL,
    follows TEXT NOT NULL,
    entries INTEGER NOT NULL,
    first_digest TEXT NOT NULL,
    last_digest TEXT NOT NULL,
    dropped_at INTEGER,
    UNIQUE (day, replica)
)
"""


def upgrade() -> None:
    """Add them; code of the version before writes entries without a chain."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them. The entries stay, and nothing shows any more whether they were changed."""
    op.execute("DROP TABLE audit_days")
    for name in ("chain", "actor", "action"):
        op.execute(f"DROP INDEX idx_audit_{name}")
    for column in _COLUMNS:
        op.execute(f"ALTER TABLE audit DROP COLUMN {column}")

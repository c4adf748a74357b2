"""Imports: which past was brought in, and what it changed.

Only columns and tables are added, so code of the version before goes on. `alerts.import_id` names the import that
brought an occurrence in, and has no index: an import is taken back in the order of time, within its own span.
`import_corrections` is what an import changed of an occurrence that was there, so that it can be taken back.
`import_refusals` are digests of the rows that were refused, so that the same import does not refuse them twice.
"""

from alembic import op

revision = "0017"
down_revision = "0016"

_COLUMNS = {"imported_at": ("timestamptz", "INTEGER"), "import_id": ("text", "TEXT")}

POSTGRES = """
CREATE TABLE imports (
    id text COLLATE "C" PRIMARY KEY,
    origin text NOT NULL,
    what text NOT NULL,
    state text NOT NULL,
    started_at timestamptz NOT NULL,
    by text NOT NULL,
    phase text NOT NULL,
    share double precision,
    beat_at timestamptz,
    finished_at timestamptz,
    fault text,
    counts jsonb NOT NULL,
    oldest timestamptz,
    newest timestamptz,
    reasons jsonb NOT NULL
);
CREATE TABLE import_corrections (
    import_id text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    what text NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    PRIMARY KEY (import_id, fingerprint, starts_at, what)
);
CREATE TABLE import_refusals (
    digest bytea PRIMARY KEY,
    import_id text COLLATE "C" NOT NULL
);
CREATE INDEX idx_import_refusals_import ON import_refusals (import_id)
"""

SQLITE = """
CREATE TABLE imports (
    id TEXT NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL,
    what TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    by TEXT NOT NULL,
    phase TEXT NOT NULL,
    share REAL,
    beat_at INTEGER,
    finished_at INTEGER,
    fault TEXT,
    counts TEXT NOT NULL,
    oldest INTEGER,
    newest INTEGER,
    reasons TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE import_corrections (
    import_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    what TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    PRIMARY KEY (import_id, fingerprint, starts_at, what)
) WITHOUT ROWID;
CREATE TABLE import_refusals (
    digest BLOB NOT NULL PRIMARY KEY,
    import_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX idx_import_refusals_import ON import_refusals (import_id)
"""


def upgrade() -> None:
    """Add the columns and tables."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for name, types in _COLUMNS.items():
        op.execute(f"ALTER TABLE alerts ADD COLUMN {name} {types[0 if is_postgres else 1]}")
    for statement in (POSTGRES if is_postgres else SQLITE).split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    for table in ("import_refusals", "import_corrections", "imports"):
        op.execute(f"DROP TABLE {table}")
    for name in _COLUMNS:
        op.execute(f"ALTER TABLE alerts DROP COLUMN {name}")

"""Files that an import brought to an archive, and whether their rows are counted.

Only a table is added, so code of the version before goes on. `state` is `coming` before the rows of a file are counted,
`counted` after that, and `leaving` while the import is taken back; `changes` are those of the numbers that wait for the
file to come or go. `again` are the places of rows that began again, because the file does not say so.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

POSTGRES = """
CREATE TABLE import_files (
    import_id text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    place text NOT NULL,
    state text NOT NULL,
    rows bigint NOT NULL,
    again jsonb NOT NULL,
    changes bytea,
    PRIMARY KEY (import_id, path)
)
"""

SQLITE = """
CREATE TABLE import_files (
    import_id TEXT NOT NULL,
    path TEXT NOT NULL,
    place TEXT NOT NULL,
    state TEXT NOT NULL,
    rows INTEGER NOT NULL,
    again TEXT NOT NULL,
    changes BLOB,
    PRIMARY KEY (import_id, path)
) WITHOUT ROWID
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE import_files")

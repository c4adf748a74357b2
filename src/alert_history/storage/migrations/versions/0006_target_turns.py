"""When a target may be told next, by its rate limit, which all replicas share. An SQLite file has one process.

Unlogged: after a crash of the database the count begins anew, and no turn waits for a disk.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

POSTGRES = """CREATE UNLOGGED TABLE target_turns (
    target text COLLATE "C" PRIMARY KEY,
    free_at timestamptz NOT NULL
) WITH (fillfactor = 10)"""


def upgrade() -> None:
    """Add the table; code of the version before keeps the rate of each replica only."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRES)


def downgrade() -> None:
    """Remove it."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TABLE target_turns")

"""What answers took that could not be used: it counts on the budgets, and no classification holds it.

Ids follow the time, so the key finds what was used since then, and what is to be forgotten.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

POSTGRES = """CREATE TABLE unusable_answers (
    id text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL,
    model text NOT NULL,
    tokens bigint NOT NULL,
    cost_usd double precision NOT NULL
)"""

SQLITE = """CREATE TABLE unusable_answers (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    model TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL
) WITHOUT ROWID"""


def upgrade() -> None:
    """Add the table; code of the version before knows nothing of it."""
    op.execute(POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE)


def downgrade() -> None:
    """Remove it; the budgets of the day count less."""
    op.execute("DROP TABLE unusable_answers")

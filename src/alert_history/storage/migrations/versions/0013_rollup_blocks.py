"""Sums of the numbers over blocks of seven and of 28 days: a year is a few blocks, and no 365 days.

A background job fills them from `rollups`, block by block, so nothing is counted here. `rollup_sealed` says which
blocks have their sums.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

POSTGRES = """
CREATE TABLE rollup_blocks (
    days integer NOT NULL,
    first_day integer NOT NULL,
    dimension text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    begun integer NOT NULL,
    repeats bigint NOT NULL,
    ended integer NOT NULL,
    short integer NOT NULL,
    again integer NOT NULL,
    length_us bigint NOT NULL,
    PRIMARY KEY (days, first_day, dimension, value)
);
CREATE TABLE rollup_sealed (
    days integer NOT NULL,
    first_day integer NOT NULL,
    PRIMARY KEY (days, first_day)
)
"""

SQLITE = """
CREATE TABLE rollup_blocks (
    days INTEGER NOT NULL,
    first_day INTEGER NOT NULL,
    dimension TEXT NOT NULL,
    value TEXT NOT NULL,
    begun INTEGER NOT NULL,
    repeats INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    short INTEGER NOT NULL,
    again INTEGER NOT NULL,
    length_us INTEGER NOT NULL,
    PRIMARY KEY (days, first_day, dimension, value)
) WITHOUT ROWID;
CREATE TABLE rollup_sealed (
    days INTEGER NOT NULL,
    first_day INTEGER NOT NULL,
    PRIMARY KEY (days, first_day)
) WITHOUT ROWID
"""


def upgrade() -> None:
    """Add both tables, empty."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them; all that they hold is in `rollups`."""
    op.execute("DROP TABLE rollup_sealed")
    op.execute("DROP TABLE rollup_blocks")

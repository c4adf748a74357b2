"""The feed: what happens to occurrences, for those who follow it live.

Each transaction adds its news to `news_log`, where news waits for its numbers. One replica at a time numbers it: it
moves news into `feed` in a transaction of its own, so numbers are in the order of commits. `position` is the number of
the last of the news in a row, `number` how many there are.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

POSTGRES = """
CREATE TABLE news_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number integer NOT NULL,
    news bytea NOT NULL
);
ALTER TABLE news_log ALTER COLUMN news SET STORAGE EXTERNAL;
CREATE TABLE feed (
    position bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    number integer NOT NULL,
    news bytea NOT NULL
);
ALTER TABLE feed ALTER COLUMN news SET STORAGE EXTERNAL
"""

SQLITE = """
CREATE TABLE news_log (
    id INTEGER PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL,
    news BLOB NOT NULL
);
CREATE TABLE feed (
    position INTEGER PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    news BLOB NOT NULL
)
"""


def upgrade() -> None:
    """Add both tables."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them. What was news is in the history, too."""
    op.execute("DROP TABLE feed")
    op.execute("DROP TABLE news_log")

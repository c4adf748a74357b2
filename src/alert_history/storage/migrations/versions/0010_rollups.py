"""Rollups: the numbers of the history, and how often labels have which values.

`rollup_log` takes what each transaction changes; a background job adds it up in `rollups`, and removes it, in one
transaction. So the sum of both is right at any time. A history that is older than these tables is counted once, when
the service starts: see `engine.rollups`.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

POSTGRES = """
CREATE TABLE rollup_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry bytea,
    target text,
    outcome text,
    settled_at timestamptz,
    number integer
);
ALTER TABLE rollup_log ALTER COLUMN entry SET STORAGE EXTERNAL;
CREATE TABLE rollups (
    dimension text COLLATE "C" NOT NULL,
    day integer NOT NULL,
    value text COLLATE "C" NOT NULL,
    begun integer NOT NULL,
    repeats bigint NOT NULL,
    ended integer NOT NULL,
    short integer NOT NULL,
    again integer NOT NULL,
    length_us bigint NOT NULL,
    minutes bytea NOT NULL,
    moves bytea NOT NULL,
    lengths bytea NOT NULL,
    PRIMARY KEY (dimension, day, value)
);
CREATE TABLE rollups_new (
    dimension text COLLATE "C" NOT NULL,
    day integer NOT NULL,
    value text COLLATE "C" NOT NULL,
    begun integer NOT NULL,
    repeats bigint NOT NULL,
    ended integer NOT NULL,
    short integer NOT NULL,
    again integer NOT NULL,
    length_us bigint NOT NULL,
    minutes bytea NOT NULL,
    moves bytea NOT NULL,
    lengths bytea NOT NULL,
    PRIMARY KEY (dimension, day, value)
);
CREATE INDEX idx_rollups_value ON rollups (dimension, value, day);
CREATE TABLE rollup_again (
    day integer NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    alertname text NOT NULL,
    number integer NOT NULL,
    PRIMARY KEY (day, fingerprint)
);
CREATE TABLE rollup_again_new (
    day integer NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    alertname text NOT NULL,
    number integer NOT NULL,
    PRIMARY KEY (day, fingerprint)
);
CREATE TABLE label_name_counts (
    name text COLLATE "C" PRIMARY KEY,
    occurrences bigint NOT NULL,
    value_count integer NOT NULL,
    other_occurrences bigint NOT NULL
);
CREATE TABLE label_value_counts (
    name text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    occurrences bigint NOT NULL,
    PRIMARY KEY (name, value)
);
CREATE INDEX idx_label_value_counts_most ON label_value_counts (name, occurrences)
"""

SQLITE = """
CREATE TABLE rollup_log (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    entry BLOB,
    target TEXT,
    outcome TEXT,
    settled_at INTEGER,
    number INTEGER
);
CREATE TABLE rollups (
    dimension TEXT NOT NULL,
    day INTEGER NOT NULL,
    value TEXT NOT NULL,
    begun INTEGER NOT NULL,
    repeats INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    short INTEGER NOT NULL,
    again INTEGER NOT NULL,
    length_us INTEGER NOT NULL,
    minutes BLOB NOT NULL,
    moves BLOB NOT NULL,
    lengths BLOB NOT NULL,
    PRIMARY KEY (dimension, day, value)
) WITHOUT ROWID;
CREATE TABLE rollups_new (
    dimension TEXT NOT NULL,
    day INTEGER NOT NULL,
    value TEXT NOT NULL,
    begun INTEGER NOT NULL,
    repeats INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    short INTEGER NOT NULL,
    again INTEGER NOT NULL,
    length_us INTEGER NOT NULL,
    minutes BLOB NOT NULL,
    moves BLOB NOT NULL,
    lengths BLOB NOT NULL,
    PRIMARY KEY (dimension, day, value)
) WITHOUT ROWID;
CREATE INDEX idx_rollups_value ON rollups (dimension, value, day);
CREATE TABLE rollup_again (
    day INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    alertname TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (day, fingerprint)
) WITHOUT ROWID;
CREATE TABLE rollup_again_new (
    day INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    alertname TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (day, fingerprint)
) WITHOUT ROWID;
CREATE TABLE label_name_counts (
    name TEXT NOT NULL PRIMARY KEY,
    occurrences INTEGER NOT NULL,
    value_count INTEGER NOT NULL,
    other_occurrences INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE label_value_counts (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    occurrences INTEGER NOT NULL,
    PRIMARY KEY (name, value)
) WITHOUT ROWID;
CREATE INDEX idx_label_value_counts_most ON label_value_counts (name, occurrences)
"""

_COUNTED = """INSERT INTO settings (name, value, updated_at)
    SELECT 'rollups', '{{"is_counted": true}}', {now} WHERE NOT EXISTS (SELECT 1 FROM alerts)"""


def upgrade() -> None:
    """Add the tables. A history without occurrences is counted already."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for statement in (POSTGRES if is_postgres else SQLITE).split(";\n"):
        op.execute(statement)
    op.execute(_COUNTED.format(now="now()" if is_postgres else "strftime('%s', 'now') * 1000000"))


def downgrade() -> None:
    """Remove them."""
    for table in ("label_value_counts", "label_name_counts", "rollup_log"):
        op.execute(f"DROP TABLE {table}")
    for table in ("rollups", "rollup_again"):
        op.execute(f"DROP TABLE {table}")
        op.execute(f"DROP TABLE {table}_new")
    op.execute("DELETE FROM settings WHERE name = 'rollups'")

"""Segments for searches: what the texts of a run of consecutive occurrences lack, so that a search passes it by.

A segment covers the occurrences of `first_at` ≤ `timestamp` < `until_at` as they were when it was built. `grams` is a
bitmap of `domain.grams`, `complete` lists the labels that all of them have, and they start from `starts_from` to
`starts_to`. An occurrence that is added or reworded later, perhaps by an older release, is a stray: `search_strays`
holds its `timestamp`, and searches read it. So a trigger adds strays; on SQLite only for reworded ones, because a
trigger on inserts costs each of them a journal of its statement, and there the code that makes the ids adds the others.
On PostgreSQL what is written within 30 s of its `timestamp` is no stray: nothing so new is in a segment.
`label_values` are the values of labels in all segments, up to a bound; `label_names` counts them.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

POSTGRES = """
CREATE TABLE search_segments (
    first_at timestamptz PRIMARY KEY,
    until_at timestamptz NOT NULL,
    starts_from timestamptz NOT NULL,
    starts_to timestamptz NOT NULL,
    row_count integer NOT NULL,
    complete text NOT NULL,
    grams bytea NOT NULL
);
ALTER TABLE search_segments ALTER COLUMN grams SET STORAGE EXTERNAL;
CREATE TABLE search_strays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL
);
CREATE INDEX idx_search_strays_at ON search_strays (at);
CREATE TABLE label_names (
    name text COLLATE "C" PRIMARY KEY,
    value_count integer NOT NULL
);
CREATE TABLE label_values (
    name text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    PRIMARY KEY (name, value)
);
CREATE FUNCTION keep_search_stray() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO search_strays (at) VALUES (NEW."timestamp"); RETURN NULL; END $$;
CREATE TRIGGER keep_late_stray AFTER INSERT ON alerts FOR EACH ROW
    WHEN (NEW."timestamp" < clock_timestamp() - interval '30 seconds') EXECUTE FUNCTION keep_search_stray();
CREATE TRIGGER keep_reworded_stray AFTER UPDATE OF annotations ON alerts FOR EACH ROW
    WHEN (NEW."timestamp" < clock_timestamp() - interval '30 seconds' AND OLD.annotations <> NEW.annotations)
    EXECUTE FUNCTION keep_search_stray()
"""

SQLITE = """
CREATE TABLE search_segments (
    first_at INTEGER NOT NULL PRIMARY KEY,
    until_at INTEGER NOT NULL,
    starts_from INTEGER NOT NULL,
    starts_to INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    complete TEXT NOT NULL,
    grams BLOB NOT NULL
);
CREATE TABLE search_strays (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL
);
CREATE INDEX idx_search_strays_at ON search_strays (at);
CREATE TABLE label_names (
    name TEXT NOT NULL PRIMARY KEY,
    value_count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE label_values (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, value)
) WITHOUT ROWID;
CREATE TRIGGER keep_reworded_stray AFTER UPDATE OF annotations ON alerts
    WHEN old.annotations <> new.annotations BEGIN INSERT INTO search_strays (at) VALUES (new.id / 256); END
"""


def upgrade() -> None:
    """Add the tables and triggers."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER keep_late_stray ON alerts")
        op.execute("DROP TRIGGER keep_reworded_stray ON alerts")
        op.execute("DROP FUNCTION keep_search_stray")
    else:
        op.execute("DROP TRIGGER keep_reworded_stray")
    for table in ("label_values", "label_names", "search_strays", "search_segments"):
        op.execute(f"DROP TABLE {table}")

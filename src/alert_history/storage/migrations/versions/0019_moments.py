"""What was true at a past moment: which alerts fired, and how silences and configurations stood.

Only tables and an index are added, so code of the version before goes on; what it records meanwhile has no late ends.

An alert that fired at a moment is found by one of four ways, none of which grows with the history. Most firings are
shorter than an hour, so they were received around that moment, where an index of times finds them. `idx_alerts_long`
has those that took longer, or were received more than an hour after their start. Its first column says how long about:
each class is four times the one before, so that of each only the starts within its length are read. Those that fire
still have an index. `late_ends` has ends of which we learnt late, or that are known by their bounds alone.

The index costs 33 bytes for each long firing on PostgreSQL, and nothing for others: of ten million firings of which a
sixth is long 50 MB, where the history takes 10 GB. Making it, and finding the late ends, took SQLite 1.3 s of processor
time for a million occurrences. Plain repeats change none of its columns, so they stay as cheap as they are; an end
changes an index of PostgreSQL anyway, because `status` is in the condition of others. An operator who wants no lock on
a large `alerts` makes an index of this name beforehand, one partition at a time.
`late_ends` has 80 bytes for each end that became known more than 20 minutes after it.

`configuration_versions.original` is compressed text, of which all secrets were masked before. A silence without a known
cluster has the cluster ''.
"""

from alembic import op

revision = "0019"
down_revision = "0018"

_HOURS = (4, 16, 64, 256, 1024, 4096)
_HOUR_US = 3_600_000_000

_POSTGRES_REACH = 'greatest(ends_at, "timestamp") - coalesce(began_at, starts_at)'
_SQLITE_REACH = 'max(ends_at, "timestamp") - coalesce(began_at, starts_at)'


def _postgres_class(length: str, *, least: int = 1) -> str:
    whens = [f"WHEN {length} <= interval '{hours} hours' THEN {number}" for number, hours in enumerate(_HOURS, 1)]
    short = [] if least else [f"WHEN {length} <= interval '1 hours' THEN 0"]
    return f"CASE {' '.join([*short, *whens])} ELSE {len(_HOURS) + 1} END"


def _sqlite_class(length: str, *, least: int = 1) -> str:
    whens = [f"WHEN {length} <= {hours * _HOUR_US} THEN {number}" for number, hours in enumerate(_HOURS, 1)]
    short = [] if least else [f"WHEN {length} <= {_HOUR_US} THEN 0"]
    return f"CASE {' '.join([*short, *whens])} ELSE {len(_HOURS) + 1} END"


POSTGRES = f"""
CREATE TABLE configuration_versions (
    cluster text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    original bytea NOT NULL,
    facts jsonb NOT NULL,
    PRIMARY KEY (cluster, since)
);
CREATE TABLE silence_versions (
    id text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL,
    cluster text COLLATE "C" NOT NULL,
    matchers jsonb NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    created_by text NOT NULL,
    comment text NOT NULL,
    known_at timestamptz NOT NULL,
    PRIMARY KEY (id, updated_at, cluster)
);
CREATE INDEX idx_silence_versions_ends_at ON silence_versions (ends_at, updated_at);
INSERT INTO silence_versions
    SELECT id, date_trunc('milliseconds', updated_at, 'UTC'), '', matchers,
        date_trunc('milliseconds', starts_at, 'UTC'), date_trunc('milliseconds', ends_at, 'UTC'),
        created_by, comment, updated_at FROM silences;
CREATE TABLE late_ends (
    length integer NOT NULL,
    ends_at timestamptz NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    PRIMARY KEY (length, ends_at, fingerprint, starts_at)
);
INSERT INTO late_ends (length, ends_at, fingerprint, starts_at, until_at)
    SELECT {_postgres_class("at - ended", least=0)}, ended, fingerprint, starts_at, at FROM (
        SELECT fingerprint, starts_at, at, (detail ->> 'ends_at')::timestamptz AS ended FROM events
        WHERE kind IN ('resolved', 'expired', 'inferred', 'reconciled') AND key > 1 AND detail ->> 'ends_at' IS NOT NULL
    ) e WHERE at - ended > interval '20 minutes' ON CONFLICT DO NOTHING;
CREATE INDEX IF NOT EXISTS idx_alerts_long ON alerts (({_postgres_class(_POSTGRES_REACH)}),
    (coalesce(began_at, starts_at))) WHERE status = 'resolved' AND {_POSTGRES_REACH} > interval '1 hours'
"""

SQLITE = f"""
CREATE TABLE configuration_versions (
    cluster TEXT NOT NULL,
    since INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    original BLOB NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (cluster, since)
);
CREATE TABLE silence_versions (
    id TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    matchers TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    comment TEXT NOT NULL,
    known_at INTEGER NOT NULL,
    PRIMARY KEY (id, updated_at, cluster)
) WITHOUT ROWID;
CREATE INDEX idx_silence_versions_ends_at ON silence_versions (ends_at, updated_at);
INSERT INTO silence_versions
    SELECT id, updated_at / 1000 * 1000, '', matchers, starts_at / 1000 * 1000, ends_at / 1000 * 1000,
        created_by, comment, updated_at FROM silences;
CREATE TABLE late_ends (
    length INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    PRIMARY KEY (length, ends_at, fingerprint, starts_at)
) WITHOUT ROWID;
INSERT INTO late_ends (length, ends_at, fingerprint, starts_at, until_at)
    SELECT {_sqlite_class("e.at - e.ended", least=0)}, e.ended, a.fingerprint, a.starts_at, e.at FROM (
        SELECT alert_id, at, strftime('%s', json_extract(detail, '$.ends_at')) * 1000000 AS ended FROM events
        WHERE kind IN ('resolved', 'expired', 'inferred', 'reconciled') AND key > 1
    ) e JOIN alerts a ON a.id = e.alert_id WHERE e.at - e.ended > 1200000000 ON CONFLICT DO NOTHING;
CREATE INDEX IF NOT EXISTS idx_alerts_long ON alerts ({_sqlite_class(_SQLITE_REACH)}, coalesce(began_at, starts_at))
    WHERE status = 'resolved' AND {_SQLITE_REACH} > {_HOUR_US}
"""


def upgrade() -> None:
    """Add the tables and the index, and fill the tables with what is known."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP INDEX idx_alerts_long")
    for table in ("late_ends", "silence_versions", "configuration_versions"):
        op.execute(f"DROP TABLE {table}")

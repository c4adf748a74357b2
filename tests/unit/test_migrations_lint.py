"""No migration takes a lock or rewrites a table in a way that stops ingest, unless its reason stands here.

squawk reads the statements that Alembic would send to PostgreSQL, in the transaction in which they would be sent.
"""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from alert_history.storage.migrations import run

OLDEST_POSTGRES = "14"
NOT_ASKED = {
    "prefer-bigint-over-int": "these integers count within one request, or attempts; what grows is a time or a bigint",
    "require-statement-timeout": "a migration is one transaction, and half of one is of no use; its locks have an end",
}
"""Rules that are not asked, and why."""

_QUEUE = "`delivery_queue` holds what waits, so it is short; senders come again after 503"
ALLOWED = {
    "0003": {"require-concurrent-index-creation": _QUEUE},
    "0004": {"require-concurrent-index-creation": _QUEUE, "require-concurrent-index-deletion": _QUEUE},
    "0008": {
        "require-concurrent-index-creation": "partial: `alerts` is read once and little written; senders come again"
    },
    "0011": {"require-concurrent-index-creation": _QUEUE},
    "0012": {
        "require-concurrent-index-creation": "partial: `events` is read once, few are indexed; there are few silences"
    },
    "0016": {"require-concurrent-index-creation": "`audit` is short: until now it held switches and corrections alone"},
    "0019": {
        "require-concurrent-index-creation": "partial: `alerts` is read once, and long firings are few; the rest is new"
    },
}
"""What a migration does all the same, and why it may. One that is not here may do nothing of the kind."""

SCRIPTS = Config()
SCRIPTS.set_main_option("script_location", str(Path(run.__file__).parent))
MIGRATIONS = sorted(ScriptDirectory.from_config(SCRIPTS).walk_revisions(), key=lambda script: script.revision)


def statements(script: Script) -> str:
    """The SQL of an upgrade, after what `migrations.run` sends before it."""
    written = io.StringIO()
    options = {"as_sql": True, "output_buffer": written}
    with Operations.context(MigrationContext.configure(dialect_name="postgresql", opts=options)):
        script.module.upgrade()
    return f"SET LOCAL lock_timeout = '300s';\n{written.getvalue()}"


def findings(sql: str) -> set[str]:
    """The rules that these statements break."""
    squawk = Path(sys.executable).with_name("squawk")
    options = ["--reporter=json", "--assume-in-transaction", f"--pg-version={OLDEST_POSTGRES}"]
    excluded = [f"--exclude={rule}" for rule in NOT_ASKED]
    done = subprocess.run([squawk, *options, *excluded], input=sql, capture_output=True, text=True, check=False)
    return {finding["rule_name"] for finding in json.loads(done.stdout)}


@pytest.mark.parametrize("script", MIGRATIONS, ids=lambda script: str(script.revision))
def test_a_migration_does_nothing_that_stops_ingest_without_a_reason(script: Script) -> None:
    assert findings(statements(script)) == ALLOWED.get(script.revision, {}).keys()


@pytest.mark.parametrize(
    "sql, rule",
    [
        ("CREATE INDEX idx_alerts_x ON alerts (severity);", "require-concurrent-index-creation"),
        ("ALTER TABLE alerts ALTER COLUMN claim TYPE text;", "changing-column-type"),
        (
            "ALTER TABLE alerts ADD COLUMN x timestamptz NOT NULL DEFAULT clock_timestamp();",
            "adding-field-with-default",
        ),
        ("ALTER TABLE alerts ALTER COLUMN claim SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE alerts RENAME COLUMN claim TO x;", "renaming-column"),
        ("ALTER TABLE alerts DROP COLUMN claim;", "ban-drop-column"),
    ],
)
def test_a_statement_that_locks_or_rewrites_is_found(sql: str, rule: str) -> None:
    assert rule in findings(f"SET LOCAL lock_timeout = '300s';\n{sql}")

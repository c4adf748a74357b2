"""Which alerts a silence muted, and which silences end soon: two indexes for the inventory of silences.

The index of events holds those of the kind `silenced` alone, so recording other events costs nothing. An operator who
wants no lock on a large `events` makes an index of this name beforehand, one partition at a time.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    "CREATE INDEX IF NOT EXISTS idx_events_silenced ON events ((detail ->> 'silence_id'), at) WHERE kind = 'silenced'",
    "CREATE INDEX IF NOT EXISTS idx_silences_ends_at ON silences (ends_at, id)",
)


def upgrade() -> None:
    """Add both indexes."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP INDEX idx_silences_ends_at")
    op.execute("DROP INDEX idx_events_silenced")

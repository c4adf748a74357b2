"""What is leased has an index of its own, however much waits beside it.

Leases that ran out, and alerts that are under way, were looked for among everything that waits for a target. On
PostgreSQL the deliveries of an alert are found by `idx_delivery_queue_occurrence`, so the wider index goes.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_LEASED = "CREATE INDEX idx_delivery_queue_leased ON delivery_queue (target, fingerprint) WHERE state = 'leased'"
_ALERT = "CREATE INDEX idx_delivery_queue_alert ON delivery_queue (target, fingerprint, starts_at, event_key)"


def upgrade() -> None:
    """Code of the version before finds the same, if slower."""
    op.execute(_LEASED)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX idx_delivery_queue_alert")


def downgrade() -> None:
    """As before."""
    op.execute("DROP INDEX idx_delivery_queue_leased")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_ALERT)

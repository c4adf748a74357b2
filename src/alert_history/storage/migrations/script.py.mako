"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """${message}."""
    ${upgrades if upgrades else "raise SystemExit('write the upgrade')"}


def downgrade() -> None:
    """Undo it."""
    ${downgrades if downgrades else "raise SystemExit('write the downgrade')"}

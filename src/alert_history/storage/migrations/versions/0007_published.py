"""Whether a request that is to be published said that the occurrence fires; the first that does notifies the targets.

True for what is stored before, and for what code of the version before adds: nobody is paged anew for those.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; code of the version before leaves it as it is."""
    kind = (
        "boolean NOT NULL DEFAULT true" if op.get_bind().dialect.name == "postgresql" else "INTEGER NOT NULL DEFAULT 1"
    )
    op.execute(f"ALTER TABLE alerts ADD COLUMN is_published {kind}")


def downgrade() -> None:
    """Remove it."""
    op.execute("ALTER TABLE alerts DROP COLUMN is_published")

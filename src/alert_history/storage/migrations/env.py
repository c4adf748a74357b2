"""Alembic's entry: runs the migrations on the connection it is handed, one process at a time.

Only `alert_history.storage.migrations.run` calls this; the lock is taken there.
"""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=False)
context.run_migrations()

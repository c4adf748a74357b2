"""Where history is kept: PostgreSQL or SQLite, behind the ports. SQL lives here and nowhere else."""

from alert_history.domain.standing import DEFAULT_RULES, Rules
from alert_history.ports import Router, Store


def open_store(
    database_url: str,
    *,
    read_database_url: str | None = None,
    router: Router | None = None,
    rules: Rules = DEFAULT_RULES,
) -> Store:
    """The store that a `DATABASE_URL` names; it connects when it is opened. Raises ValueError on another scheme.

    `router` decides which targets are notified of what is recorded; without a router no target is. `rules` say how long
    a silent sender is believed.
    """
    if is_sqlite(database_url):
        from alert_history.storage.sqlite.store import sqlite_store

        return sqlite_store(database_url, router=router, rules=rules)
    from alert_history.storage.postgres.store import postgres_store

    return postgres_store(database_url, read_database_url=read_database_url, router=router, rules=rules)


def is_sqlite(database_url: str) -> bool:
    """Whether a URL names a file rather than a server. Raises ValueError on any other scheme."""
    scheme = database_url.split(":", 1)[0].split("+", 1)[0]
    if scheme in {"postgresql", "postgres"}:
        return False
    if scheme == "sqlite":
        return True
    raise ValueError(f"{scheme}:// is not postgresql:// or sqlite:///")

"""Another program's PostgreSQL, read by a cursor of the server, so that only some rows are in memory at once.

Rows come as JSON, which the server makes: a time is a text, whatever the column's type is, and no row of odd values
stops the others. All is read in one snapshot, and nothing is written. Must not know whose tables they are.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from alert_history.errors import ConfigurationError, OriginUnavailable
from alert_history.origins.imports.guard import check_place
from alert_history.ports.past_origins import ImportRequest, Option
from alert_history.urls.masking import masked_url, masked_wrong_url
from alert_history.urls.postgres import read_postgres_url
from alert_history.urls.url import UrlFault

DATABASE = Option("database", "Its PostgreSQL instead, as in postgresql://user:password@host:5432/name.", kind="secret")

_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 300
_ROWS = 200
_PORT = 5432
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")

_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"


class ForeignPostgres:
    """A database of another program, inside one snapshot. Made by `open_postgres`."""

    def __init__(self, connection: Any, *, name: str) -> None:
        self._connection = connection
        self.name = name
        """Its URL without the password, so it may be shown."""

    async def columns(self, table: str) -> frozenset[str]:
        """The names of the columns of a table; none where there is no such table in the search path."""
        return frozenset(row["attname"] for row in await self._connection.fetch(_COLUMNS, f'"{table}"'))

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        number: int = await self._connection.fetchval(f'SELECT count(*) FROM "{table}"')  # a name of ours
        return number

    async def rows(self, table: str) -> AsyncIterator[list[str]]:
        """All rows of a table, some at a time, in its order: each a JSON object by the names of columns."""
        cursor = await self._connection.cursor(f'SELECT to_jsonb(each)::text FROM "{table}" AS each')  # as above
        while rows := await cursor.fetch(_ROWS):
            yield [row[0] for row in rows]


@asynccontextmanager
async def open_postgres(request: ImportRequest, *, option: str = DATABASE.name) -> AsyncIterator[ForeignPostgres]:
    """The database that an option of the request names.

    Raises: ConfigurationError where it is no URL of PostgreSQL; OriginUnavailable where it does not answer.
    """
    import asyncpg  # only who asks a database loads its driver

    url = _url(request.text(option), option=option)
    name = masked_url(url)
    password = await _guarded_password(request, url, option=option)
    try:
        connection = await asyncpg.connect(
            url, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS, password=password
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
        raise OriginUnavailable(f"{name}: {_words(error)}") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield ForeignPostgres(connection, name=name)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError, TimeoutError) as error:
        raise OriginUnavailable(f"{name}: {_words(error)}") from None
    finally:
        connection.terminate()


def _url(text: str, *, option: str) -> str:
    """The URL as the driver takes it. Raises: ConfigurationError."""
    text = text.strip()
    try:
        read_postgres_url(text)
    except UrlFault as fault:
        raise ConfigurationError([f"--{option}: {masked_wrong_url(text)}: {fault}"]) from None
    scheme, separator, rest = text.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


async def _guarded_password(request: ImportRequest, url: str, *, option: str) -> str | None:
    """The password for a URL that was given over HTTP: its own or none, never one that this machine keeps.

    Nor may the URL name a file or a socket of the machine. None, for the command line: the driver looks for one.

    Raises: ConfigurationError; OriginUnavailable for an address where no import over HTTP may reach.
    """
    if not request.is_guarded:
        return None
    parts = read_postgres_url(url)
    of_machine = parts.parameters.passfile or any(parts.parameters.driver.get(name) for name in _FILES)
    if of_machine or not parts.hosts or any(host.name.startswith("/") for host in parts.hosts):
        raise ConfigurationError([f"--{option}: over HTTP it names a host, and no file or socket of this machine"])
    for host in parts.hosts:
        await check_place(request, host.name, host.port or _PORT)
    return parts.password or ""


def _words(error: BaseException) -> str:
    """What a driver says, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__

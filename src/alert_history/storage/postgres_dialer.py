"""How PostgreSQL is connected to: by everything of ours, and with parts of a URL, never with the URL itself.

So no error of the driver or of Python can hold a URL, and what an error says of a connection is told in words that hold
no more than what the server said.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlencode

import asyncpg

from alert_history.errors import StorageUnavailable
from alert_history.urls.postgres import PostgresUrl

Connection: TypeAlias = "asyncpg.Connection[Any]"

# asyncio makes the errors of several addresses one, which has their numbers in its text alone.
_NUMBER = re.compile(r"\[Errno (\d{1,5})\]", re.ASCII)
_REFUSES_TLS = "rejected SSL upgrade"  # asyncpg's words


class Dialer:
    """Connects to where one URL points. Bound to no event loop."""

    def __init__(self, url: PostgresUrl) -> None:
        self._arguments = driver_arguments(url)

    async def connect(
        self, settings: Mapping[str, str], *, timeout_seconds: float, command_seconds: float | None = None
    ) -> Connection:
        """A connection with these settings of the server. Raises: StorageUnavailable."""
        with _told_without_url():
            connection: Connection = await asyncpg.connect(
                **self._arguments,
                timeout=timeout_seconds,
                command_timeout=command_seconds,
                server_settings=dict(settings),
            )
            return connection


def driver_arguments(url: PostgresUrl) -> dict[str, Any]:
    """What asyncpg takes. Its parameters go the only way there is for some of them, in a URL without all the rest."""
    ports = [host.port for host in url.hosts]
    return {
        "dsn": f"postgresql://?{urlencode(url.parameters)}",
        "host": [host.name for host in url.hosts] or None,
        "port": (ports if all(ports) else None) if ports else url.port,
        "user": url.user,
        "password": url.password,
        "database": url.database,
    }


@contextmanager
def _told_without_url() -> Iterator[None]:
    """Whatever goes wrong on the way to a connection: none of it is the fault of what was to be stored."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise StorageUnavailable(f"database: {error}") from error
    except Exception as error:  # noqa: BLE001  # its text may be about any part of the URL
        raise StorageUnavailable(f"database: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """Why there is no connection, or none any more, without the text of an error that may be about the URL."""
    if isinstance(error, OSError):
        return _network_reason(error)
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "no host is what target_session_attrs asks for"
    if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError):
        return str(error)
    return f"the driver refuses it ({type(error).__name__})"


def _network_reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', None) or error.reason or type(error).__name__}"
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    if error.errno or (numbers := _NUMBER.findall(str(error))):
        return os.strerror(error.errno or int(numbers[0]))
    return "the server speaks no TLS" if _REFUSES_TLS in str(error) else "the connection could not be made, or broke"

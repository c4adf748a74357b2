"""What an error of asyncpg means to the caller, while a connection is made and while it is used.

The text of an error about a connection holds only words of the server and words of ours, and no part of a URL.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from alert_history.errors import QueryTimeout, StorageUnavailable, UnstorableReceipt

# asyncio joins the errors of several addresses into one error, with their numbers in its text alone.
_NUMBER = re.compile(r"\[Errno (\d{1,5})\]", re.ASCII)
_REFUSES_TLS = "rejected SSL upgrade"  # asyncpg's words


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns an error of the driver into what it means to the caller, by SQLSTATE."""
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise QueryTimeout("the query took too long; try a narrower time range") from error
    except (asyncpg.DataError, UnicodeError) as error:  # refused by the driver before it was sent
        raise UnstorableReceipt(str(error)) from error
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "")[:2] in {"22", "23", "54"}:
            raise UnstorableReceipt(str(error)) from error
        raise StorageUnavailable(f"database: {error}") from error
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise StorageUnavailable(f"database: {reason_of(error)}") from error


@contextmanager
def errors_without_url() -> Iterator[None]:
    """Turns each error on the way to a connection into StorageUnavailable: the data to store is not at fault."""
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

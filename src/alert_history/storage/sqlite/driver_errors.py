"""What an error of `sqlite3` means to the caller."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from alert_history.errors import QueryTimeout, StorageUnavailable, UnstorableReceipt


def is_interrupted(error: sqlite3.Error) -> bool:
    """Whether `connection.time_limit` caused an error."""
    return error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns an error of the driver into what it means to the caller."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeError) as error:
        raise UnstorableReceipt(str(error)) from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise QueryTimeout("the query took too long; try a narrower time range") from error
        raise StorageUnavailable(f"database: {error}") from error

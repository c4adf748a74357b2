"""Works, which run on either database: statements of SQLAlchemy Core in, rows of domain values out.

A work is a coroutine function whose first argument is a session. It runs inside one transaction or one read, and waits
for its session alone, because on SQLite a thread of the database drives it to its end, without an event loop. So a work
does no other I/O, and is as short as an open transaction should be.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from sqlalchemy import Executable

P = ParamSpec("P")
T = TypeVar("T")

Row: TypeAlias = Any
"""A named tuple with the column names of the statement. Times are aware, JSON has the type of its column."""


class Session(Protocol):
    """One transaction, or one read, of either database. Parameters have the names of the bindparams."""

    async def fetch(self, statement: Executable, **parameters: Any) -> list[Row]:
        """All rows of a statement, in its order."""
        ...

    async def fetch_anew(self, statement: Executable) -> list[Row]:
        """As `fetch`, for a statement that is made for this one time: it is not remembered."""
        ...

    async def execute(self, statement: Executable, **parameters: Any) -> int:
        """Run a statement; returns how many rows changed."""
        ...

    async def execute_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement for each row of parameters, in order."""
        ...


Work: TypeAlias = Callable[Concatenate[Session, P], Coroutine[Any, Any, T]]


class Snapshot(Protocol):
    """The database as it was at one moment, for a job that reads it for long."""

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a work that reads."""
        ...


class Database(Protocol):
    """Runs works. Each call may raise StorageUnavailable; reads may raise QueryTimeout, writes UnstorableReceipt."""

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a work that reads, on a replica if there is one; a read that takes too long is broken off."""
        ...

    async def read_few(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for statements that find few rows, whichever values they look for.

        PostgreSQL plans such a statement once: over a year of partitions a plan costs ten times what the answer does.
        """
        ...

    async def read_latest(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a work that reads everything committed, which a replica may know later."""
        ...

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a work in one transaction, committed when this returns, rolled back when the work raises."""
        ...

    async def write_slowly(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for a work that may take minutes: on PostgreSQL no other work waits for it."""
        ...

    async def write_aside(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for the jobs that look after the tables: on PostgreSQL no delivery waits for it."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """A snapshot, for as long as it is open."""
        ...


def run_to_end(work: Awaitable[T]) -> T:
    """The result of a work that never waits. Raises RuntimeError if the work waits."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()
    raise RuntimeError("a work waits for something else than its session")

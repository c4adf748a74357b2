"""What portable work asks of a database: statements of SQLAlchemy Core in, rows of domain values out.

A work is a coroutine function whose first argument is a session. It runs inside one transaction or one read, and waits
for nothing but its session: on SQLite it is driven to its end in a thread of the database, without an event loop. So a
work does no other I/O, and no more than its caller would want to do while a transaction is open.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from sqlalchemy import Executable

P = ParamSpec("P")
T = TypeVar("T")

Row: TypeAlias = Any
"""A named tuple with the names of the statement's columns. Times are aware, JSON is what its column says."""


class Session(Protocol):
    """One transaction, or one read, of either database. Parameters go by the names of the statement's bindparams."""

    async def fetch(self, statement: Executable, **parameters: Any) -> list[Row]:
        """All rows that a statement returns, in its order."""
        ...

    async def execute(self, statement: Executable, **parameters: Any) -> int:
        """Run a statement; how many rows it changed."""
        ...

    async def execute_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each of these parameters, in order."""
        ...


Work: TypeAlias = Callable[Concatenate[Session, P], Coroutine[Any, Any, T]]


class Database(Protocol):
    """Runs works. Each call may raise StorageUnavailable; reads may raise QueryTimeout, writes UnstorableReceipt."""

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it for reading, on a replica where there is one; broken off after a few seconds."""
        ...

    async def read_latest(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it for reading where all that was committed is known: a replica may not know it yet."""
        ...

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in one transaction, committed when this returns, rolled back when the work raises."""
        ...

    async def write_slowly(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for what may take minutes: on PostgreSQL nothing else waits for it."""
        ...


def run_to_end(work: Awaitable[T]) -> T:
    """What a work returns that never really waits. Raises RuntimeError if it does wait."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()
    raise RuntimeError("a work waits for something else than its session")

"""Statements of SQLAlchemy Core as the drivers take them: SQL text, arguments by position, rows with our values.

The engine and the connections of SQLAlchemy would cost more than the statements themselves, so we use neither. We
compile a statement once for each dialect. So statements are constants of their modules, and a bindparam varies.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Boolean, Dialect, Executable
from sqlalchemy.types import TypeDecorator, TypeEngine

from alert_history.storage.shared.session import Row

_MOST_STATEMENTS = 512

_Convert = Callable[[Any], Any]


class Compiled(msgspec.Struct, frozen=True):
    """A statement for one driver. `constants` are the values inside the statement."""

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    to_driver: Mapping[str, _Convert]
    from_driver: tuple[tuple[int, _Convert], ...]
    make_row: Callable[[Iterable[Any]], Row]

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The driver's arguments by position. Raises KeyError if one is missing."""
        return [self._argument(name, parameters) for name in self.names]

    def _argument(self, name: str, parameters: Mapping[str, Any]) -> Any:
        value = parameters[name] if name in parameters else self.constants[name]
        convert = self.to_driver.get(name)
        return value if convert is None else convert(value)

    def rows(self, records: Iterable[Sequence[Any]]) -> list[Row]:
        """The driver's rows as named tuples of our values."""
        if not self.from_driver:
            return [self.make_row(record) for record in records]
        return [self._row(record) for record in records]

    def _row(self, record: Sequence[Any]) -> Row:
        values = list(record)
        for place, convert in self.from_driver:
            values[place] = convert(values[place])
        return self.make_row(values)


def compiled(statement: Executable, dialect: Dialect) -> Compiled:
    """The statement for that dialect's driver."""
    made: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every executable has it
    columns = made._result_columns or ()  # noqa: SLF001  # the dialect's own names and types, without its driver
    processors = [_from_driver(column.type, dialect) for column in columns]
    row = namedtuple("row", [column.keyname for column in columns], rename=True)  # type: ignore[misc]  # noqa: PYI024
    return Compiled(
        text=str(made),
        names=tuple(made.positiontup or ()),
        constants={name: bind.effective_value for name, bind in made.binds.items() if not bind.required},
        to_driver=dict(made._bind_processors),  # noqa: SLF001  # as above
        from_driver=tuple((place, convert) for place, convert in enumerate(processors) if convert is not None),
        make_row=row._make,
    )


compiled_once = lru_cache(maxsize=_MOST_STATEMENTS)(compiled)
"""As `compiled`; the same object for the same statement."""


def _from_driver(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    """The conversion of a driver's value into ours; None for texts and numbers, which need no conversion."""
    if not isinstance(kind, TypeDecorator | Boolean):
        return None
    convert: _Convert | None = kind._cached_result_processor(dialect, None)  # noqa: SLF001  # the one that engines use
    return convert

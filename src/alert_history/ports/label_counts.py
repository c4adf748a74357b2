"""Which labels there are, and with which values, in all history."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class LabelName(msgspec.Struct, frozen=True):
    """How many occurrences have a label, and with how many values.

    `value_count` values are kept by name, and `other_occurrences` have another value: a label has a bound of values,
    and so has the length of one. In a list of labels these two may lack what came in the last seconds.
    """

    name: str
    occurrences: int = 0
    value_count: int = 0
    other_occurrences: int = 0


class LabelValue(msgspec.Struct, frozen=True):
    """How many occurrences have a label with this value."""

    value: str
    occurrences: int


class ValuesFound(msgspec.Struct, frozen=True):
    """The values of a label, the most frequent first. `is_complete` is false where there are more of them."""

    label: LabelName
    values: Sequence[LabelValue]
    is_complete: bool


class LabelCounts(Protocol):
    """Counts of labels. Each call may raise StorageUnavailable or QueryTimeout.

    What is not added up yet is in all counts all the same.
    """

    async def names(self) -> Sequence[LabelName]:
        """All labels, those of the most occurrences first."""
        ...

    async def values(self, name: str, *, prefix: str, limit: int) -> ValuesFound:
        """The values of a label that begin with a prefix, at most so many; none of a label that nothing has."""
        ...

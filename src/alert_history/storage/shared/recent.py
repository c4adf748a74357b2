"""What a recorder has seen lately, within bounds: a hint which statement to try first, and never the truth."""

from collections.abc import Mapping
from itertools import islice
from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def remember(known: dict[_Key, _Value], news: Mapping[_Key, _Value], *, limit: int) -> None:
    """Add news to the known entries; beyond `limit`, forget the oldest entries."""
    known.update(news)
    surplus = max(len(known) - limit, 0)
    for key in list(islice(known, surplus)):
        del known[key]

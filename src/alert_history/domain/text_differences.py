"""What is different between two sets of named texts, such as the annotations of an alert now and the last time."""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

Difference = Literal["same", "added", "removed", "changed"]


class ComparedText(msgspec.Struct, frozen=True):
    """A text by its name, as it is and as it was; None where there is or was no such text."""

    name: str
    now: str | None
    before: str | None
    difference: Difference


def compared(now: Mapping[str, str], before: Mapping[str, str] | None) -> list[ComparedText]:
    """All texts of both, by name: those of now in their order, then those that are gone.

    With `before` None there is nothing to compare with, and each text is the same.
    """
    known = now if before is None else before
    return [*_present(now, known), *(ComparedText(name, None, known[name], "removed") for name in _gone(now, known))]


def _present(now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[ComparedText]:
    for name, text in now.items():
        earlier = before.get(name)
        if earlier is None:
            yield ComparedText(name, text, None, "added")
        else:
            yield ComparedText(name, text, earlier, "same" if earlier == text else "changed")


def _gone(now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    return [name for name in before if name not in now]

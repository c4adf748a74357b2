"""The order in which Alertmanager lists alerts and groups. Source: `alert` of it, `model` of prometheus/common."""

from collections.abc import Mapping
from typing import Any


class _Later(str):
    """A name that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def label_order(labels: Mapping[str, str]) -> tuple[Any, ...]:
    """A key to sort label sets by: those with fewer labels first, then by the first label that differs.

    Of two sets with the same number of labels, the one that lacks the first name in which they differ comes first.
    """
    return (len(labels), *((_Later(name), value) for name, value in sorted(labels.items())))


def alert_order(labels: Mapping[str, str]) -> tuple[Any, ...]:
    """A key to sort alerts by: by job, then by instance, those without one last; then by `label_order`."""
    return (*((name not in labels, labels.get(name, "")) for name in ("job", "instance")), *label_order(labels))

"""Facets: which values of each label the occurrences of a span have most often."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from alert_history.domain.covers import Covers
from alert_history.domain.stacks import ranked
from alert_history.engine.analysis import Asked
from alert_history.engine.value_counts import Counts, ValueCounting

DEFAULT_LABELS = ("alertname", "severity", "namespace", "receiver", "source")


class FacetValue(msgspec.Struct, frozen=True):
    """How many occurrences with one value of a label began, and which share of the total that is, 0 to 1.

    `value` is '' for occurrences without the label. Only in `compared`: `change` is how many more began in the span
    that was asked for.
    """

    value: str
    begun: int
    share: float
    change: int | UnsetType = UNSET


class OtherFacetValues(msgspec.Struct, frozen=True):
    """All other values of a label together; `values` is how many there are. `change` as in `FacetValue`."""

    values: int
    begun: int
    share: float
    change: int | UnsetType = UNSET


class Facet(msgspec.Struct, frozen=True):
    """One label. `total` is the sum of `values` and `other`."""

    by: str
    total: int
    values: list[FacetValue]
    other: OtherFacetValues
    covers: Covers


class Facets(msgspec.Struct, frozen=True):
    """The labels that were asked for, in that order; the values with most come first.

    The total of each facet is `total`, unless alerts arrived between the readings of two facets. `compared` is the same
    of the span before, with the same values in the same order; `change` there is how many more began in the span asked
    for.
    """

    total: int
    facets: list[Facet]
    covers: Covers
    compared: "Facets | None" = None
    change: int | UnsetType = UNSET


class FacetCounting:
    """Answers with facets. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, counting: ValueCounting) -> None:
        self._counting = counting

    async def facets(self, asked: Asked, labels: Sequence[str], *, top: int, is_compared: bool = False) -> Facets:
        """The facets of these labels, each with its `top` values; at least one label."""
        counts = await self._counting.by_labels(asked, labels)
        facets = [_facet(label, of_label, ranked(of_label.values, top)) for label, of_label in counts.items()]
        compared = await self._before(asked, facets) if is_compared else None
        return Facets(facets[0].total, facets, facets[0].covers, compared)

    async def _before(self, asked: Asked, facets: Sequence[Facet]) -> Facets:
        before = await self._counting.by_labels(asked.before, [facet.by for facet in facets])
        compared = [_compared(before[facet.by], facet) for facet in facets]
        return Facets(compared[0].total, compared, compared[0].covers, change=facets[0].total - compared[0].total)


def _facet(label: str, counts: Counts, values: Sequence[str]) -> Facet:
    total = counts.total
    rows = [
        FacetValue(value, counts.values.get(value, 0), _share(counts.values.get(value, 0), total)) for value in values
    ]
    begun = total - sum(row.begun for row in rows)
    others = sum(number > 0 for value, number in counts.values.items() if value not in frozenset(values))
    return Facet(label, total, rows, OtherFacetValues(others, begun, _share(begun, total)), counts.covers)


def _compared(before: Counts, facet: Facet) -> Facet:
    """The span before, with the values of a facet."""
    made = _facet(facet.by, before, [row.value for row in facet.values])
    rows = [
        msgspec.structs.replace(row, change=now.begun - row.begun)
        for row, now in zip(made.values, facet.values, strict=True)
    ]
    other = msgspec.structs.replace(made.other, change=facet.other.begun - made.other.begun)
    return msgspec.structs.replace(made, values=rows, other=other)


def _share(number: int, total: int) -> float:
    return number / total if total else 0.0

"""What changed against the span before: which rules came more often, which less, and by how much."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from alert_history.domain.covers import Covers
from alert_history.domain.severity import urgency
from alert_history.engine.analysis import Asked
from alert_history.engine.value_counts import ValueCounting


class Changed(msgspec.Struct, frozen=True):
    """How often one value began in the span, and in the span before."""

    value: str
    now: int
    before: int

    @property
    def change(self) -> int:
        """How many more began in the span than before it."""
        return self.now - self.before


class SpanChanges(msgspec.Struct, frozen=True):
    """`whole` is of all alerts. Rules in `more` and `less` changed most, the most first; `covers` is of the span."""

    whole: Changed
    severities: Sequence[Changed]
    more: Sequence[Changed]
    less: Sequence[Changed]
    covers: Covers


class ChangeCounting:
    """Compares spans. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, counting: ValueCounting) -> None:
        self._counting = counting

    async def changes(self, asked: Asked, *, top: int) -> SpanChanges:
        """What changed against the span before, which is as long: `top` rules in each direction."""
        labels = ("severity", "alertname")
        async with asyncio.TaskGroup() as tasks:
            spans = [tasks.create_task(self._counting.by_labels(each, labels)) for each in (asked, asked.before)]
        now, before = (task.result() for task in spans)
        severities = changed(now["severity"].values, before["severity"].values)
        severities.sort(key=lambda each: (-urgency(each.value), each.value))
        rules = changed(now["alertname"].values, before["alertname"].values)
        return SpanChanges(
            Changed("", now["severity"].total, before["severity"].total),
            severities,
            [rule for rule in rules if rule.change > 0][:top],
            [rule for rule in reversed(rules) if rule.change < 0][:top],
            now["severity"].covers,
        )


def changed(now: Mapping[str, int], before: Mapping[str, int]) -> list[Changed]:
    """All values that are in one of both, those that came more often first."""
    both = [Changed(value, now.get(value, 0), before.get(value, 0)) for value in now.keys() | before.keys()]
    both = [each for each in both if each.now or each.before]
    return sorted(both, key=lambda each: (-each.change, each.value))

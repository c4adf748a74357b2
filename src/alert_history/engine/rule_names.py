"""Which rules have ever fired, for whoever asks for one that has not: names that look like it."""

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches

from alert_history.engine.labels import Labels

_ALERTNAME = "alertname"
_MOST_NAMES = 1000
_MOST_ALIKE = 3
_COMPARED_CHARACTERS = 100


async def names_like(labels: Labels, rule: str) -> Sequence[str] | None:
    """Names that look like that of a rule of which no alert was ever received; None where it is known, or may be.

    Costs the names of rules, however long the history is. Raises StorageUnavailable or QueryTimeout.
    """
    own = await labels.values(_ALERTNAME, prefix=rule, limit=_MOST_NAMES)
    is_known = any(value.value == rule for value in own.values)
    if not rule or is_known or own.other_occurrences or not (own.is_complete and own.covers.is_exact):
        return None
    others = await labels.values(_ALERTNAME, limit=_MOST_NAMES)
    return await asyncio.to_thread(_alike, rule, [value.value for value in others.values])


def _alike(rule: str, names: Sequence[str]) -> list[str]:
    """The names most like it, whatever their letter case."""
    by_text: dict[str, str] = {}
    for name in names:
        by_text.setdefault(name.casefold()[:_COMPARED_CHARACTERS], name)
    text = rule.casefold()[:_COMPARED_CHARACTERS]
    close = get_close_matches(text, by_text, n=_MOST_ALIKE)
    longer = [each for each in by_text if text in each and each not in close]
    return [by_text[each] for each in [*close, *longer][:_MOST_ALIKE]]

"""The reach of who calls: a query that says which alerts exist for them. Everything they ask is bounded by it.

`engine.reaching` holds a store to it, so that whoever reads through that store sees no other alert. Without a reach
nothing is added to any question.
"""

from collections.abc import Mapping

import msgspec

from alert_history.domain.classification import KeptVerdict, stable_labels
from alert_history.domain.query import ALL, Query, both
from alert_history.engine.caller import reach
from alert_history.errors import Forbidden
from alert_history.ports.history import HistoryFilter

REFUSAL = "this is about all alerts, and the token, or the role, of who calls sees some of them only"

_MASKED = "#"


def is_narrowed() -> bool:
    """Whether who calls sees some alerts only."""
    return reach() is not None


def narrowed(query: Query = ALL) -> Query:
    """The query, bounded by the reach."""
    own = reach()
    return query if own is None else both(query, own)


def within(wanted: HistoryFilter) -> HistoryFilter:
    """The filter, bounded by the reach."""
    own = reach()
    return wanted if own is None else msgspec.structs.replace(wanted, query=both(wanted.query, own))


def is_within(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Whether an alert with these labels and annotations exists for who calls.

    An alert without labels is one that is no longer kept: nobody can say whose it was.
    """
    own = reach()
    return own is None or (bool(labels) and own.matches(labels, annotations))


def is_shape_within(labels: Mapping[str, str]) -> bool:
    """Whether all alerts of the same shape as this one, which one classification serves, exist for who calls.

    A shape has a label as it is, unless a part of its value that varies is masked.
    """
    own = reach()
    if own is None:
        return True
    stable = stable_labels(labels)
    is_sure = all(matcher.name in stable and _MASKED not in stable[matcher.name] for matcher in own.matchers)
    return is_sure and not own.words and own.matches(labels, {})


def as_shown(verdict: KeptVerdict) -> KeptVerdict:
    """A verdict as who calls may see it: without its words where they see some alerts only.

    Whatever classified it knew which other alerts began near it and how often, and may say so.
    """
    if not is_narrowed():
        return verdict
    nothing = {"summary": "", "probable_cause": "", "recommendations": (), "reasoning": "", "tags": ()}
    classification = msgspec.structs.replace(verdict.verdict.classification, **nothing)
    wordless = msgspec.structs.replace(verdict.verdict, classification=classification, sent=None)
    return msgspec.structs.replace(verdict, verdict=wordless)


def check_sees_all(refusal: str = REFUSAL) -> None:
    """Raises Forbidden where who calls sees some alerts only."""
    if is_narrowed():
        raise Forbidden(refusal)

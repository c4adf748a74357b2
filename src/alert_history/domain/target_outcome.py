"""What became of an occurrence at one of our targets, in a word that stays. `notified_sentence` has the sentences."""

from collections.abc import Mapping
from typing import Literal

from alert_history.domain.delivery import Fate
from alert_history.domain.notified_sentence import NewsFate, TargetFate, is_refusal, is_unreached, standing_news

TargetOutcomeKind = Literal[
    "notified",
    "waiting",
    "quiet_hours",
    "superseded",
    "withheld",
    "refused",
    "unreachable",
    "undelivered",
    "not_routed",
    "not_matched",
    "disabled",
    "broken",
    "not_before",
    "left_out",
    "unknown",
]
"""`undelivered`: neither refused nor out of reach, and not taken. `not_before`: of an end, whose beginning was not sent
there. `left_out`: for another reason, which the sentence has."""

_KINDS: Mapping[Fate, TargetOutcomeKind] = {
    "delivered": "notified",
    "pending": "waiting",
    "leased": "waiting",
    "held": "quiet_hours",
    "superseded": "superseded",
    "withheld": "withheld",
    "unknown": "unknown",
}
_LEFT_OUT: tuple[tuple[str, TargetOutcomeKind], ...] = (
    ("quiet hours of route ", "quiet_hours"),
    ("no route takes ", "not_routed"),
    ("route ", "not_routed"),
    ("routes ", "not_routed"),
    ("it does not match ", "not_matched"),
    ("the target is disabled", "disabled"),
    ("the target is broken", "broken"),
    ("it was not told of the alert before", "not_before"),
)
"""How the reasons begin with which `notifying.route` leaves a target out."""


def target_outcome(fate: TargetFate) -> TargetOutcomeKind:
    """What became of it there."""
    if any(news is not None and news.fate == "delivered" for news in (fate.beginning, fate.end)):
        return "notified"
    news = standing_news(fate)
    if news.fate == "dead":
        return _of_dead(news)
    if news.fate == "not_told":
        return next((kind for begin, kind in _LEFT_OUT if news.reason.startswith(begin)), "left_out")
    return _KINDS[news.fate]


def _of_dead(news: NewsFate) -> TargetOutcomeKind:
    if is_refusal(news.answer):
        return "refused"
    return "unreachable" if is_unreached(news.answer) else "undelivered"

"""The deliveries of the demo's past: whom each alert went to, and what became of that.

The company had a pager for what is critical, and a chat for warnings as well. One afternoon the chat refused all. Pure.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from alert_history.demo.alertmanager import Notice
from alert_history.demo.chance import Chance
from alert_history.demo.dates import Span
from alert_history.demo.firing import Firing, Severity
from alert_history.domain.delivery import Attempt, Routing
from alert_history.domain.notifying import News, route
from alert_history.domain.query import parse_query
from alert_history.domain.receipt import RANDOM_ID_BYTES, time_ordered_id
from alert_history.domain.target import TargetSpec
from alert_history.ports import PastDelivery, PastNews

PAGER, CHAT = "pagerduty", "slack"

_MATCHES = {PAGER: '{severity="critical"}', CHAT: '{severity=~"critical|warning"}'}
_REFUSED = "answered 403: action_prohibited"
_LIMITED = "answered 429: ratelimited"
_STUMBLED = "answered 503"
_STUMBLES = 0.01
_MANY = 20
"""Where so many alerts come in one message, the chat has had too many messages already."""

_FIRST, _SECOND = 1, 2  # the numbers of the events of a firing that only began and ended


def news_of(notices: Iterable[Notice], *, refused: Span, seed: int) -> Iterator[PastNews]:
    """The news in these messages, in their order. The chat refuses what it gets within the span `refused`."""
    routings = {severity: _routing(severity) for severity in ("critical", "warning", "info", "none")}
    chance = Chance(seed, "deliveries")
    for notice in notices:
        changed = [*notice.begun, *notice.ended]
        at, routing = notice.message.received_at, routings[notice.severity]
        logs: dict[str, list[Attempt]] = {}
        for name in routing.targets if changed else ():
            is_refused, is_limited = name == CHAT and refused.holds(at), name == CHAT and len(changed) >= _MANY
            logs[name] = _attempts(at, is_refused=is_refused, is_limited=is_limited, chance=chance)
        for firing in notice.begun:
            yield _news(firing, notice, is_end=False, routing=routing, logs=logs)
        for firing in notice.ended:
            yield _news(firing, notice, is_end=True, routing=routing, logs=logs)


def _routing(severity: Severity) -> Routing:
    """Where alerts of this severity, and their ends, were routed to."""
    targets = [TargetSpec(name, name, {}, match=parse_query(text), match_text=text) for name, text in _MATCHES.items()]
    time = datetime.min.replace(tzinfo=UTC)
    routing = route(targets, News("fired", {"severity": severity}, {}, time, time))
    if routing is None:
        raise ValueError("a firing is always news")
    return routing


def _attempts(at: datetime, *, is_refused: bool, is_limited: bool, chance: Chance) -> list[Attempt]:
    """The attempts to deliver what was received then."""
    milliseconds = int(chance.between(90, 700))
    done_at = at + timedelta(milliseconds=60 + milliseconds)
    if is_refused:
        return [Attempt(done_at, "dead", _REFUSED, milliseconds)]
    if not is_limited and not chance.happens(_STUMBLES):
        return [Attempt(done_at, "delivered", "", milliseconds)]
    again_at = done_at + chance.seconds(1, 6)
    first = Attempt(done_at, "retried", _LIMITED if is_limited else _STUMBLED, milliseconds)
    return [first, Attempt(again_at, "delivered", "", int(chance.between(90, 400)))]


def _news(
    firing: Firing, notice: Notice, *, is_end: bool, routing: Routing, logs: dict[str, list[Attempt]]
) -> PastNews:
    at = notice.message.received_at
    key = _SECOND if is_end else _FIRST
    return PastNews(
        firing.fingerprint,
        firing.starts_at,
        key,
        "resolved" if is_end else "fired",
        at,
        notice.message.id,
        routing,
        [_delivery(firing, key, at, target=target, log=log) for target, log in logs.items()],
    )


def _delivery(firing: Firing, key: int, at: datetime, *, target: str, log: list[Attempt]) -> PastDelivery:
    named = f"{firing.fingerprint} {firing.starts_at.isoformat()} {key} {target}".encode()
    id_ = time_ordered_id(at, randomness=blake2b(named, digest_size=RANDOM_ID_BYTES).digest())
    return PastDelivery(id_, target, "dead" if log[-1].outcome == "dead" else "delivered", log)

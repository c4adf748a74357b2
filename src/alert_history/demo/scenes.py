"""The whole demo as of a time: the past of a company, and the recorded incident that follows it.

Reads the recording, and that only when the scenes are made. Must not send or store anything.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from alert_history.demo.dates import DAYS
from alert_history.demo.firing import Message
from alert_history.demo.past import past
from alert_history.demo.replay import incident
from alert_history.domain.alert import fingerprint
from alert_history.ports import PastNews

_QUIET = timedelta(minutes=5)
"""How long before the incident the last message of the past was received, at least."""


class Scenes(msgspec.Struct, frozen=True):
    """What is received, first `past`, then `incident`, each in order of time; what became of the past; what to explain.

    `explained` are fingerprints, those of the incident last: of the past one a rule, of the incident all.
    """

    past: list[Message]
    news: list[PastNews]
    incident: list[Message]
    explained: list[str]


def scenes(now: datetime, *, days: int = DAYS) -> Scenes:
    """The scenes as of `now`, which is aware: the same for the same time. The past has so many whole days at most."""
    recorded = [Message.of(*message) for message in incident(now)]
    before = past(recorded[0].received_at - _QUIET, days=min(days, DAYS))
    explained = dict.fromkeys([*before.newest.values(), *_fingerprints(recorded)])
    return Scenes(before.messages, before.news, recorded, [*explained])


def _fingerprints(messages: Iterable[Message]) -> list[str]:
    """The fingerprints of all alerts in these messages, by their first mention."""
    alerts: list[dict[str, Any]] = []
    for message in messages:
        body = msgspec.json.decode(message.body)
        alerts += body if isinstance(body, list) else body["alerts"]
    return list(dict.fromkeys(fingerprint(alert["labels"]) for alert in alerts))

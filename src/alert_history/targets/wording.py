"""What a message to people says of a group: its headline, what its alerts share, how long something lasted.

Plain text, nothing escaped: markup is each target's own. Must not know any vendor.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Literal

from alert_history.domain.acts import is_act
from alert_history.domain.change_text import end_reason
from alert_history.domain.standing import EndedBy
from alert_history.domain.target import Outgoing
from alert_history.domain.visible import alert_name, first_visible, visible
from alert_history.targets.fitting import clipped

Urgency = Literal["critical", "warning", "info"]

MARKS: Mapping[Urgency | None, str] = {"critical": "🔴", "warning": "🟠", "info": "🔵", None: "🟢"}
"""The mark that shows at a glance how urgent an alert is; None: the alert is over."""

_WARNING = frozenset({"warning", "warn", "medium", "moderate", "average", "minor", "p3"})
_INFO = frozenset({"info", "information", "informational", "notice", "none", "low", "debug", "ok", "p4", "p5"})
_LOUDEST_FIRST: tuple[Urgency, ...] = ("critical", "warning", "info")
_PLACES = ("cluster", "namespace", "service", "deployment", "pod", "instance", "node", "host")
_PLACES_SHOWN = 3
_NAMES_SHOWN = 3
_REASON_CHARACTERS = 300
_RUNBOOKS = ("runbook_url", "runbook")
_DASHBOARDS = ("dashboard_url", "dashboard", "dashboardURL")
_CALL = re.compile(r"@(?=(?:channel|here|everyone|group|all)\b)|<(?=[@!#])", re.IGNORECASE)
_UNSAID: tuple[EndedBy, ...] = ("expired", "inferred", "reconciled")
_WORTH_SAYING = timedelta(minutes=1)
_WORD_JOINER = "\u2060"
_ACT_WORDS: Mapping[str, str] = {"acknowledged": "acknowledged", "noted": "note"}


def shared(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The pairs that all of `maps` hold, in the order of the first; empty for no maps."""
    every = list(maps)
    return dict(
        reduce(lambda common, other: [p for p in common if other.get(p[0]) == p[1]], every[1:], _pairs(every[:1]))
    )


def _pairs(maps: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [pair for pairs in maps for pair in pairs.items()]


def urgency(alert: Outgoing) -> Urgency:
    """How urgent an alert is: by its classification, noise being the quietest, or else by its label `severity`.

    An unknown word, or none, is critical: better loud than missed.
    """
    if alert.classification is not None:
        return "info" if alert.classification.severity == "noise" else alert.classification.severity
    severity = alert.labels.get("severity", "").strip().lower()
    if severity in _WARNING:
        return "warning"
    return "info" if severity in _INFO else "critical"


def loudest(alerts: Sequence[Outgoing]) -> Urgency | None:
    """The highest urgency among alerts that fire; None if all are resolved."""
    heard = {urgency(alert) for alert in alerts if alert.status == "firing"}
    return next((level for level in _LOUDEST_FIRST if level in heard), None)


def urgent_first(alerts: Sequence[Outgoing]) -> list[Outgoing]:
    """The alerts that fire before those resolved, the most urgent first, then the newest."""
    newest_first = sorted(alerts, key=lambda alert: alert.starts_at, reverse=True)
    return sorted(newest_first, key=lambda alert: (alert.status != "firing", _LOUDEST_FIRST.index(urgency(alert))))


def is_follow_up(alerts: Sequence[Outgoing]) -> bool:
    """Whether a message only adds a classification to alerts that were sent before."""
    return all(alert.event == "classified" for alert in alerts)


def status_words(alerts: Sequence[Outgoing]) -> str:
    """`FIRING`, `RESOLVED`, or with counts where there are several: `2 FIRING, 1 RESOLVED`.

    An alert that ended without a sender's word is `ENDED`.
    """
    words = [_state_word(alert) for alert in alerts]
    counts = {word: words.count(word) for word in ("FIRING", "RESOLVED", "ENDED")}
    if len(alerts) == 1:
        return next(word for word, count in counts.items() if count)
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _state_word(alert: Outgoing) -> str:
    if alert.status == "firing":
        return "FIRING"
    return "ENDED" if alert.ended_by in _UNSAID else "RESOLVED"


def name_words(alerts: Sequence[Outgoing]) -> str:
    """The names of the alerts, a few of them where there are many: `DiskFull, HighLatency and 3 more`."""
    names = list(dict.fromkeys(alert_name(alert.labels) for alert in alerts))
    shown, rest = names[:_NAMES_SHOWN], len(names) - _NAMES_SHOWN
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def place_words(alerts: Sequence[Outgoing]) -> list[str]:
    """The severity that the alerts share, and where they are, by the few labels that say it best."""
    common = shared(alert.labels for alert in alerts)
    places = list(filter(None, (first_visible(common, label) for label in _PLACES))) or [first_visible(common, "job")]
    return list(filter(None, [first_visible(common, "severity"), *list(dict.fromkeys(places))[:_PLACES_SHOWN]]))


def summary(annotations: Mapping[str, str]) -> str:
    """The one line that says what is wrong; empty if there is none."""
    return first_visible(annotations, "summary", "message", "title")


def description_of(annotations: Mapping[str, str]) -> str:
    """The text that says more than the summary; empty if there is none."""
    return first_visible(annotations, "description")


def annotated_urls(annotations: Mapping[str, str]) -> dict[str, str]:
    """Where people can read on, as the rule's author says: unchecked URLs by the word for each."""
    wanted = {"Runbook": _RUNBOOKS, "Dashboard": _DASHBOARDS}
    urls = {words: first_visible(annotations, *names) for words, names in wanted.items()}
    return {words: url for words, url in urls.items() if url}


def calling_nobody(text: str) -> str:
    """`text` with each `@everyone` or `<@user>` made powerless in a chat; it looks the same."""
    return _CALL.sub(lambda call: f"{call[0]}{_WORD_JOINER}", text)


def lasting_words(alert: Outgoing, time_words: Callable[[datetime], str]) -> str:
    """Since when an alert fires, or how long it fired; `time_words` writes a time."""
    if alert.status == "firing" or alert.ends_at is None:
        so_far = alert.at - alert.starts_at
        duration_so_far = f" ({duration_words(so_far)} so far)" if so_far >= _WORTH_SAYING else ""
        return f"Firing since {time_words(alert.starts_at)}{duration_so_far}"
    lasted = duration_words(alert.ends_at - alert.starts_at)
    unsaid = unsaid_words(alert, time_words)
    return f"{unsaid} (after {lasted})" if unsaid else f"Resolved after {lasted}, {time_words(alert.ends_at)}"


def unsaid_words(alert: Outgoing, time_words: Callable[[datetime], str]) -> str:
    """Why an alert is taken as over where no sender said so; empty where a sender did, or where the alert fires."""
    if is_act(alert.event) or alert.ended_by not in _UNSAID:
        return ""
    heard_at = alert.confirmed_at or alert.ends_at or alert.at
    reason = clipped(end_reason(alert.event, alert.reason), _REASON_CHARACTERS)
    return f"Not heard of since {time_words(heard_at)}; ended, as {reason}"


def duration_words(duration: timedelta) -> str:
    """`3 d 4 h`, `2 h 5 min`, `14 min`, `40 s`: at most two units, rounded down."""
    minutes, seconds = divmod(max(int(duration.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def act_words(alert: Outgoing) -> str:
    """What a person did, on one line: `acknowledged by ada: I look into it`; empty where the message is no act."""
    if alert.act is None:
        return ""
    by = f" by {visible(alert.act.by)}" if visible(alert.act.by) else ""
    text = " ".join(alert.act.text.split())
    return f"{_ACT_WORDS[alert.event]}{by}: {text}" if text else f"{_ACT_WORDS[alert.event]}{by}"

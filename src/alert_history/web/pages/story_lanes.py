"""The lanes of an alert's story: when it fired, was muted or unconfirmed, who was notified, who took care."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec

from alert_history.domain.acts import Act
from alert_history.domain.alert import Silence
from alert_history.domain.delivery import Attempt, Fate
from alert_history.domain.occurrence import ENDINGS, EventKind
from alert_history.engine.ledger import LedgerLine
from alert_history.engine.story import Story
from alert_history.ports import StoredEvent
from alert_history.web.pages.charts.lanes import Interval, Lanes, Line, Moment, lanes
from alert_history.web.pages.charts.scale import TimeScale, mark_of
from alert_history.web.pages.story_words import ACT_WORDS, FATE_WORDS

SayTime = Callable[[datetime], str]

_MOST_TARGETS = 10
_LONGEST_TEXT = 200
_LEAST_SPAN = timedelta(minutes=4)
_LOOKS_ON = timedelta(minutes=30)
"""So long after its end, or as long as it fired if that is longer, what follows is in the chart."""

_MARKS: dict[Fate, str] = {
    "delivered": "is-delivered",
    "dead": "is-dead",
    "pending": "is-pending",
    "leased": "is-pending",
    "held": "is-pending",
    "withheld": "is-superseded",
    "superseded": "is-superseded",
}
_OUTCOMES = {"delivered": "is-delivered", "dead": "is-dead", "withheld": "is-superseded"}
_TELLS_END: frozenset[EventKind] = ENDINGS


def story_lanes(story: Story, *, now: datetime, zone: tzinfo, say_time: SayTime) -> Lanes:
    """The chart over the time of the occurrence."""
    lines = [*_state_lines(story, now, say_time), *_target_lines(story), *_people_lines(story, now)]
    drawn = lanes(lines, _scale(story, now, zone), title="What happened, over time", now=now)
    return msgspec.structs.replace(drawn, lanes=[lane for lane in drawn.lanes if lane.rows or lane.note])


def _scale(story: Story, now: datetime, zone: tzinfo) -> TimeScale:
    """From a little before it began to a little after the last thing that belongs to it."""
    alert = story.alert
    begin, end = alert.starts_at, _end_of(story, now)
    last = min(max([end, *_moments(story)]), end + max(_LOOKS_ON, end - begin), max(now, end))
    margin = max((last - begin) * 0.04, _LEAST_SPAN / 2)
    return TimeScale(begin - margin, last + margin, zone)


def _moments(story: Story) -> Iterator[datetime]:
    records = story.records
    yield from (event.at for event in records.events)
    yield from (delivery.settled_at for delivery in records.deliveries if delivery.settled_at is not None)
    yield from (act.at for act in records.acts)


def _end_of(story: Story, now: datetime) -> datetime:
    alert = story.alert
    is_over = alert.status != "firing" and alert.ends_at is not None
    return max(alert.ends_at if is_over and alert.ends_at is not None else now, alert.starts_at)


# --- What it did ------------------------------------------------------------------------------------------------------


def _state_lines(story: Story, now: datetime, say_time: SayTime) -> Iterator[Line]:
    alert, events = story.alert, story.records.events
    is_open = alert.status == "firing"
    end = None if is_open else _end_of(story, now)
    firing = [
        Interval(begin, until, mark_of(alert.severity), "fires" if until is None else "fired")
        for begin, until in _firing_spans(events, alert.starts_at, end)
    ]
    yield Line("Firing", firing)
    spans = (
        ("Unconfirmed", "unconfirmed", frozenset({"confirmed", "refired"}), "is-unconfirmed"),
        ("Silenced", "silenced", frozenset({"unsilenced"}), "is-silenced"),
        ("Inhibited", "inhibited", frozenset({"notified"}), "is-inhibited"),
    )
    for name, kind, closing, mark in spans:
        intervals = [
            Interval(event.at, until, mark, _clipped(_reason(event, story.silences, say_time)))
            for event, until in _spans(events, kind, closing, end)
        ]
        if intervals:
            yield Line(name, intervals)


def _firing_spans(
    events: Sequence[StoredEvent], starts_at: datetime, end: datetime | None
) -> list[tuple[datetime, datetime | None]]:
    """From when to when it fired: an end that turned out to be none parts two spans."""
    spans: list[tuple[datetime, datetime | None]] = []
    begin: datetime | None = starts_at
    for event in events:
        if event.kind in _TELLS_END and begin is not None:
            spans.append((begin, max(event.at, begin)))
            begin = None
        elif event.kind == "refired" and begin is None:
            begin = event.at
    if begin is not None:
        spans.append((begin, end))
    elif end is not None and len(spans) == 1:
        spans = [(starts_at, end)]  # the end that its sender names, not when we heard of it
    return spans


def _spans(
    events: Sequence[StoredEvent], kind: str, closing: frozenset[str], end: datetime | None
) -> Iterator[tuple[StoredEvent, datetime | None]]:
    for number, event in enumerate(events):
        if event.kind == kind:
            closed = (each.at for each in events[number + 1 :] if each.kind in closing or each.kind in _TELLS_END)
            yield event, min(filter(None, (next(closed, end), _until(event))), default=None)


def _until(event: StoredEvent) -> datetime | None:
    """When a silence ends by itself."""
    text = (event.detail or {}).get("ends_at") if event.kind == "silenced" else None
    return None if not text else datetime.fromisoformat(str(text))


def _reason(event: StoredEvent, silences: Mapping[str, Silence], say_time: SayTime) -> str:
    detail = event.detail or {}
    if event.kind == "unconfirmed":
        return str(detail.get("reason", "there was no sign of it"))
    if event.kind == "inhibited":
        return f"by {', '.join(map(str, detail.get('inhibited_by') or ())) or 'another alert'}"
    silence, until = silences.get(str(detail.get("silence_id", ""))), _until(event)
    by = detail.get("created_by") or (silence and silence.created_by) or "somebody"
    comment = detail.get("comment") or (silence and silence.comment)
    return f"by {by}" + ("" if until is None else f" until {say_time(until)}") + (f": {comment}" if comment else "")


# --- Who was notified -------------------------------------------------------------------------------------------------


def _target_lines(story: Story) -> Iterator[Line]:
    lines: dict[str, list[tuple[EventKind, LedgerLine]]] = {}
    for event in story.ledger.events:
        for line in event.targets:
            lines.setdefault(line.target, []).append((event.event, line))
    notified = sorted(name for name, own in lines.items() if any(line.fate != "not_told" for _, line in own))
    for name in notified[:_MOST_TARGETS]:
        moments = [moment for kind, line in lines[name] for moment in _attempts(kind, line)]
        yield Line(f"→ {name}", moments=moments)
    if len(notified) > _MOST_TARGETS:
        yield Line(f"{len(notified) - _MOST_TARGETS} more targets", note="the ledger has them")
    yield from _receiver_lines(story.records.events)


def _attempts(kind: EventKind, line: LedgerLine) -> Iterator[Moment]:
    """The attempts of a delivery; without any, what became of it."""
    for attempt in line.log:
        yield Moment(attempt.at, _OUTCOMES.get(attempt.outcome, "is-pending"), _clipped(_attempt_words(kind, attempt)))
    if not line.log and line.at is not None:
        text = f"{kind}: {FATE_WORDS[line.fate]}, {line.reason}"
        yield Moment(line.at, _MARKS.get(line.fate, "is-other"), _clipped(text))


def _attempt_words(kind: EventKind, attempt: Attempt) -> str:
    reason = f", {attempt.reason}" if attempt.reason else ""
    return f"{kind}: {attempt.outcome.replace('_', ' ')}{reason}"


def _receiver_lines(events: Iterable[StoredEvent]) -> Iterator[Line]:
    """The receivers that Alertmanager notified itself."""
    moments: dict[str, list[Moment]] = {}
    for event in events:
        detail = event.detail or {}
        if event.kind == "notified" and detail.get("role") != "muted":
            text = f"that it is {detail.get('role', 'firing')}: {str(detail.get('reason', '')).replace('_', ' ')}"
            name = f"{detail.get('receiver', '?')} ({detail.get('integration', '?')})"
            moments.setdefault(name, []).append(Moment(event.at, "is-delivered", _clipped(text)))
    for name in sorted(moments)[:_MOST_TARGETS]:
        yield Line(f"Alertmanager → {name}", moments=moments[name])


# --- What people did, and what it means -------------------------------------------------------------------------------


def _people_lines(story: Story, now: datetime) -> Iterator[Line]:
    acts = story.records.acts
    end = None if story.alert.status == "firing" else _end_of(story, now)
    acknowledged = list(_acknowledged(acts, end))
    if acknowledged:
        yield Line("Acknowledged", acknowledged)
    others = [Moment(act.at, "c3", _clipped(_act_words(act))) for act in acts if act.kind in {"noted", "resolved"}]
    if others:
        yield Line("Notes", moments=others)
    classified = [
        Moment(event.at, "c6", _clipped(_classified(event)))
        for event in story.records.events
        if event.kind == "classified"
    ]
    verdict = story.records.verdict
    if verdict is not None:
        word = verdict.verdict.classification
        classified.append(Moment(word.at, "c6", f"{word.severity}, by {word.model}"))
    if classified:
        yield Line("Classified", moments=classified)


def _acknowledged(acts: Sequence[Act], end: datetime | None) -> Iterator[Interval]:
    """From each acknowledgement to when it was taken back, or to the end."""
    for number, act in enumerate(acts):
        if act.kind == "acknowledged":
            until = next((each.at for each in acts[number + 1 :] if each.kind == "unacknowledged"), end)
            yield Interval(act.at, until, "is-info", _clipped(_act_words(act)))


def _act_words(act: Act) -> str:
    return f"{ACT_WORDS[act.kind].lower()} by {act.by}" + (f": {act.text}" if act.text else "")


def _classified(event: StoredEvent) -> str:
    detail = event.detail or {}
    return f"{detail.get('severity', '?')}, by {detail.get('model', '?')}"


def _clipped(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1]}…"

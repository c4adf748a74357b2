"""What an import can keep of what an origin says: the rules of all alerts, and of what comes along with a past firing.

One value that a database refuses would fail all the firings of its step, so each is checked before.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from alert_history.domain.acts import MAX_BY_CHARACTERS, MAX_TEXT_CHARACTERS
from alert_history.domain.acts import clean as clean_act
from alert_history.domain.alert import is_fingerprint
from alert_history.domain.microseconds import to_us
from alert_history.domain.past_firing import PastAct, PastFiring
from alert_history.domain.speaker import is_scope
from alert_history.errors import InvalidRequest
from alert_history.sources.alert_rules import Fault, check_identity, check_labels, clean
from alert_history.sources.annotation_limit import cut, is_over_limit

_MOST_RECEIVER_BYTES = 1024
_MOST_URL_BYTES = 64 * 1024
_MOST_DETAILS_BYTES = 64 * 1024
_MOST_REPEATS = 2**31 - 1
_EARLIEST_US = 0
_AHEAD = timedelta(minutes=10)
"""So far the clock of an origin may be ahead of ours."""
_LATEST_US = to_us(datetime.fromisoformat("2200-01-01T00:00:00Z"))
_encode = msgspec.json.Encoder().encode


def check_scope(scope: str) -> None:
    """Raises: InvalidRequest for a scope that no fingerprint can have."""
    if scope and not is_scope(scope):
        raise InvalidRequest("a scope has letters, digits, `_`, `.` and `-`, at most 96")


def checked(firing: PastFiring, *, scope: str) -> PastFiring:
    """A firing as it is kept. Raises Fault."""
    labels = firing.labels
    if not all(labels.values()):
        labels = {name: value for name, value in labels.items() if value}
    check_labels(labels)
    check_identity(firing.receiver, of="its receiver", max_bytes=_MOST_RECEIVER_BYTES)
    check_identity(firing.source, of="its source", max_bytes=_MOST_RECEIVER_BYTES)
    check_identity(firing.generator_url, of="its generator URL", max_bytes=_MOST_URL_BYTES)
    if not 0 <= firing.repeats <= _MOST_REPEATS:
        raise Fault(f"it has {firing.repeats} repeats, not 0 to {_MOST_REPEATS}")
    if firing.identity and not is_fingerprint(firing.identity):
        raise Fault("its fingerprint is not 16 hex digits", "labels")
    if firing.details is not None:
        _check_details(firing.details)
    _check_times(firing)
    if firing.scope and not is_scope(firing.scope):
        raise Fault("its scope has other characters than letters, digits, `_`, `.` and `-`, or more than 96")
    annotations = {clean(name): clean(text) for name, text in firing.annotations.items()}
    if is_over_limit(annotations):
        annotations = cut(annotations)
    acts = tuple(map(_checked_act, firing.acts))
    return msgspec.structs.replace(
        firing, labels=labels, annotations=annotations, acts=acts, scope=firing.scope or scope
    )


def _checked_act(act: PastAct) -> PastAct:
    """An act as it is kept: its texts cleaned and cut. Raises Fault."""
    if act.at.tzinfo is None or not _EARLIEST_US <= to_us(act.at) <= _LATEST_US:
        raise Fault("an act has no time that can be kept", "times")
    return PastAct(
        clean(act.id),
        act.kind,
        act.at,
        clean_act(act.by, max_characters=MAX_BY_CHARACTERS),
        clean_act(act.text, max_characters=MAX_TEXT_CHARACTERS),
    )


def _check_details(details: dict[str, Any]) -> None:
    """Raises Fault for what no database keeps, or what is too large beside an alert."""
    try:
        text = _encode(details)
    except (UnicodeEncodeError, ValueError, TypeError, RecursionError):
        raise Fault("its details are no JSON text") from None
    if len(text) > _MOST_DETAILS_BYTES:
        raise Fault(f"its details have {len(text)} bytes, more than {_MOST_DETAILS_BYTES}")
    if b"\\u0000" in text:
        raise Fault("its details hold a NUL character")


def _check_times(firing: PastFiring) -> None:
    times = [time for time in (firing.starts_at, firing.ends_at, firing.last_seen_at) if time is not None]
    if any(time.tzinfo is None for time in times):
        raise Fault("a time has no time zone", "times")
    if not all(_EARLIEST_US <= to_us(time) <= _LATEST_US for time in times):
        raise Fault("a time is before 1970 or after 2200", "times")
    if firing.ends_at is not None and firing.ends_at < firing.starts_at:
        raise Fault("it ends before it begins", "times")


def in_our_time(firing: PastFiring, now: datetime) -> PastFiring:
    """A firing without a future: what ends then is not over by now. Raises Fault where it has yet to begin."""
    latest = now + _AHEAD
    if firing.starts_at > latest:
        raise Fault("it begins in the future", "times")
    last = firing.ends_at or firing.last_seen_at
    if last is None or last <= latest:
        return firing
    return msgspec.structs.replace(firing, ends_at=None, last_seen_at=max(now, firing.starts_at))


def raw_of(firing: PastFiring) -> bytes:
    """What can be shown of a firing that is refused here, after its origin could read it."""
    fields: dict[str, object] = {"labels": firing.labels, "starts_at": firing.starts_at, "ends_at": firing.ends_at}
    try:
        return _encode(fields)
    except (UnicodeEncodeError, ValueError):
        return ascii(fields).encode()

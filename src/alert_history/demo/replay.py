"""The recorded incident, moved to end a few minutes ago.

Pure but for reading its own file, and that only when the first message is asked for. Must not send or store anything.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import msgspec

from alert_history.zstd import decompress

ENDED_BEFORE = timedelta(minutes=3)
"""How long before `now` the last message of the incident was received."""

_RECORDING = "incident.jsonl.zst"
_TIMES = ("startsAt", "endsAt")
_UNSET_YEAR = 1  # Alertmanager writes 0001-01-01T00:00:00Z into endsAt while an alert is firing


class _Header(msgspec.Struct, frozen=True):
    """First line of the recording. `scale` is how many seconds one recorded second stands for."""

    started_at: datetime
    scale: float


class _Message(msgspec.Struct, frozen=True):
    """One request as it arrived, `offset_seconds` after the start, in recorded seconds."""

    offset_seconds: float
    path: str
    body: Any


class _Shift(msgspec.Struct, frozen=True):
    """Maps recorded times to replayed ones: `recorded_end` becomes `replayed_end`, distances grow by `scale`."""

    recorded_end: datetime
    replayed_end: datetime
    scale: float

    def __call__(self, recorded: datetime) -> datetime:
        return self.replayed_end - (self.recorded_end - recorded) * self.scale


def incident(now: datetime) -> Iterator[tuple[datetime, str, bytes]]:
    """Every message of the incident as (when it was received, path, body), in order of time.

    The last was received `ENDED_BEFORE` before `now` (aware), the first two hours earlier; startsAt and endsAt inside
    the bodies are moved alike. A path is one that ingest serves: `/webhook/proxy` or `/api/v2/alerts`. What a staging
    Prometheus still reports as firing has an endsAt after `now`, as it would.
    """
    header, messages = _recording()
    last = header.started_at + timedelta(seconds=messages[-1].offset_seconds)
    shift = _Shift(last, now.astimezone(UTC) - ENDED_BEFORE, header.scale)
    for message in messages:
        received_at = shift(header.started_at + timedelta(seconds=message.offset_seconds))
        yield received_at, message.path, msgspec.json.encode(_moved(message.body, shift))


def _recording() -> tuple[_Header, list[_Message]]:
    packed = files(__package__).joinpath(_RECORDING).read_bytes()
    header, *messages = decompress(packed).splitlines()
    decoder = msgspec.json.Decoder(_Message)
    return msgspec.json.decode(header, type=_Header), [decoder.decode(line) for line in messages]


def _moved(body: Any, shift: _Shift) -> Any:
    """The body with the times of its alerts shifted: Alertmanager's webhook, or the bare list that Prometheus sends."""
    if isinstance(body, list):
        return [_moved_alert(alert, shift) for alert in body]
    return {**body, "alerts": [_moved_alert(alert, shift) for alert in body["alerts"]]}


def _moved_alert(alert: dict[str, Any], shift: _Shift) -> dict[str, Any]:
    return alert | {name: _moved_time(alert[name], shift) for name in _TIMES if name in alert}


def _moved_time(text: str, shift: _Shift) -> str | datetime:
    recorded = datetime.fromisoformat(text)
    return text if recorded.year == _UNSET_YEAR else shift(recorded)

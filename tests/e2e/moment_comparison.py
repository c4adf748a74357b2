"""What differs between an Alertmanager's answer at a moment and ours of that moment, as lines for people.

Pure: compares answers that were saved. What may differ is named in `Allowance` and nowhere else.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

NEVER_COMPARED = frozenset({"updatedAt"})
"""When Alertmanager last touched an alert or a silence: its own housekeeping moves it."""


class Answer(NamedTuple):
    """An answer of the API: its status, and its body decoded."""

    status: int
    body: Any


class Allowance(NamedTuple):
    """What may differ.

    Alerts with the label `apart` are left out on both sides: their senders contradict each other or fall silent, and
    ours keeps what one of them still holds. Times of alerts with the label `timeless` may differ by `times`: their
    sender named none, or only one of them, and each receiver filled in its own; of an alert with an end alone
    Alertmanager takes that for its start, too. A time that was sent with an offset is compared as a moment:
    Alertmanager keeps the offset, ours does not. `newer`: ours may add what later versions of Alertmanager have, as
    long as it says nothing; where it says by `mutedBy` that a time interval mutes, an earlier version calls the alert
    active.
    """

    apart: str = "apart"
    timeless: str = "timeless"
    times: timedelta = timedelta(seconds=1)
    newer: bool = True


STRICT = Allowance()


def differences(real: Answer, ours: Answer, allowance: Allowance = STRICT) -> list[str]:
    """Each difference between two answers, by its place; none where a client sees the same."""
    if real.status != ours.status:
        return [f"status: {real.status}, ours {ours.status}: {str(ours.body)[:200]}"]
    if real.status >= 400:
        return _of_errors(real.body, ours.body)
    return list(_of(_seen(real.body, allowance), _seen(ours.body, allowance), "", allowance))


def _of_errors(real: Any, ours: Any) -> list[str]:
    """Errors are alike in kind: clients print what they get, and its words change with the version.

    What Alertmanager's own checks refuse is a string, as all errors of ours are; what the library refuses that reads
    its requests is an object with a message, of which amtool prints nothing.
    """
    if isinstance(real, dict) and isinstance(ours, str) and real.get("message") == ours:
        return []
    if type(real) is not type(ours):
        return [f"error: {real!r}, ours {ours!r}"]
    return []


# --- what is seen -----------------------------------------------------------------------------------------------------


def _seen(body: Any, allowance: Allowance) -> Any:
    """An answer without the alerts that are apart, and without groups of which nothing is left."""
    if not isinstance(body, list):
        return body
    rest = []
    for entry in body:
        if "alerts" in entry:
            alerts = _seen(entry["alerts"], allowance)
            if alerts:
                rest.append({**entry, "alerts": alerts})
        elif allowance.apart not in _labels(entry):
            rest.append(entry)
    return rest


def _labels(entry: Any) -> Mapping[str, str]:
    labels = entry.get("labels") if isinstance(entry, dict) else None
    return labels if isinstance(labels, dict) else {}


def _name(entry: Any) -> str:
    """What tells an entry of a list from the others."""
    if not isinstance(entry, dict):
        return repr(entry)
    if "alerts" in entry:
        return f"{entry['receiver']['name']}{entry['labels']}"
    if "fingerprint" in entry:
        return f"{_labels(entry).get('alertname')}/{entry['fingerprint']}"
    return str(entry.get("id") or entry.get("name") or entry)


# --- where it differs -------------------------------------------------------------------------------------------------


def _of(real: Any, ours: Any, place: str, allowance: Allowance) -> Iterator[str]:
    if isinstance(real, dict) and isinstance(ours, dict):
        yield from _of_objects(real, ours, place, allowance)
    elif isinstance(real, list) and isinstance(ours, list):
        yield from _of_lists(real, ours, place, allowance)
    elif real != ours or type(real) is not type(ours):
        yield f"{place}: {real!r}, ours {ours!r}"


def _of_objects(real: Mapping[str, Any], ours: Mapping[str, Any], place: str, allowance: Allowance) -> Iterator[str]:
    if allowance.newer and "mutedBy" in ours.keys() - real.keys():
        ours = _without_mutes(ours)
    is_timeless = allowance.timeless in _labels(real)
    for key in sorted((real.keys() | ours.keys()) - NEVER_COMPARED):
        where = f"{place}.{key}"
        if key not in real:
            if not (allowance.newer and _says_nothing(key, ours)):
                yield f"{where}: not there, ours {ours[key]!r}"
        elif key not in ours:
            yield f"{where}: {real[key]!r}, not there in ours"
        elif key in ("startsAt", "endsAt"):
            slack = allowance.times if is_timeless else timedelta(0)
            is_end_as_start = is_timeless and key == "startsAt" and real[key] == real["endsAt"]
            if not (is_end_as_start or _are_near(real[key], ours[key], slack)):
                yield f"{where}: {real[key]}, ours {ours[key]}"
        else:
            yield from _of(real[key], ours[key], where, allowance)


def _without_mutes(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """A status as versions say it that know no `mutedBy`."""
    rest = {key: value for key, value in status.items() if key != "mutedBy"}
    is_muted_by_time_alone = status["mutedBy"] and not (status["silencedBy"] or status["inhibitedBy"])
    return rest | ({"state": "active"} if is_muted_by_time_alone else {})


def _says_nothing(key: str, entry: Mapping[str, Any]) -> bool:
    """Whether a field of a later version says only what an earlier one could have said."""
    by_itself: dict[str, object] = {"routeLabels": {}, "labels": {"name": entry.get("name")}}
    return key in by_itself and entry[key] == by_itself[key]


def _are_near(real: str, ours: str, slack: timedelta) -> bool:
    """Whether two times are so near to each other: without slack the same text, with an offset the same moment."""
    if not slack and real.endswith("Z"):
        return real == ours
    return abs(datetime.fromisoformat(real) - datetime.fromisoformat(ours)) <= slack


def _of_lists(real: Sequence[Any], ours: Sequence[Any], place: str, allowance: Allowance) -> Iterator[str]:
    """By name, so that one entry too many is one line; then their order, which clients rely on."""
    expected, names = _by_name(real), _by_name(ours)
    for name in expected.keys() - names.keys():
        yield f"{place}[{name}]: not there in ours"
    for name in names.keys() - expected.keys():
        yield f"{place}[{name}]: only in ours"
    for name in expected.keys() & names.keys():
        yield from _of(expected[name], names[name], f"{place}[{name}]", allowance)
    if expected.keys() == names.keys() and list(expected) != list(names):
        yield f"{place}: in the order {list(expected)}, ours {list(names)}"


def _by_name(entries: Sequence[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for entry in entries:
        name = _name(entry)
        number = 2
        while name in named:
            name = f"{_name(entry)} #{number}"
            number += 1
        named[name] = entry
    return named

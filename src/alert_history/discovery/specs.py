"""What a Secret says of a target: labels, annotations and keys in, a TargetSpec out.

Whatever is wrong becomes the spec's fault; it names the label, annotation or key, and keeps the value secret.
Must not read files or talk to Kubernetes. For users: docs/reference/targets/index.md.
"""

import math
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from alert_history.domain.query import Query, parse_query
from alert_history.domain.target import TargetSpec
from alert_history.errors import InvalidQuery

PREFIX = "alert-history.io/"
SELECTOR = f"{PREFIX}target=true"

MAX_VALUE_BYTES = 64 * 1024
MAX_PRIORITY = 1_000_000

_FORMAT = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RATE = re.compile(r"(?P<count>\d{1,9}(?:\.\d{1,9})?)(?: ?/ ?(?P<unit>s|m|min|h))?", re.ASCII)
_PER_MINUTE = {"s": 60.0, "m": 1.0, "min": 1.0, "h": 1 / 60}
_WORDS = {"true": True, "false": False}
_LIKENESS = 0.75
_KNOWN = ("match", "min-confidence", "exclude-noise", "priority", "rate-limit", "enabled")

T = TypeVar("T")


class Gathered(NamedTuple):
    """Fields by name, and the faults of the keys that can't be read."""

    fields: dict[str, str]
    faults: list[str]


def read_spec(
    name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str], fields: Mapping[str, bytes]
) -> TargetSpec | None:
    """The target that a Secret describes; None if the label `alert-history.io/target` is not `true`.

    Labels, annotations and values are read without the space around them. A key with nothing in it counts as not given.
    """
    if labels.get(f"{PREFIX}target", "").strip() != "true":
        return None
    read, faults = gather(fields)
    notes = _Annotations(annotations)
    spec = TargetSpec(
        name=name,
        format=labels.get(f"{PREFIX}format", "").strip(),
        fields=read,
        is_enabled=notes.read("enabled", _flag, default=True),
        priority=notes.read("priority", _priority, default=0),
        match=notes.read("match", _query, default=Query((), ())),
        match_text=notes.text("match") or "",
        min_confidence=notes.read("min-confidence", _confidence, default=None),
        excludes_noise=notes.read("exclude-noise", _flag, default=False),
        rate_limit_per_minute=notes.read("rate-limit", _rate, default=None),
    )
    return with_faults(spec, [*_format_faults(spec.format), *faults, *notes.faults, *notes.misspelt()])


def gather(fields: Mapping[str, bytes]) -> Gathered:
    """Decode the values; `-` in a key is `_`."""
    read: dict[str, str] = {}
    faults: list[str] = []
    for key, value in fields.items():
        try:
            text = _one_line(value)
        except ValueError as error:
            faults.append(f"key {key} {error}")
            continue
        name = key.replace("-", "_")
        if text and read.setdefault(name, text) != text:
            faults.append(f"key {name} is given twice, with - and with _, and not the same")
    return Gathered(read, faults)


def with_faults(spec: TargetSpec, faults: list[str]) -> TargetSpec:
    """The spec, with these faults after its own."""
    if not faults:
        return spec
    return replace(spec, fault="; ".join([spec.fault, *faults] if spec.fault else faults))


def _one_line(value: bytes) -> str:
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError(f"has more than {MAX_VALUE_BYTES} bytes")
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if _CONTROL.search(text):
        raise ValueError("holds a line break or another control character")
    return text


def _format_faults(name: str) -> list[str]:
    if not name:
        return [f"label {PREFIX}format is missing"]
    return [] if _FORMAT.fullmatch(name) else [f"label {PREFIX}format is no name of a format"]


class _Annotations:
    """Reads annotations one by one, and gathers their faults."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations
        self.faults: list[str] = []

    def text(self, name: str) -> str | None:
        value = self._annotations.get(PREFIX + name)
        return None if value is None else value.strip()

    def read(self, name: str, read: Callable[[str], T], *, default: T) -> T:
        text = self.text(name)
        if text is None:
            return default
        try:
            return read(text)
        except ValueError as error:
            self.faults.append(f"annotation {PREFIX}{name} {error}")
            return default

    def misspelt(self) -> list[str]:
        """Faults for unknown annotations that look like known ones: a misspelt annotation sends the wrong alerts."""
        faults = []
        for given in self._annotations:
            name = given.removeprefix(PREFIX)
            if name == given or name in _KNOWN:
                continue
            likely = get_close_matches(name.replace("_", "-").lower(), _KNOWN, n=1, cutoff=_LIKENESS)
            if likely:
                faults.append(f"annotation {given} means nothing; {PREFIX}{likely[0]} does")
        return faults


def _flag(text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _priority(text: str) -> int:
    fault = f"must be a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}"
    if not re.fullmatch(r"[+-]?\d{1,7}", text, re.ASCII):
        raise ValueError(fault)
    if abs(number := int(text)) > MAX_PRIORITY:
        raise ValueError(fault)
    return number


def _confidence(text: str) -> float:
    fault = "must be a number from 0 to 1"
    try:
        number = float(text)
    except ValueError:
        raise ValueError(fault) from None
    if math.isnan(number) or not 0 <= number <= 1:
        raise ValueError(fault)
    return number


def _rate(text: str) -> float:
    """Messages a minute."""
    match = _RATE.fullmatch(text)
    if match is None or float(match["count"]) == 0:
        raise ValueError("must be how many messages a minute, or as many /s, /m or /h, more than 0: 30, 1/s, 600/h")
    return float(match["count"]) * _PER_MINUTE[match["unit"] or "m"]


def _query(text: str) -> Query:
    try:
        return parse_query(text)
    except InvalidQuery as error:
        place = re.match(r"query, (character \d+):", str(error))
        raise ValueError(f"is no query that can be read{f', see {place[1]}' if place else ''}") from None

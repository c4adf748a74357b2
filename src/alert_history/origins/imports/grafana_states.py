"""How Grafana writes a change of an alert's state: in annotations, and in the lines of the history that Loki keeps.

Sources: `ItemDTO` of pkg/services/annotations/models.go, `buildAnnotations` of
pkg/services/ngalert/state/historian/annotation.go, `LokiEntry` and the frame of loki.go, and `StateToPostableAlert` of
pkg/services/ngalert/state/compat.go of grafana/grafana, versions 8 to 12, as read in November 2026. Pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

Kind = Literal["Alerting", "NoData", "Error"]
"""A state in which Grafana notifies. Without data and on errors it notifies of another alert than else."""

_KIND_OF: Mapping[str, Kind | None] = {
    "alerting": "Alerting",
    "recovering": "Alerting",
    "nodata": "NoData",
    "no_data": "NoData",
    "error": "Error",
    "normal": None,
    "ok": None,
    "pending": None,
    "paused": None,
    "unknown": None,
    "": None,
}
_ALERTNAME_OF: Mapping[Kind, str] = {"NoData": "DatasourceNoData", "Error": "DatasourceError"}
_TEXT = re.compile(r"(?P<title>.*?) ?\{(?P<labels>(?=[^=,{}]+=|\}).*)\} - .*", re.DOTALL)
_PAIR = re.compile(r"(?:^|, )(?P<name>[^=,\s]+)=")


class BadState(Exception):
    """Why a change of state can't be read; the message is the reason."""


class Annotation(msgspec.Struct, rename="camel", gc=False):
    """One annotation of an alert. `time` is milliseconds since 1970. Alerting before Grafana 9 gives an `alertName`."""

    id: int = 0
    alert_id: int = 0
    alert_name: str | None = None
    time: int = 0
    new_state: str | None = None
    prev_state: str | None = None
    text: str | None = None
    dashboard_uid: str | None = msgspec.field(default=None, name="dashboardUID")
    panel_id: int | None = None
    data: Any = None


class Line(msgspec.Struct, gc=False):
    """One line of the history that Loki keeps."""

    previous: str = ""
    current: str = ""
    labels: dict[str, str] = {}
    values: Any = None
    rule_title: str = msgspec.field(default="", name="ruleTitle")
    rule_id: int = msgspec.field(default=0, name="ruleID")
    rule_uid: str = msgspec.field(default="", name="ruleUID")


class _Field(msgspec.Struct, gc=False):
    name: str = ""


class _Schema(msgspec.Struct, gc=False):
    fields: list[_Field] = []


class _Columns(msgspec.Struct, gc=False):
    values: list[list[Any]] = []
    nanos: list[list[int] | None] | None = None


class Frame(msgspec.Struct, gc=False):
    """A data frame of Grafana: a column for each field."""

    schema: _Schema = msgspec.field(default_factory=_Schema)
    data: _Columns = msgspec.field(default_factory=_Columns)

    def rows(self) -> Iterator[tuple[datetime, Any]]:
        """The time and the line of each row. Raises: BadState where the frame has no such columns."""
        if not self.data.values:
            return
        names = [field.name for field in self.schema.fields]
        if "time" not in names or "line" not in names or len(self.data.values) != len(names):
            raise BadState(f"it has the columns {', '.join(names) or 'none'}, not time and line")
        column = names.index("time")
        times, lines = self.data.values[column], self.data.values[names.index("line")]
        nanos = (self.data.nanos or [None] * len(names))[column] or [0] * len(times)
        for milliseconds, rest, line in zip(times, nanos, lines, strict=True):
            yield at_ms(milliseconds) + timedelta(microseconds=rest // 1000), line


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of state of one alert. `rule` tells rules apart; `labels` are those that it has while it is normal."""

    at: datetime
    rule: str
    labels: dict[str, str]
    now: Kind | None
    before: Kind | None
    is_before_known: bool
    rule_id: int
    rule_uid: str
    values: dict[str, Any] | None
    place: str


def change_of_annotation(annotation: Annotation) -> Change:
    """What an annotation says. Raises: BadState."""
    place = f"annotation {annotation.id}"
    is_old = (annotation.new_state or "").islower()
    labels = _old_labels(annotation) if is_old else _labels_of_text(annotation)
    return Change(
        at=at_ms(annotation.time),
        rule=f"{annotation.alert_id}",
        labels=labels,
        now=_kind(annotation.new_state),
        before=_kind(annotation.prev_state),
        is_before_known=bool(annotation.prev_state),
        rule_id=0 if is_old else annotation.alert_id,
        rule_uid="",
        values=_values(annotation.data, is_old=is_old),
        place=place,
    )


def change_of_line(at: datetime, value: Any) -> Change:
    """What a line says. Raises: BadState."""
    try:
        line = msgspec.json.decode(value, type=Line) if isinstance(value, str) else msgspec.convert(value, Line)
    except (ValueError, RecursionError) as error:
        raise BadState(str(error)) from None
    labels = {name: text for name, text in line.labels.items() if text}
    return Change(
        at=at,
        rule=line.rule_uid or f"{line.rule_id}",
        labels=labels or {"alertname": line.rule_title},
        now=_kind(line.current),
        before=_kind(line.previous),
        is_before_known=bool(line.previous),
        rule_id=line.rule_id,
        rule_uid=line.rule_uid,
        values=line.values if isinstance(line.values, dict) and line.values else None,
        place=f"rule {line.rule_uid or line.rule_id}, {at.isoformat()}",
    )


def sent_labels(labels: dict[str, str], kind: Kind) -> dict[str, str]:
    """The labels of the alert that Grafana notifies of in that state."""
    if kind not in _ALERTNAME_OF:
        return labels
    name = labels.get("alertname")
    return {**labels, **({"rulename": name} if name else {}), "alertname": _ALERTNAME_OF[kind]}


def labels_of(text: str) -> dict[str, str]:
    """Labels as Grafana writes them: `a=1, b=2`, sorted by name, nothing escaped.

    A value may hold `, c=`. That is taken for a label where the name comes later than the one before.
    """
    found: list[tuple[str, int, int]] = []
    for match in _PAIR.finditer(text):
        name = match["name"]
        if not found and match.start() > 0:
            break
        if not found or name > found[-1][0]:
            found.append((name, match.start(), match.end()))
    ends = [start for _, start, _ in found[1:]] + [len(text)]
    pairs = {name: text[begin:end] for (name, _, begin), end in zip(found, ends, strict=False)}
    return {name: value for name, value in pairs.items() if value}


def at_ms(milliseconds: int) -> datetime:
    """A time of Grafana. Raises: BadState."""
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except (OverflowError, TypeError):
        raise BadState(f"its time is out of range: {milliseconds!r}") from None


def _kind(state: str | None) -> Kind | None:
    """`Alerting (NoData)` is Alerting, for a reason. Raises: BadState for a state that is not known."""
    word = (state or "").partition(" (")[0].strip().lower()
    if word not in _KIND_OF:
        raise BadState(f"its state is {state!r}, which is not known")
    return _KIND_OF[word]


def _labels_of_text(annotation: Annotation) -> dict[str, str]:
    """The labels that the text of an annotation names: `Title {a=1, b=2} - B=3.0`. Raises: BadState."""
    match = _TEXT.fullmatch(annotation.text or "")
    if match is None:
        raise BadState(f"its text names no labels: {(annotation.text or '')[:80]!r}")
    labels = labels_of(match["labels"])
    return labels if "alertname" in labels else {**labels, "alertname": match["title"] or f"rule {annotation.alert_id}"}


def _old_labels(annotation: Annotation) -> dict[str, str]:
    """An alert of the alerting before Grafana 9 has no labels: its name, and where its graph is."""
    labels = {
        "alertname": annotation.alert_name or annotation.text or f"alert {annotation.alert_id}",
        "dashboard_uid": annotation.dashboard_uid or "",
        "panel_id": f"{annotation.panel_id}" if annotation.panel_id else "",
    }
    return {name: text for name, text in labels.items() if text}


def _values(data: Any, *, is_old: bool) -> dict[str, Any] | None:
    """The values that made it change, by name."""
    if not isinstance(data, dict):
        return None
    if not is_old:
        values = data.get("values")
        return values if isinstance(values, dict) and values else None
    matches = data.get("evalMatches")
    found = matches if isinstance(matches, Sequence) and not isinstance(matches, str) else []
    named = {str(each["metric"]): each.get("value") for each in found if isinstance(each, dict) and each.get("metric")}
    return named or None

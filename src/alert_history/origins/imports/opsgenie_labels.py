"""Which labels an alert of Opsgenie has: those that its sender had, where Opsgenie kept them.

Alertmanager sends one alert for a group. Its default description lists every firing alert of the group with all labels,
as does that of Grafana; the details are only the labels that all of them share. What else sends has no labels; then
the details, the tags and the fields are made into some.

Sources: `notify/opsgenie/opsgenie.go` and `template/default.tmpl` of prometheus/alertmanager 0.25.0, which was run;
`default.message` of grafana/alerting. Pure.
"""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import unquote_plus

import msgspec

from alert_history.origins.imports.opsgenie_wire import Alert

LabelsFrom = Literal["description", "details", "fields"]
"""Which rule gave the labels."""

SEVERITY_OF = {"P1": "critical", "P2": "critical", "P3": "warning", "P4": "info", "P5": "info"}
"""The severity of a priority, where the alert has no label that says it."""

_FIRING = frozenset({"Alerts Firing:", "**Firing**"})
_RESOLVED = frozenset({"Alerts Resolved:", "**Resolved**"})
_LISTED = re.compile(r" - (?P<name>[^=]*?[^= ]) = ?(?P<value>.*)", re.DOTALL)
_LINKS = ("Source: ", "Silence: ", "Dashboard: ", "Panel: ", "Value: ", "Source:")
_RECEIVER = re.compile(r"/#/alerts\?receiver=(?P<receiver>[^&\s]*)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_NAME = re.compile(r"[^A-Za-z0-9_]+")
_TAG = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*[:=]\s*(?P<value>\S.*)")


class LabelSet(msgspec.Struct, frozen=True, gc=False):
    """The labels of one firing, its annotations, and the link that its rule has."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    generator_url: str = ""


def label_sets(alert: Alert) -> tuple[LabelsFrom, list[LabelSet]]:
    """The label sets of an alert, each once, and the rule that gave them. None is empty."""
    listed = {tuple(sorted(each.labels.items())): each for each in listed_sets(alert.description or "")}
    if listed:
        return "description", list(listed.values())
    details = {name: text for name, text in _texts(alert).items() if text}
    if details and "alertname" in details and (receiver_of(alert) or _integration(alert) == "prometheus"):
        return "details", [LabelSet(details, _annotations(alert))]
    return "fields", [LabelSet(_made_labels(alert, details), _annotations(alert))]


def receiver_of(alert: Alert) -> str:
    """The receiver of the Alertmanager that sent it; empty where none did, or where its `source` was configured."""
    match = _RECEIVER.search(alert.source or "")
    return unquote_plus(match["receiver"]) if match else ""


def listed_sets(description: str) -> Iterator[LabelSet]:
    """The label sets that the default description of Alertmanager or Grafana lists as firing.

    A list that is cut off, because Opsgenie keeps 15 000 characters, loses its last one: half a label set names
    another alert.
    """
    lines = _firing_lines(description)
    found: dict[str, dict[str, str]] = {}
    part, last = "", ""
    for line in lines:
        if line == "Labels:":
            found, part, last = {}, line, ""
        elif line == "Annotations:" and part == "Labels:":
            part, last = line, ""
        elif line.startswith(_LINKS[0].rstrip()) and part == "Annotations:":
            yield from _set(found, line.partition(":")[2].strip())
            part = ""
        elif part and (match := _LISTED.fullmatch(line)):
            last = match["name"]
            found.setdefault(part, {})[last] = match["value"]
        elif part and last:  # the value goes on: it holds a line break
            found[part][last] += "\n" + line


def _firing_lines(description: str) -> list[str]:
    lines = description.replace("\r\n", "\n").split("\n")
    begins = next((place for place, line in enumerate(lines) if line.strip() in _FIRING), None)
    if begins is None:
        return []
    ends = next((place for place, line in enumerate(lines) if place > begins and line.strip() in _RESOLVED), len(lines))
    return lines[begins + 1 : ends]


def _set(found: dict[str, dict[str, str]], url: str) -> Iterator[LabelSet]:
    labels = {name: value for name, value in found.get("Labels:", {}).items() if value}
    if labels:
        yield LabelSet(labels, found.get("Annotations:", {}), url)


def _texts(alert: Alert) -> dict[str, str]:
    """The details as texts."""
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in (alert.details or {}).items()
        if value is not None
    }


def _integration(alert: Alert) -> str:
    return ((alert.integration.type if alert.integration else None) or "").lower()


def _annotations(alert: Alert) -> dict[str, str]:
    texts = {"summary": alert.message, "description": alert.description}
    return {name: text for name, text in texts.items() if text}


def _made_labels(alert: Alert, details: dict[str, str]) -> dict[str, str]:
    """Labels of an alert whose sender had none: what tells it apart from others, and its severity.

    The alias is what Opsgenie itself tells alerts apart by. It is left out where Opsgenie made it up, which is when the
    sender gave none: then it is the alert's id.
    """
    tags = dict(_tags(alert))
    labels = {_label_name(name): text for name, text in details.items()}
    labels = {**tags, **labels}
    own = {
        "alertname": alert.message or alert.alias or alert.id,
        "alias": "" if alert.alias == alert.id else alert.alias,
        "entity": alert.entity,
        "severity": SEVERITY_OF.get((alert.priority or "").upper()),
        "integration": alert.integration.name if alert.integration else None,
    }
    return {name: text for name, text in {**own, **labels}.items() if text}


def _tags(alert: Alert) -> Iterator[tuple[str, str]]:
    """`team:web` and `team=web` as labels of their own; all other tags in one, sorted."""
    others = set()
    for tag in alert.tags or ():
        match = _TAG.fullmatch(tag.strip())
        if match is None or match["value"].startswith("//"):  # a URL is no pair
            others.add(tag.strip())
        else:
            yield _label_name(match["name"]), match["value"]
    if others:
        yield "tags", ",".join(sorted(others))


def _label_name(text: str) -> str:
    """A name that Prometheus takes for a label."""
    name = _NO_NAME.sub("_", text.strip()) or "_"
    return name if _NAME.fullmatch(name) else f"_{name}"

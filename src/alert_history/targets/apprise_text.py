"""What people read through apprise: a title and a body in plain text, for chats, e-mail and text messages alike.

Must not know apprise, which turns the text into what each service wants, and cuts it to the service's length.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.target import Outgoing
from alert_history.targets.explaining import plain_text
from alert_history.targets.fitting import clipped, sound_url
from alert_history.targets.wording import (
    MARKS,
    Urgency,
    annotated_urls,
    calling_nobody,
    description_of,
    lasting_words,
    loudest,
    name_words,
    place_words,
    shared,
    status_words,
    summary,
    urgency,
    urgent_first,
)

Kind = Literal["info", "success", "warning", "failure"]

_KINDS: Mapping[Urgency | None, Kind] = {"critical": "failure", "warning": "warning", "info": "info", None: "success"}
_ALERTS_SHOWN = 10
_TITLE_CHARACTERS = 200
_LINE_CHARACTERS = 500
_LABELS_SHOWN = 8
_LABEL_CHARACTERS = 100
_IN_TITLE = frozenset({"alertname", "severity"})


class Text(msgspec.Struct, frozen=True):
    """The text of a message. `kind` is apprise's word for how urgent it is; services show it as a colour or an icon."""

    title: str
    body: str
    kind: Kind


def text_of(alerts: Sequence[Outgoing]) -> Text:
    """The text about the alerts of one group, firing and resolved mixed; one at least. Its mentions call nobody."""
    level = loudest(alerts)
    title = " · ".join([f"{MARKS[level]} {status_words(alerts)}", name_words(alerts), *place_words(alerts)])
    return Text(calling_nobody(clipped(title, _TITLE_CHARACTERS)), calling_nobody(_body(alerts)), _KINDS[level])


def _body(alerts: Sequence[Outgoing]) -> str:
    common = shared(alert.labels for alert in alerts)
    shared_annotations = shared(alert.annotations for alert in alerts) if len(alerts) > 1 else {}
    shown = urgent_first(alerts)[:_ALERTS_SHOWN]
    parts = [_alert_lines(alert, len(alerts), common=common, shared_annotations=shared_annotations) for alert in shown]
    rest = len(alerts) - len(shown)
    parts += [[f"…and {rest} more"] if rest else []]
    parts += [[plain_text([alert for alert in alerts if alert.status == "firing"])]]
    parts += [
        [*_annotation_lines(shared_annotations), _labels({k: v for k, v in common.items() if k not in _IN_TITLE})]
    ]
    parts += [_url_lines({"Sent by": alerts[0].external_url})]
    return "\n\n".join(filter(None, ("\n".join(filter(None, lines)) for lines in parts)))


def _alert_lines(
    alert: Outgoing, among: int, *, common: Mapping[str, str], shared_annotations: Mapping[str, str]
) -> list[str]:
    own = {name: text for name, text in alert.annotations.items() if name not in shared_annotations}
    own_labels = _labels({name: value for name, value in alert.labels.items() if name not in common})
    first, *others = filter(None, [clipped(summary(own), _LINE_CHARACTERS), own_labels, lasting_words(alert, _time)])
    mark = f"{MARKS[urgency(alert) if alert.status == 'firing' else None]} " if among > 1 else ""
    description = clipped(description_of(own), _LINE_CHARACTERS)
    return [f"{mark}{first}", *others, description, *_url_lines(annotated_urls(own) | {"Source": alert.generator_url})]


def _annotation_lines(annotations: Mapping[str, str]) -> list[str]:
    texts = [summary(annotations), description_of(annotations)]
    return [*(clipped(text, _LINE_CHARACTERS) for text in texts), *_url_lines(annotated_urls(annotations))]


def _labels(labels: Mapping[str, str]) -> str:
    shown = [clipped(f"{name}={value}", _LABEL_CHARACTERS) for name, value in list(labels.items())[:_LABELS_SHOWN]]
    rest = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {rest} more labels" if rest else "")


def _url_lines(urls: Mapping[str, str]) -> list[str]:
    return [f"{words}: {sound_url(url)}" for words, url in urls.items() if sound_url(url)]


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"

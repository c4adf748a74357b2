"""Slack: one message a group through an incoming webhook, in Block Kit, with a coloured bar.

Holds what the message says, how it stays within Slack's limits, and how Slack's answers are read. All text that came
from outside goes through `slack_text`. Source of the limits: Slack's reference of blocks and of incoming webhooks;
`msg_blocks_too_long` comes at about 13 000 characters of blocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.errors import Retryable
from alert_history.targets import answers
from alert_history.targets.slack_text import clip, code, link
from alert_history.targets.wording import (
    duration_words,
    loudest,
    name_words,
    place_words,
    shared,
    status_words,
    summary,
    urgency,
    urgent_first,
)

_RED, _AMBER, _BLUE, _GREEN = "#d92d20", "#f2a60d", "#2e7de0", "#2eb67d"
_COLORS = {"critical": _RED, "warning": _AMBER, "info": _BLUE, None: _GREEN}
_MARKS = {"critical": "🔴", "warning": "🟠", "info": "🔵", None: "🟢"}

_SECTION_CHARACTERS = 3000
_BLOCKS_CHARACTERS = 12_500
_RESERVED_CHARACTERS = 1_200  # for what stands below the alerts
_ALERTS_SHOWN = 20
_NAME_CHARACTERS = 200
_PLACE_CHARACTERS = 80
_SUMMARY_CHARACTERS = 400
_DESCRIPTION_CHARACTERS = 1500
_DESCRIPTION_OF_MANY_CHARACTERS = 300
_MANY = 4
_LABELS_SHOWN = 12
_LABEL_CHARACTERS = 100
_LABELS_CHARACTERS = 700

_RUNBOOKS = ("runbook_url", "runbook")
_DASHBOARDS = ("dashboard_url", "dashboard", "dashboardURL")
_IN_HEADLINE = frozenset({"alertname", "severity"})
_EPOCH_SECONDS = range(1, 4_102_444_800)  # what Slack can show in the reader's own time zone: to the year 2100


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "SlackTarget":
    """A Slack channel's target. Raises ValueError when the key `webhook_url` is missing or no http(s) URL."""
    return SlackTarget(answers.url_of(spec, "webhook_url"), client)


class SlackTarget:
    """One incoming webhook. Slack drops no doubles: a message whose answer is lost may be seen twice."""

    speaks_of_groups = True
    default_rate_per_minute = 60.0

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def send(self, message: Message) -> Sent:
        body = msgspec.json.encode(slack_message(message.alerts))
        answer = await answers.post(self._client, self._url, body=body)
        if answer.text.strip() != "ok":
            raise Retryable("answered 200, but not the ok of a Slack webhook")
        return Sent()

    def url_shown(self) -> str:
        return answers.url_shown(self._url)


def slack_message(alerts: Sequence[Outgoing]) -> dict[str, Any]:
    """What is posted for the alerts of one group, firing and resolved mixed; one at least.

    `text` is the headline: above the bar, on the lock screen, read aloud. No mention in it can call anybody.
    """
    level = loudest(alerts)
    common_summary = summary(shared(alert.annotations for alert in alerts))
    plain = " · ".join([f"{_MARKS[level]} {status_words(alerts)}", *_title(alerts)])
    second_line = f"\n{clip(common_summary, _SUMMARY_CHARACTERS)}" if common_summary else ""
    return {
        "text": f"{_headline(alerts)}{second_line}",
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [{"color": _COLORS[level], "fallback": plain, "blocks": _blocks(alerts)}],
    }


def _title(alerts: Sequence[Outgoing]) -> list[str]:
    places = [clip(place, _PLACE_CHARACTERS) for place in place_words(alerts)]
    return [clip(name_words(alerts), _NAME_CHARACTERS), *places]


def _headline(alerts: Sequence[Outgoing]) -> str:
    name, *places = _title(alerts)
    return " · ".join([f"{_MARKS[loudest(alerts)]} *{status_words(alerts)}* · *{name}*", *places])


def _blocks(alerts: Sequence[Outgoing]) -> list[dict[str, Any]]:
    sections, room = [], _BLOCKS_CHARACTERS - _RESERVED_CHARACTERS
    ordered = urgent_first(alerts)
    common = shared(alert.labels for alert in alerts)
    common_annotations = shared(alert.annotations for alert in alerts)
    for alert in ordered[:_ALERTS_SHOWN]:
        section = _section(_alert_text(alert, len(alerts), common=common, said_above=common_annotations))
        room -= _size(section)
        if room < 0:
            break
        sections.append(section)
    rest = ordered[len(sections) :]
    return [*sections, *_more(rest), *_footer(alerts[0], common=common, annotations=common_annotations)]


def _size(block: Mapping[str, Any]) -> int:
    return len(msgspec.json.encode(block).decode())


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text)}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_markdown(text)]}


def _markdown(text: str) -> dict[str, Any]:
    """`verbatim`: Slack looks for no names, channels or links in it besides those we write."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _more(rest: Sequence[Outgoing]) -> list[dict[str, Any]]:
    return [_context(f"…and {len(rest)} more ({status_words(rest)})")] if rest else []


def _alert_text(
    alert: Outgoing, among: int, *, common: Mapping[str, str], said_above: Mapping[str, str]
) -> str:
    """One alert of `among`: what is wrong, what tells it from the others, since when, and where to look."""
    mark = _MARKS[urgency(alert) if alert.status == "firing" else None]
    own_summary = "" if summary(said_above) else summary(alert.annotations)
    lines = [f"*{clip(own_summary, _SUMMARY_CHARACTERS)}*" if own_summary else ""]
    lines += [_labels({name: value for name, value in alert.labels.items() if name not in common})]
    lines = [f"{mark} " + "  ".join(filter(None, [*lines, _when(alert)]))] if among > 1 else [*lines, _when(alert)]
    lines += [_description(alert, among, said_above=said_above), _alert_links(alert, said_above=said_above)]
    return "\n".join(filter(None, lines))[:_SECTION_CHARACTERS]

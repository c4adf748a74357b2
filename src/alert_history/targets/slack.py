"""Slack: one message a group through an incoming webhook, in Block Kit, with a coloured bar.

Holds what the message says, how it stays within Slack's limits, and how Slack's answers are read. All text that came
from outside goes through `slack_markup`. Source of the limits: Slack's reference of blocks and of incoming webhooks;
`msg_blocks_too_long` comes at about 13 000 characters of blocks.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from alert_history.domain.acts import TOLD_ACTS
from alert_history.domain.classification import Classification
from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.domain.visible import visible
from alert_history.targets import answers
from alert_history.targets.explaining import explained, sure_words, unexplained
from alert_history.targets.slack_markup import clip, clip_line, code, link
from alert_history.targets.wording import (
    MARKS,
    annotated_urls,
    description_of,
    is_follow_up,
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

_RED, _AMBER, _BLUE, _GREEN = "#d92d20", "#f2a60d", "#2e7de0", "#2eb67d"
_COLORS = {"critical": _RED, "warning": _AMBER, "info": _BLUE, None: _GREEN}

_GONE = frozenset({"no_service", "no_active_hooks"})

_SECTION_CHARACTERS = 3000
_BLOCKS_CHARACTERS = 12_500
_MORE_CHARACTERS = 200  # what the line about the rest takes at most
_LINKS_CHARACTERS = 1300
_ALERTS_SHOWN = 20
_NAME_CHARACTERS = 200
_PLACE_CHARACTERS = 80
_SUMMARY_CHARACTERS = 400
_DESCRIPTION_CHARACTERS = 1500
_DESCRIPTION_OF_MANY_CHARACTERS = 300
_MANY = 4
_ALERTS_CHARACTERS = 3000  # what explanations leave to the alerts at least
_EXPLANATIONS_SHOWN = 4
_REASONS_SHOWN = 2
_CAUSE_CHARACTERS = 500
_ADVICE_CHARACTERS = 250
_ADVICE_OF_SEVERAL = 2
_LABELS_SHOWN = 8
_LABEL_CHARACTERS = 100

_ACT_WORDS: Mapping[str, str] = {"acknowledged": "ACKNOWLEDGED", "noted": "NOTE"}
_IN_HEADLINE = frozenset({"alertname", "severity"})
_EPOCH_SECONDS = range(1, 4_102_444_800)  # what Slack can show in the reader's own time zone: to the year 2100


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "SlackTarget":
    """A Slack channel's target. Raises ValueError when the key `webhook_url` is missing or no http(s) URL."""
    return SlackTarget(answers.url_of(spec, "webhook_url"), client)


class SlackTarget:
    """One incoming webhook. Slack drops no doubles: a message whose answer is lost may be seen twice."""

    speaks_of_groups = True
    default_rate_per_minute = 60.0
    takes_follow_ups = True  # as a short note of its own: an incoming webhook can't change what it posted
    shown_acts = TOLD_ACTS  # likewise

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def send(self, message: Message) -> Sent:
        body = msgspec.json.encode(_composed(message.alerts))
        answer = await answers.post(self._client, self._url, body=body, says_gone=_says_gone)
        if answer.text.strip() != "ok":
            raise answers.not_its_own(answer, "Slack", secrets=[self._url, *httpx.URL(self._url).path.split("/")])
        return Sent()

    def url_shown(self) -> str:
        return answers.url_shown(self._url)


def _composed(alerts: Sequence[Outgoing]) -> dict[str, Any]:
    if alerts[0].act is not None:  # it is alone: see the worker
        return slack_act(alerts[0])
    return slack_note(alerts) if is_follow_up(alerts) else slack_message(alerts)


def _says_gone(answer: answers.Answer) -> bool:
    """Whether the webhook is removed or disabled. A missing channel may come back: only its message is dead."""
    return answer.status == httpx.codes.NOT_FOUND and answer.text.strip() in _GONE


def slack_message(alerts: Sequence[Outgoing]) -> dict[str, Any]:
    """What is posted for the alerts of one group, firing and resolved mixed; one at least.

    `text` is the headline: above the bar, on the lock screen, read aloud. No mention in it can call anybody.
    """
    return _message(alerts, status_words(alerts), subtitle=_shared_summary(alerts), blocks=_blocks(alerts))


def slack_note(alerts: Sequence[Outgoing]) -> dict[str, Any]:
    """What is posted when a classification follows alerts that were posted before; one alert at least."""
    is_over = loudest(alerts) is None
    notes = [_context(text) for text in ("Resolved by now",) if is_over]
    blocks = [*_explanations(alerts, room=_BLOCKS_CHARACTERS - _MORE_CHARACTERS), *notes]
    return _message(alerts, "CLASSIFIED", blocks=blocks or [_context("Without a classification")])


def slack_act(alert: Outgoing) -> dict[str, Any]:
    """What is posted when a person acknowledged an alert that was posted before, or wrote a note about it."""
    words = [_section(clip(alert.act.text, _DESCRIPTION_CHARACTERS))] if alert.act and visible(alert.act.text) else []
    by = clip_line(alert.act.by, _NAME_CHARACTERS) if alert.act else ""
    is_over = [_context("Resolved by now")] if alert.status == "resolved" else []
    return _message([alert], _ACT_WORDS[alert.event], blocks=[_context(f"By {by}"), *words, *is_over])


def _message(
    alerts: Sequence[Outgoing], word: str, *, blocks: Sequence[dict[str, Any]], subtitle: str = ""
) -> dict[str, Any]:
    level = loudest(alerts)
    name, *places = _title(alerts)
    lines = [" · ".join([f"{MARKS[level]} *{word}* · *{name}*", *places]), subtitle]
    plain = " · ".join([f"{MARKS[level]} {word}", name, *places])
    return {
        "text": "\n".join(filter(None, lines)),
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [{"color": _COLORS[level], "fallback": plain, "blocks": blocks}],
    }


def _title(alerts: Sequence[Outgoing]) -> list[str]:
    places = [clip_line(place, _PLACE_CHARACTERS) for place in place_words(alerts)]
    return [clip_line(name_words(alerts), _NAME_CHARACTERS), *places]


def _shared_summary(alerts: Sequence[Outgoing]) -> str:
    return clip_line(summary(shared(alert.annotations for alert in alerts)), _SUMMARY_CHARACTERS)


def _blocks(alerts: Sequence[Outgoing]) -> list[dict[str, Any]]:
    """As many alerts as there is room for, how many more there are, what they mean, and what holds for all of them."""
    common = shared(alert.labels for alert in alerts)
    shared_annotations = shared(alert.annotations for alert in alerts) if len(alerts) > 1 else {}
    footer = _footer(alerts, common=common, annotations=shared_annotations)
    ordered = urgent_first(alerts)
    texts = [
        _alert_text(alert, alerts, common=common, shared_annotations=shared_annotations)
        for alert in ordered[:_ALERTS_SHOWN]
    ]
    room = _BLOCKS_CHARACTERS - _MORE_CHARACTERS - sum(map(_size, footer))
    firing = [alert for alert in ordered if alert.status == "firing"]  # those resolved were explained when they fired
    meaning = _explanations(firing, room=room - _ALERTS_CHARACTERS)
    sections = _fitting([_section(text) for text in texts], room - sum(map(_size, meaning)))
    return [*sections, *_more(ordered[len(sections) :]), *meaning, *footer]


def _explanations(alerts: Sequence[Outgoing], *, room: int) -> list[dict[str, Any]]:
    """What the alerts mean, once where they share a meaning, then in small print why some alerts have none."""
    classifications = explained(alerts)
    reasons = [_context(clip_line(reason, _SUMMARY_CHARACTERS)) for reason in unexplained(alerts)[:_REASONS_SHOWN]]
    is_of_all = len(classifications) == 1 and not reasons
    sections = [
        _section(_explanation(each, "" if is_of_all else name_words(those), is_short=len(classifications) > 1))
        for each, those in list(classifications.items())[:_EXPLANATIONS_SHOWN]
    ]
    return _fitting([*sections, *reasons], room)


def _explanation(classification: Classification, names: str, *, is_short: bool) -> str:
    """One classification. `names` are its alerts, if it is not that of all. One of several takes fewer words."""
    of = f"*{clip_line(names, _NAME_CHARACTERS)}* · " if names else ""
    advice = classification.recommendations[: _ADVICE_OF_SEVERAL if is_short else None]
    cause = "" if is_short else clip_line(classification.probable_cause, _CAUSE_CHARACTERS)
    lines = [
        f"💡 {of}{clip_line(sure_words(classification), _NAME_CHARACTERS)}",
        clip_line(classification.summary, _SUMMARY_CHARACTERS),
        f"*Probable cause:* {cause}" if cause else "",
        *(f"• {clip_line(text, _ADVICE_CHARACTERS)}" for text in advice),
    ]
    return "\n".join(filter(None, lines))


def _fitting(blocks: Sequence[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """The first of `blocks` that fit into `room` characters."""
    ends = accumulate(map(_size, blocks))
    return [block for block, end in zip(blocks, ends, strict=True) if end <= room]


def _size(block: Mapping[str, Any]) -> int:
    return len(msgspec.json.encode(block).decode())


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text)}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_markdown(text)]}


def _markdown(text: str) -> dict[str, Any]:
    """A text in mrkdwn. `verbatim`: Slack looks for no names, channels or links besides those we write."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _more(rest: Sequence[Outgoing]) -> list[dict[str, Any]]:
    return [_context(f"…and {len(rest)} more ({status_words(rest).lower()})")] if rest else []


def _alert_text(
    alert: Outgoing, group: Sequence[Outgoing], *, common: Mapping[str, str], shared_annotations: Mapping[str, str]
) -> str:
    """One alert of its group: what is wrong, how it differs from the others, since when, and where to look."""
    own = {name: text for name, text in alert.annotations.items() if name not in shared_annotations}
    own_summary = "" if _shared_summary(group) else clip_line(summary(own), _SUMMARY_CHARACTERS)
    own_labels = _labels({name: value for name, value in alert.labels.items() if name not in common})
    first, *others = filter(None, [f"*{own_summary}*" if own_summary else "", own_labels, lasting_words(alert, _time)])
    mark = f"{MARKS[urgency(alert) if alert.status == 'firing' else None]} " if len(group) > 1 else ""
    links = _joined([*_annotated_links(own), "" if _shared_source(group) else link(alert.generator_url, "Source")])
    room = _SECTION_CHARACTERS - sum(len(line) + 1 for line in [mark, first, *others, links])
    limit = _DESCRIPTION_CHARACTERS if len(group) < _MANY else _DESCRIPTION_OF_MANY_CHARACTERS
    description = clip(description_of(own), min(limit, room))
    return "\n".join(filter(None, [f"{mark}{first}", *others, description, links]))


def _time(time: datetime) -> str:
    seconds, words = int(time.timestamp()), f"{time:%Y-%m-%d %H:%M} UTC"
    return f"<!date^{seconds}^{{date_short_pretty}} {{time}}|{words}>" if seconds in _EPOCH_SECONDS else words


def _labels(labels: Mapping[str, str]) -> str:
    shown = [code(f"{name}={value}", _LABEL_CHARACTERS) for name, value in list(labels.items())[:_LABELS_SHOWN]]
    rest = len(labels) - len(shown)
    return " ".join(shown) + (f" …and {rest} more labels" if rest else "")


def _joined(links: Sequence[str]) -> str:
    """As many of the links as may stand together."""
    lengths = accumulate(len(text) + 3 for text in links)
    return " · ".join(text for text, end in zip(links, lengths, strict=True) if text and end <= _LINKS_CHARACTERS)


def _annotated_links(annotations: Mapping[str, str]) -> list[str]:
    return [link(url, words) for words, url in annotated_urls(annotations).items()]


def _footer(
    alerts: Sequence[Outgoing], *, common: Mapping[str, str], annotations: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What holds for the whole group: its description, its labels, and where to look and to silence it."""
    description = clip(description_of(annotations), _DESCRIPTION_CHARACTERS)
    labels = _labels({name: value for name, value in common.items() if name not in _IN_HEADLINE})
    source = link(_shared_source(alerts), "Source")
    links = _joined([*_annotated_links(annotations), source, *_sender_links(alerts[0], common=common)])
    texts = [description, labels, links]
    return [_context(text) for text in texts if text]


def _shared_source(alerts: Sequence[Outgoing]) -> str:
    """The generator URL of all the alerts, if there are several and they have one in common."""
    urls = {alert.generator_url for alert in alerts}
    return urls.pop() if len(alerts) > 1 and len(urls) == 1 else ""


def _sender_links(alert: Outgoing, *, common: Mapping[str, str]) -> list[str]:
    """Links to the Alertmanager or the Grafana that sent the group."""
    root = alert.external_url.rstrip("/")
    if not root:
        return []
    if "orgId" in alert.details:
        return [link(root, "Grafana")]
    matchers = ",".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in common.items())
    silence = f"{root}/#/silences/new?filter={quote(f'{{{matchers}}}', safe='')}" if common else ""
    return [
        link(f"{root}/#/alerts?receiver={quote(alert.receiver, safe='')}", "Alertmanager"),
        link(silence, "Silence"),
    ]

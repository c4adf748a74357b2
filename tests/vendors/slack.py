"""Slack's incoming webhooks: they refuse what Slack refuses, by the limits of its reference of blocks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.vendors.server import Reply, Request

TOKEN = "XoYzAbCdEfGhIjKlMnOpQrSt"  # noqa: S105  # nobody's
PATH = f"/services/T0WORKSPACE/B0INCOMING/{TOKEN}"

FORMAT = "slack"
SECRETS = (TOKEN,)

MAX_BLOCKS = 50
MAX_BLOCKS_CHARACTERS = 13_000
MAX_TEXT_CHARACTERS = 40_000
MAX_SECTION_CHARACTERS = 3000
MAX_FIELDS = 10
MAX_FIELD_CHARACTERS = 2000
MAX_ELEMENTS = 10

# What it answers then. `no_service` and `no_active_hooks` are of the webhook itself, the others of where it posts.
STATES = {
    "webhook removed": (404, "no_service"),
    "webhook disabled": (404, "no_active_hooks"),
    "channel archived": (410, "channel_is_archived"),
    "channel not found": (404, "channel_not_found"),
    "posting prohibited": (403, "action_prohibited"),
}

_MESSAGE = {"text", "attachments", "blocks", "parse", "link_names", "unfurl_links", "unfurl_media", "mrkdwn"}
_ATTACHMENT = {"color", "fallback", "blocks"}
_COLOR = re.compile(r"#[0-9a-f]{6}")
_ANGLED = re.compile(r"<([^<>]*)>")
_LINK = re.compile(r"https?://[^\s|<>]+(\|[^|]+)?")
_DATE = re.compile(r"!date\^\d+\^[^^|]+\|[^|]+")
_STRAY = re.compile(r"&(?!amp;|lt;|gt;)")
_CALL = re.compile(r"<!(?:channel|here|everyone|subteam)|<@|@(?:channel|here|everyone)\b")


def fields(url: str) -> dict[str, str]:
    """A target's keys for the server at `url`."""
    return {"webhook_url": f"{url}{PATH}"}


def wrong_fields(url: str) -> dict[str, str]:
    """The same, of a webhook that was taken back."""
    return {"webhook_url": f"{url}/services/T0WORKSPACE/B0INCOMING/NotOneOfOursAtAll"}


@dataclass
class Slack:
    """One channel. `messages` holds what it shows, oldest first.

    `state` is a key of `STATES`: what has become of the webhook or its channel.
    """

    state: str = "open"
    messages: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def taken(self) -> int:
        return len(self.messages)

    def answer(self, request: Request) -> Reply:
        if request.path != PATH:
            return self._refuse(404, "no_service")
        if self.state != "open":
            return self._refuse(*STATES[self.state])
        try:
            message = request.json()
        except msgspec.DecodeError:
            return self._refuse(400, "invalid_payload")
        if fault := next(faults(message), None):
            return self._refuse(400, fault)
        self.messages.append(message)
        return Reply(200, b"ok", {"content-type": "text/html"})

    def _refuse(self, status: int, word: str) -> Reply:
        self.refusals.append(word)
        return Reply(status, word.encode(), {"content-type": "text/html"})


def faults(message: Mapping[str, Any]) -> Iterator[str]:
    """What Slack would say against a message, or show otherwise than it was meant."""
    if set(message) - _MESSAGE:
        yield f"invalid_payload: {set(message) - _MESSAGE}"
    if not message.get("text", "").strip():
        yield "no_text"
    if len(message["text"]) > MAX_TEXT_CHARACTERS:
        yield "msg_too_long"
    yield from _markup_faults(message["text"])
    for attachment in message.get("attachments", []):
        yield from _attachment_faults(attachment)


def calls(message: Mapping[str, Any]) -> list[str]:
    """What in a message would call people."""
    return [call for text in _texts(message) for call in _CALL.findall(text)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _attachment_faults(attachment: Mapping[str, Any]) -> Iterator[str]:
    if set(attachment) - _ATTACHMENT or not _COLOR.fullmatch(attachment["color"]) or not attachment["fallback"].strip():
        yield "invalid_attachments"
    blocks = attachment["blocks"]
    if not 1 <= len(blocks) <= MAX_BLOCKS:
        yield f"invalid_blocks: {len(blocks)} blocks"
    if sum(len(msgspec.json.encode(block).decode()) for block in blocks) > MAX_BLOCKS_CHARACTERS:
        yield "msg_blocks_too_long"
    for block in blocks:
        yield from _block_faults(block)


def _block_faults(block: Mapping[str, Any]) -> Iterator[str]:
    match block:
        case {"type": "section", "text": text, **rest}:
            yield from _text_faults(text)
            fields = rest.get("fields", [])
            if len(fields) > MAX_FIELDS or any(len(each["text"]) > MAX_FIELD_CHARACTERS for each in fields):
                yield "invalid_blocks: fields"
        case {"type": "context", "elements": [*elements]} if 1 <= len(elements) <= MAX_ELEMENTS:
            for element in elements:
                yield from _text_faults(element)
        case _:
            yield f"invalid_blocks: {block}"


def _text_faults(text: Mapping[str, Any]) -> Iterator[str]:
    if text.get("type") != "mrkdwn" or set(text) - {"type", "text", "verbatim"}:
        yield f"invalid_blocks: {text}"
    if not 1 <= len(text["text"].strip()) <= len(text["text"]) <= MAX_SECTION_CHARACTERS:
        yield f"invalid_blocks: {len(text['text'])} characters"
    yield from _markup_faults(text["text"])


def _markup_faults(text: str) -> Iterator[str]:
    """Slack shows bad markup somehow; here it is a fault."""
    yield from (f"markup: <{inner}>" for inner in _ANGLED.findall(text) if not _is_markup(inner))
    without = _ANGLED.sub("", text)
    if "<" in without or ">" in without or _STRAY.search(without):
        yield f"not escaped: {without}"


def _is_markup(inner: str) -> bool:
    return bool(_LINK.fullmatch(inner) or _DATE.fullmatch(inner))

"""Webhook: our own JSON to any URL, signed as the Standard Webhooks specification says.

Holds the body, the headers and the signature. For users: docs/reference/targets/webhook.md, which describes every
field; a field is added freely, and none changes its meaning. Source of the signature: standardwebhooks.com.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import httpx
import msgspec

from alert_history.domain.acts import TOLD_ACTS, TellableKind
from alert_history.domain.alert import Status
from alert_history.domain.classification import Classification, capped
from alert_history.domain.standing import EndedBy
from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.targets import answers

_HEADER_KEY = "header_"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}", re.ASCII)  # a field-name of RFC 9110
_VALUE = re.compile(r"[\x20-\x7e]*", re.ASCII)
_ENCODED_SECRET = "whsec_"  # noqa: S105  # what marks a secret is none
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)


class Enrichment(msgspec.Struct, frozen=True):
    """Whether the alert is classified. `reason` says why not, where it should be: `unenriched`."""

    status: Literal["enriched", "unenriched", "transparent"]
    reason: str | None


class WebhookAct(msgspec.Struct, frozen=True):
    """What a person did: acknowledge the alert, or write a note. `text` may be empty."""

    by: str
    text: str
    at: datetime


class WebhookAlert(msgspec.Struct, frozen=True):
    """`data` of the body: the alert as it is now. `occurrence_id` names this firing, from `starts_at` to `ends_at`.

    `ended_by` is how the end is known, null without news of an end; `reason` is why the alert is taken as over where no
    sender said so. `act` is what a person did, null in news of the alert.
    """

    occurrence_id: str
    fingerprint: str
    event: TellableKind
    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    received_at: datetime
    receiver: str
    group_key: str
    generator_url: str
    external_url: str
    details: dict[str, Any]
    classification: Classification | None
    enrichment: Enrichment
    scope: str
    ended_by: EndedBy | None
    confirmed_at: datetime | None
    reason: str
    act: WebhookAct | None


class WebhookBody(msgspec.Struct, frozen=True):
    """The whole body. `id` is the idempotency key, the same on every attempt; `timestamp` is when the event came."""

    type: str
    id: str
    timestamp: datetime
    version: Literal["1"]
    data: WebhookAlert


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "WebhookTarget":
    """A webhook's target. Raises ValueError naming the key that is missing or wrong."""
    url = answers.url_of(spec, "url")
    headers = _headers(spec.fields)
    _one_login(url, headers)
    return WebhookTarget(url, client, headers=headers, signing_key=_signing_key(spec.fields.get("signing_secret")))


class WebhookTarget:
    """One URL. Any 2xx means taken, whatever its body."""

    speaks_of_groups = False
    takes_follow_ups = True
    shown_acts = TOLD_ACTS
    default_rate_per_minute = 600.0  # ten a second: nobody knows what a stranger bears, and a storm must not break it

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        *,
        headers: Mapping[str, str],
        signing_key: bytes | None,
        clock: Callable[[], datetime] = answers.utc_now,
    ) -> None:
        self._url = url
        self._client = client
        self._headers = dict(headers)
        self._signing_key = signing_key
        self._clock = clock

    async def send(self, message: Message) -> Sent:
        (alert,) = message.alerts
        body = msgspec.json.encode(webhook_body(alert, idempotency_key=message.idempotency_key))
        named = self._named(body, message.idempotency_key)
        secrets = [part for value in self._headers.values() for part in (value, value.rpartition(" ")[2])]
        await answers.post(self._client, self._url, body=body, headers=self._headers | named, secrets=secrets)
        return Sent()

    def url_shown(self) -> str:
        return answers.url_shown(self._url)

    def _named(self, body: bytes, message_id: str) -> dict[str, str]:
        """The headers of Standard Webhooks: id and time always, the signature where there is a secret."""
        timestamp = str(int(self._clock().timestamp()))
        headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
        if self._signing_key is not None:
            signature = sign(body, key=self._signing_key, message_id=message_id, timestamp=timestamp)
            headers["webhook-signature"] = signature
        return headers


def webhook_body(alert: Outgoing, *, idempotency_key: str) -> WebhookBody:
    """What is posted about one alert."""
    return WebhookBody(
        type=f"alert.{alert.event}",
        id=idempotency_key,
        timestamp=alert.at,
        version="1",
        data=WebhookAlert(
            occurrence_id=alert.occurrence_id,
            fingerprint=alert.fingerprint,
            event=alert.event,
            status=alert.status,
            labels=alert.labels,
            annotations=alert.annotations,
            starts_at=alert.starts_at,
            ends_at=alert.ends_at,
            received_at=alert.at,
            receiver=alert.receiver,
            group_key=alert.group_key,
            generator_url=alert.generator_url,
            external_url=alert.external_url,
            details=alert.details,
            classification=None if alert.classification is None else capped(alert.classification),
            enrichment=_enrichment(alert),
            scope=alert.scope,
            ended_by=alert.ended_by,
            confirmed_at=alert.confirmed_at,
            reason=alert.reason,
            act=None if alert.act is None else WebhookAct(alert.act.by, alert.act.text, alert.act.at),
        ),
    )


def _enrichment(alert: Outgoing) -> Enrichment:
    if alert.classification is not None:
        return Enrichment("enriched", None)
    return Enrichment("transparent" if alert.unenriched is None else "unenriched", alert.unenriched)


def sign(body: bytes, *, key: bytes, message_id: str, timestamp: str) -> str:
    """The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _signing_key(secret: str | None) -> bytes | None:
    if not secret:
        return None
    if not secret.startswith(_ENCODED_SECRET):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_ENCODED_SECRET), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError(f"key signing_secret begins with {_ENCODED_SECRET}, so base64 must follow")
    return key


def _headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The headers that the keys ask for, by lower-case name."""
    headers = _login(fields)
    for key, value in fields.items():
        if key.lower().startswith(_HEADER_KEY):
            name = _header_name(key)
            if name in headers:
                raise ValueError(f"key {key} sets the header {name}, which another key sets too")
            headers[name] = _header_value(key, value)
    return headers


def _login(fields: Mapping[str, str]) -> dict[str, str]:
    ways = {"auth_header": ("authorization", ""), "token": ("authorization", "Bearer "), "api_key": ("x-api-key", "")}
    given = [key for key in ways if fields.get(key)]
    if len(given) > 1:
        raise ValueError(f"keys {' and '.join(given)} exclude each other: give one")
    return {ways[key][0]: ways[key][1] + _header_value(key, fields[key]) for key in given}


def _one_login(url: str, headers: Mapping[str, str]) -> None:
    if "authorization" in headers and httpx.URL(url).userinfo:
        raise ValueError("key url holds a user and password, but another key sets Authorization too: give one")


def _header_name(key: str) -> str:
    name = key[len(_HEADER_KEY) :].replace("_", "-").lower()
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"key {_HEADER_KEY}…: what follows is no name of a header")
    if name in _OURS or name.startswith("proxy-"):
        raise ValueError(f"key {key} sets the header {name}, which is not yours to set")
    return name


def _header_value(key: str, value: str) -> str:
    stripped = value.strip()
    if not _VALUE.fullmatch(stripped):
        raise ValueError(f"key {key} holds a character that can't stand in a header")
    return stripped

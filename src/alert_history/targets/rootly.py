"""Rootly: an alert through its JSON:API, resolved by the id it was given.

Holds the documents, and which call sends which. For users: docs/reference/targets/rootly.md. Source: Rootly's OpenAPI
document, which allows no attribute it does not name, and `open` and `triggered` as the status of a new alert.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import httpx
import msgspec

from alert_history.domain.acts import TOLD_ACTS
from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.domain.visible import visible
from alert_history.errors import Rejected
from alert_history.targets import answers, explaining
from alert_history.targets.fitting import clipped, fitted, sound_url
from alert_history.targets.wording import (
    act_words,
    calling_nobody,
    description_of,
    name_words,
    place_words,
    summary,
    unsaid_words,
)

DEFAULT_URL = "https://api.rootly.com"

_MEDIA = "application/vnd.api+json"
_VERSION = "/v1"
_SUMMARY_CHARACTERS = 255
_DESCRIPTION_CHARACTERS = 10_000
_LABELS_BYTES = 32 * 1024  # no limit is documented: these keep an alert readable, and its answer small
_DATA_BYTES = 64 * 1024
_LIST = re.compile(r"[\s,;]+")
_PRINTABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)


class _Resource(msgspec.Struct, frozen=True):
    id: str


class _Document(msgspec.Struct, frozen=True):
    data: _Resource


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "RootlyTarget":
    """A Rootly organisation's target. Raises ValueError naming the key that is missing or wrong."""
    api_key = answers.required(spec, "api_key")
    if not _PRINTABLE.fullmatch(api_key):
        raise ValueError("key api_key holds a character that can't stand in a header")
    return RootlyTarget(
        answers.url_of(spec, "url", default=DEFAULT_URL).rstrip("/").removesuffix(_VERSION) + _VERSION,
        client,
        api_key=api_key,
        service_ids=tuple(filter(None, _LIST.split(spec.fields.get("service_id", "")))),
        organization_id=spec.fields.get("organization_id", ""),
    )


class RootlyTarget:
    """One organisation. Rootly joins open alerts by `deduplication_key`, so that one sent twice is one alert."""

    speaks_of_groups = False
    # Rootly takes 3000 calls a minute of one API key, which all that an organisation does with it shares; one alert a
    # second leaves it nearly all of them, and people can't follow more.
    default_rate_per_minute = 60.0
    takes_follow_ups = True
    shown_acts = TOLD_ACTS

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        *,
        api_key: str,
        service_ids: tuple[str, ...] = (),
        organization_id: str = "",
    ) -> None:
        self._url = url
        self._client = client
        self._api_key = api_key
        self._service_ids = service_ids
        self._organization_id = organization_id

    async def send(self, message: Message) -> Sent:
        """A resolve without an id asks for the id first: creating an alert that is open already gives its id."""
        (alert,) = message.alerts
        if alert.act is not None:
            return Sent(external_id=await self._tell_act(alert))
        if alert.event == "classified":
            return Sent(external_id=await self._tell_classified(alert))
        if alert.status == "firing":
            return Sent(external_id=await self._tell_firing(alert))
        known_id = alert.external_id or await self._create(alert, status="open")
        await self._call("POST", f"{_path(known_id)}/resolve", _document({"resolution_message": _resolution(alert)}))
        return Sent(external_id=known_id)

    def url_shown(self) -> str:
        return answers.url_shown(self._url)

    async def _tell_firing(self, alert: Outgoing) -> str:
        """The id of the alert still open, brought up to date, or else of a new alert, as after a resolve by hand."""
        alert_id = await self._create(alert, status="triggered")
        if alert_id == alert.external_id:
            await self._update(alert_id, alert)
        return alert_id

    async def _tell_classified(self, alert: Outgoing) -> str | None:
        """Bring Rootly's alert up to date. A missing id is asked for with `open`, a status that calls nobody."""
        known_id = alert.external_id
        if known_id is None and alert.status == "firing":
            known_id = await self._create(alert, status="open")
        if known_id is not None:
            await self._update(known_id, alert)
        return known_id

    async def _tell_act(self, alert: Outgoing) -> str:
        """Acknowledge Rootly's alert while it fires; who did it, and the words, stand in a note of the alert.

        The note comes last, so that an attempt that is made again after a lost answer doubles at most the note.
        """
        known_id = alert.external_id
        if known_id is None and alert.status == "firing":
            known_id = await self._create(alert, status="open")
        if known_id is None:
            raise Rejected("the alert is over, and its id at Rootly is not known")
        if alert.event == "acknowledged" and alert.status == "firing":
            await self._call("POST", f"{_path(known_id)}/acknowledge", _document({}))
        note = {"kind": "note", "details": clipped(_note(alert), _DESCRIPTION_CHARACTERS)}
        await self._call("POST", f"{_path(known_id)}/events", {"data": {"type": "alert_events", "attributes": note}})
        return known_id

    async def _update(self, known_id: str, alert: Outgoing) -> None:
        await self._call("PATCH", _path(known_id), _document({**_texts(alert), "labels": _labels(alert)}))

    async def _create(self, alert: Outgoing, *, status: Literal["open", "triggered"]) -> str:
        attributes = new_alert(alert, service_ids=self._service_ids, organization_id=self._organization_id)
        return await self._call("POST", "/alerts", _document(attributes | {"status": status}))

    async def _call(self, method: str, path: str, document: Mapping[str, Any]) -> str:
        """The id of the alert in Rootly's answer."""
        answer = await answers.post(
            self._client,
            self._url + path,
            method=method,
            body=msgspec.json.encode(document),
            headers={"accept": _MEDIA, "authorization": f"Bearer {self._api_key}", "content-type": _MEDIA},
            secrets=[self._api_key],
        )
        try:
            return msgspec.json.decode(answer.body, type=_Document).data.id
        except msgspec.DecodeError:
            raise answers.not_its_own(answer, "Rootly", secrets=[self._api_key]) from None


def new_alert(alert: Outgoing, *, service_ids: tuple[str, ...], organization_id: str) -> dict[str, Any]:
    """The attributes of a new alert, but for its status."""
    attributes = {
        **_texts(alert),
        "source": "alertmanager",
        "deduplication_key": alert.occurrence_id,
        "external_id": alert.occurrence_id,
        "external_url": sound_url(alert.generator_url) or sound_url(alert.external_url),
        "started_at": alert.starts_at,
        "ended_at": alert.ends_at,
        "labels": _labels(alert),
        "service_ids": list(service_ids),
        "data": _data(alert, organization_id),
    }
    return {name: value for name, value in attributes.items() if value}


def _texts(alert: Outgoing) -> dict[str, str]:
    """`summary`, and `description` where there is one: the alert's own, then its classification."""
    name, text = name_words([alert]), summary(alert.annotations)
    headline = f"{name}: {text}" if text else " · ".join([name, *place_words([alert])])
    texts = {"summary": clipped(headline, _SUMMARY_CHARACTERS)}
    explanation = calling_nobody(explaining.plain_text([alert]))
    room = _DESCRIPTION_CHARACTERS - len(explanation) - 2
    description = description_of(alert.annotations)
    if len(description) > room:
        description = description[: room - 1] + "…"
    whole = "\n\n".join(filter(None, [description, explanation]))
    return texts | {"description": whole} if whole else texts


def _labels(alert: Outgoing) -> list[dict[str, str]]:
    """The alert's labels; labels whose name or value shows nothing are left out."""
    labels = explaining.labels(alert) | alert.labels
    shown = {name: value for name, value in labels.items() if visible(name) and visible(value)}
    return [{"key": name, "value": value} for name, value in fitted(shown, max_bytes=_LABELS_BYTES).items()]


def _data(alert: Outgoing, organization_id: str) -> dict[str, Any]:
    data: dict[str, Any] = {"annotations": fitted(alert.annotations, max_bytes=_DATA_BYTES)}
    data |= {"fingerprint": alert.fingerprint, "receiver": clipped(alert.receiver, _SUMMARY_CHARACTERS)}
    return data | {"organization_id": organization_id} if organization_id else data


def _document(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": {"type": "alerts", "attributes": attributes}}


def _path(alert_id: str) -> str:
    return f"/alerts/{quote(alert_id, safe='')}"


def _note(alert: Outgoing) -> str:
    """What a person did, as a note that calls nobody."""
    words = calling_nobody(act_words(alert))
    return words[0].upper() + words[1:]


def _resolution(alert: Outgoing) -> str:
    resolved = f"Resolved at {_time(alert.ends_at)}" if alert.ends_at else "Resolved"
    return unsaid_words(alert, _time) or resolved


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"

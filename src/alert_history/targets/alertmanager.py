"""Alertmanager: groups passed on as Alertmanager's own webhook, version 4, so that we can stand in a chain.

A URL that ends in `/api/v2/alerts` is another Alertmanager's: it gets the alerts as Prometheus would send them.
For users: docs/reference/targets/alertmanager.md. Source: `template.Data` and `notify/webhook` of
prometheus/alertmanager, and its API v2.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec

from alert_history.domain.alert import Status
from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.domain.visible import NAMELESS
from alert_history.targets import answers, explaining
from alert_history.targets.wording import shared, unsaid_words

FIRES_AT_MOST = timedelta(days=30)

_API_V2 = "/api/v2/alerts"
_NOT_ENDED = "0001-01-01T00:00:00Z"
_quoted = re.compile(r"[\\.+*?()|\[\]{}^$]")  # what Go's regexp.QuoteMeta escapes


class ForwardedAlert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of the webhook. `ends_at` is a time of the year 1 while it fires."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | str
    generator_url: str = msgspec.field(name="generatorURL")
    fingerprint: str


class ForwardedGroup(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The whole webhook. The last two are sent only if the group came with them."""

    receiver: str
    status: Status
    alerts: list[ForwardedAlert]
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    common_annotations: dict[str, str]
    external_url: str = msgspec.field(name="externalURL")
    version: str
    group_key: str
    truncated_alerts: int
    route_labels: dict[str, str] | None = None
    notification_reason: str | None = msgspec.field(default=None, name="notification_reason")


class PostedAlert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert as API v2 takes it."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    generator_url: str = msgspec.field(name="generatorURL")


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "AlertmanagerTarget":
    """The target of a webhook receiver, or of an Alertmanager. Raises ValueError naming `url` when it is wrong."""
    return AlertmanagerTarget(answers.url_of(spec, "url"), client)


class AlertmanagerTarget:
    """One receiver of Alertmanager's webhook, or one Alertmanager. Both take a repeat without harm."""

    speaks_of_groups = True
    default_rate_per_minute = 600.0
    takes_follow_ups = False  # Alertmanager sends none, and its receivers would take one for a new firing

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client
        self._is_api = httpx.URL(url).path.rstrip("/").endswith(_API_V2)

    async def send(self, message: Message) -> Sent:
        body = posted_alerts(message.alerts) if self._is_api else forwarded_group(message.alerts)
        headers = {"idempotency-key": message.idempotency_key}
        await answers.post(self._client, self._url, body=msgspec.json.encode(body), headers=headers)
        return Sent()

    def url_shown(self) -> str:
        return answers.url_shown(self._url)


def forwarded_group(alerts: Sequence[Outgoing]) -> ForwardedGroup:
    """The alerts of one group, one at least, as Alertmanager sends them to a webhook; frame fields are the first's."""
    first = alerts[0]
    return ForwardedGroup(
        receiver=_quoted.sub(r"\\\g<0>", first.receiver),
        status="firing" if any(alert.status == "firing" for alert in alerts) else "resolved",
        alerts=[_forwarded(alert) for alert in alerts],
        group_labels=_pairs(first.details.get("groupLabels")) or {},
        common_labels=shared(map(_labels, alerts)),
        common_annotations=shared(map(_annotations, alerts)),
        external_url=first.external_url,
        version="4",
        group_key=first.group_key,
        truncated_alerts=0,
        route_labels=_pairs(first.details.get("routeLabels")),
        notification_reason=_text(first.details.get("notification_reason")),
    )


def posted_alerts(alerts: Sequence[Outgoing]) -> list[PostedAlert]:
    """The alerts as Prometheus posts them.

    A classification is in the annotations alone: labels name the alert there, and its resolve must have equal labels.
    Nobody refreshes the alerts until something changes, so a firing alert gets a far end, which its resolve overrides.
    """
    return [
        PostedAlert(
            _posted_labels(alert), _annotations(alert), alert.starts_at, _posted_end(alert), alert.generator_url
        )
        for alert in alerts
    ]


def _forwarded(alert: Outgoing) -> ForwardedAlert:
    return ForwardedAlert(
        status=alert.status,
        labels=_labels(alert),
        annotations=_annotations(alert),
        starts_at=alert.starts_at,
        ends_at=(alert.ends_at or alert.at) if alert.status == "resolved" else _NOT_ENDED,
        generator_url=alert.generator_url,
        fingerprint=alert.fingerprint,
    )


def _labels(alert: Outgoing) -> dict[str, str]:
    return alert.labels | explaining.labels(alert)


def _posted_labels(alert: Outgoing) -> dict[str, str]:
    """The alert's labels, or a stand-in: an Alertmanager refuses an alert whose labels are all empty."""
    return alert.labels if any(alert.labels.values()) else {"alertname": NAMELESS}


def _annotations(alert: Outgoing) -> dict[str, str]:
    unsaid = unsaid_words(alert, lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}")
    ended = {"ended": unsaid} if unsaid and "ended" not in alert.annotations else {}
    return alert.annotations | explaining.annotations(alert) | ended


def _posted_end(alert: Outgoing) -> datetime:
    if alert.status == "resolved":
        return alert.ends_at or alert.at
    return max(alert.starts_at, alert.at) + FIRES_AT_MOST


def _pairs(value: Any) -> dict[str, str] | None:
    return value if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

"""A target: whom we tell, what it wants to hear, and what a message to it holds."""

from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.acts import TellableKind, is_act
from alert_history.domain.alert import Status
from alert_history.domain.classification import Classification
from alert_history.domain.occurrence import ENDED_BY
from alert_history.domain.query import Query
from alert_history.domain.standing import EndedBy


class TargetSpec(msgspec.Struct, frozen=True):
    """A target as discovery found it. `fields` are the Secret's keys, `-` written as `_`; they may be secret.

    `fault` says, by key name and never by value, why it can't be used; then nothing is sent to it.
    `rate_limit_per_minute` is None for the format's own default. `priority`: higher is served first.
    """

    name: str
    format: str
    fields: dict[str, str]
    is_enabled: bool = True
    priority: int = 0
    match: Query = Query((), ())
    match_text: str = ""
    min_confidence: float | None = None
    excludes_noise: bool = False
    rate_limit_per_minute: float | None = None
    fault: str | None = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What repr, str, logs and rich show: every value of `fields` is masked."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        return list({**shown, "fields": dict.fromkeys(self.fields, "***")}.items())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


class OutgoingAct(msgspec.Struct, frozen=True):
    """What a person did about an alert, and when; `event` of the alert says what it was."""

    by: str
    text: str
    at: datetime


class Outgoing(msgspec.Struct, frozen=True):
    """One alert as a target gets it. Times are aware UTC; `at` is when the event was received.

    `external_id` is the name that the target gave the same occurrence before, if it gave one.
    `details` holds group-level fields of the receipt (groupLabels, …). `unenriched` says why there is no
    classification where there should be one; both are None in the mode `transparent`. `scope` keeps apart what has the
    same fingerprint. `confirmed_at` is when a sender last said that it fires, `reason` why it is taken as over where no
    sender said so. `act` is set where the message only says what a person did; then `status` is that of the alert now.
    """

    occurrence_id: str
    fingerprint: str
    status: Status
    event: TellableKind
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    at: datetime
    generator_url: str = ""
    receiver: str = ""
    group_key: str = ""
    external_url: str = ""
    details: dict[str, Any] = {}
    external_id: str | None = None
    classification: Classification | None = None
    unenriched: str | None = None
    scope: str = ""
    confirmed_at: datetime | None = None
    reason: str = ""
    act: OutgoingAct | None = None

    @property
    def ended_by(self) -> EndedBy | None:
        """How its end is known; None where this is no news of an end."""
        return None if is_act(self.event) else ENDED_BY.get(self.event)


class Message(msgspec.Struct, frozen=True):
    """What is sent at once: one alert, or those of one group where the format speaks of groups.

    `idempotency_key` is the same on every attempt and on every replica.
    """

    idempotency_key: str
    alerts: tuple[Outgoing, ...]


class Sent(msgspec.Struct, frozen=True):
    """What a target answered to a message it took. `external_id` is its own name for the (single) alert."""

    external_id: str | None = None

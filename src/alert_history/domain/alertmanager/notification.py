"""What becomes of alerts at the flush of a group: they are told to a receiver, or withheld."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.alertmanager.configuration import Integration
from alert_history.domain.alertmanager.notification_log import Reason
from alert_history.domain.alertmanager.posting import HeldAlert


class Notification(msgspec.Struct, frozen=True, gc=False):
    """What one integration of a receiver sends of a group. Alerts are in Alertmanager's order."""

    at: datetime
    route_id: str
    receiver: str
    integration: Integration
    group_key: str
    group_labels: Mapping[str, str]
    firing: tuple[HeldAlert, ...]
    resolved: tuple[HeldAlert, ...]
    reason: Reason


class Withheld(msgspec.Struct, frozen=True, gc=False):
    """That an alert is left out of what its group tells from this flush on, and because of what.

    `by` are ids of silences, the fingerprint of the inhibiting alert (`inhibit_rule` is the position of the rule), or
    names of time intervals. `ended`: it had ended before anybody was told of it.
    """

    at: datetime
    route_id: str
    receiver: str
    group_key: str
    fingerprint: str
    because: Literal["silenced", "inhibited", "muted", "ended"]
    by: tuple[str, ...] = ()
    inhibit_rule: int | None = None


Outcome = Notification | Withheld

"""What Grafana says beyond Alertmanager's webhook: values and links of an alert, and who sent the group.

The message is read by `sources.alertmanager` and each alert by `sources.wire_alert`, because Grafana sends
Alertmanager's; this holds what of the rest is kept.

Source: the webhook notifier of Grafana's alerting.
"""

from typing import Any

from alert_history.sources.alert_rules import clean
from alert_history.sources.wire_alert import WireAlert

VERSION = "1"
"""What Grafana writes where Alertmanager writes "4"."""

TEXT_CHARACTERS = 4096


def alert_details(wire: WireAlert) -> dict[str, Any] | None:
    """The alert's values and links, under the names that Grafana gives them; None if it has neither."""
    texts = {
        "valueString": wire.value_string,
        "silenceURL": wire.silence_url,
        "dashboardURL": wire.dashboard_url,
        "panelURL": wire.panel_url,
        "imageURL": wire.image_url,
    }
    details: dict[str, Any] = {name: _shortened(text) for name, text in texts.items() if text}
    if wire.values:
        details["values"] = {clean(name): value for name, value in wire.values.items() if _is_plain(value)}
    return details or None


def group_details(*, org_id: int | str | None, title: str, state: str, message: str) -> dict[str, Any]:
    """The group's own fields; empty fields are left out."""
    fields = {"orgId": org_id, "title": _shortened(title), "state": _shortened(state), "message": _shortened(message)}
    return {name: value for name, value in fields.items() if value not in {None, ""}}


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else text[:TEXT_CHARACTERS] + "…"

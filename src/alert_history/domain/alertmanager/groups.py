"""Groups: the labels that the alerts of a group share, and the key under which Alertmanager keeps the group.

Source: `dispatch/dispatch.go` of prometheus/alertmanager.
"""

from collections.abc import Mapping

from alert_history.domain.alertmanager.configuration import Route
from alert_history.domain.alertmanager.go_text import go_quoted


def group_labels(route: Route, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels by which a route groups an alert, in order of name. One that the alert lacks is left out."""
    names = sorted(labels) if route.groups_by_all else route.group_by
    return {name: labels[name] for name in names if name in labels}


def group_key(route: Route, labels_of_group: Mapping[str, str]) -> str:
    """The `groupKey` of webhooks: `{}/{team="db"}:{alertname="Down", instance="a"}`. Two routes may have the same."""
    labels = ", ".join(f"{name}={go_quoted(value)}" for name, value in sorted(labels_of_group.items()))
    return f"{route.key}:{{{labels}}}"

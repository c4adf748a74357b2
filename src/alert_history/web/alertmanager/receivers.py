"""`GET /api/v2/receivers`: the receivers of an Alertmanager's configuration."""

from collections.abc import Mapping

import msgspec

from alert_history.domain.alertmanager.matchers import matching
from alert_history.engine.moment_state import MomentState
from alert_history.web.alertmanager.forms import GettableReceiver
from alert_history.web.alertmanager.parameters import read_matchers


class ReceiversParameters(msgspec.Struct, frozen=True):
    """`receiver_matchers` are matchers for the labels of receivers. `at` is a time, or how long ago: `-6h`."""

    receiver_matchers: list[str] = []
    at: str = ""


def receivers_answer(state: MomentState, asked: ReceiversParameters) -> list[GettableReceiver]:
    """The receivers in the order of the configuration. Raises InvalidQuery."""
    is_match = matching(read_matchers(asked.receiver_matchers, name="receiver_matchers"))
    return [GettableReceiver(name, labels) for name, labels in receiver_labels(state).items() if is_match(labels)]


def receiver_labels(state: MomentState) -> Mapping[str, Mapping[str, str]]:
    """The labels of each receiver, its name among them: of all configurations, and of those that alerts name.

    Who sees some alerts only is told of the receivers of those.
    """
    own = {name: None for _, status in state.alerts for name in status.receivers}
    if state.is_narrowed:
        return {name: {"name": name} for name in sorted(own)}
    configured = {
        receiver.name: receiver.labels
        for version in state.clusters
        if version.configuration is not None
        for receiver in version.configuration.receivers
    }
    return {name: {**configured.get(name, {}), "name": name} for name in {**configured, **own}}

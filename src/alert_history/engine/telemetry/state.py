"""The metrics of the service's state."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from alert_history.telemetry.metrics import gauge


class StateMetrics:
    """The state of the service: the checks of `/readyz`, open occurrences, and how long each source is silent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._checks = gauge(
            "check_up", "1 while /readyz says ok of it, else 0.", registry, ["check"], of_workers="livemin"
        )
        self._silent = gauge(
            "watchdog_last_seen_seconds",
            "Since a request of that source was last accepted, by any replica.",
            registry,
            ["source"],
            of_workers="livemin",
        )

        self._open = gauge(
            "occurrences_open", "Occurrences that are not over, by state.", registry, ["state"], of_workers="livemax"
        )
        self._conflicts = gauge(
            "claims_in_conflict",
            "Label sets of which two senders contradicted each other within the last day.",
            registry,
            of_workers="livemax",
        )

    def open_are(self, counts: Mapping[str, int]) -> None:
        """Set how many occurrences are open, by state, and how many label sets are in conflict."""
        for state in ("firing", "unconfirmed"):
            self._open.labels(state).set(counts.get(state, 0))
        self._conflicts.set(counts.get("conflict", 0))

    def checked(self, check: str, *, is_ok: bool) -> None:
        """Set whether a check is ok."""
        self._checks.labels(check).set(is_ok)

    def silent(self, source: str, *, seconds: float) -> None:
        """Set how long a source has been silent."""
        self._silent.labels(source).set(seconds)

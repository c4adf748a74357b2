"""What Alertmanagers and Prometheus servers answer when they are asked, as values: a test names what it is about."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from alert_history.domain.alert import Alert, Silence, fingerprint
from alert_history.domain.poll import AlertmanagerPoll, ClusterPeer, PolledAlert, PolledRuleAlert, PrometheusPoll
from alert_history.domain.standing import Witnesses
from alert_history.engine.listing import alertmanager_listing, prometheus_listings
from alert_history.engine.origins import Round

LONG_AGO = timedelta(days=9)
EXTERNAL_URL = "http://prometheus-0:9090"


def polled(of: Alert, *, silenced_by: Sequence[str] = (), inhibited_by: Sequence[str] = ()) -> PolledAlert:
    """An alert as an Alertmanager lists it."""
    return PolledAlert(
        fingerprint=fingerprint(of.labels),
        labels=of.labels,
        annotations={"summary": "another value than before"},
        starts_at=of.starts_at,
        ends_at=of.starts_at + timedelta(days=1),
        updated_at=of.starts_at,
        generator_url=f"{EXTERNAL_URL}/graph?g0.expr=up",
        receivers=["team-x"],
        state="suppressed" if silenced_by or inhibited_by else "active",
        silenced_by=list(silenced_by),
        inhibited_by=list(inhibited_by),
        muted_by=[],
    )


def alertmanager_poll(
    at: datetime,
    *alerts: PolledAlert,
    name: str = "eu",
    started_at: datetime | None = None,
    silences: Sequence[Silence] = (),
    silent: dict[str, str] | None = None,
) -> AlertmanagerPoll:
    """An answer of a cluster of one, asked for at that time."""
    return AlertmanagerPoll(
        name=name,
        asked_at=at,
        started_at=started_at or at - LONG_AGO,
        version="0.25.0",
        cluster_status="ready",
        cluster_peers=[ClusterPeer("01A", "10.0.0.1:9094")],
        alerts=list(alerts),
        silences=list(silences),
        answered=["http://alertmanager:9093"],
        silent=silent or {},
    )


def answered(poll: AlertmanagerPoll, *, is_publishing: bool = False) -> Round:
    """What came of asking one cluster."""
    return Round([alertmanager_listing(poll, poll.asked_at, is_publishing=is_publishing)], {})


def prometheus_poll(at: datetime, *alerts: PolledRuleAlert, faulty_rules: Sequence[str] = ()) -> PrometheusPoll:
    """An answer of a Prometheus that sends what its rules say."""
    return PrometheusPoll(
        name="eu",
        server="http://prometheus:9090",
        asked_at=at,
        started_at=at - LONG_AGO,
        reloaded_at=at - LONG_AGO,
        version="2.42.0",
        alerts=list(alerts),
        faulty_rules=frozenset(faulty_rules),
        longest_for=timedelta(minutes=5),
        longest_interval=timedelta(seconds=15),
        resend_delay=timedelta(minutes=1),
        external_labels={},
        alert_relabel_configs=[],
        unnamed_because=None,
        external_url=EXTERNAL_URL,
    )


def ruled(of: Alert) -> PolledRuleAlert:
    """An alert as the rules of a Prometheus have it."""
    return PolledRuleAlert(of.labels, {}, "firing", of.starts_at, "1", of.starts_at)


def answered_by_prometheus(poll: PrometheusPoll, witnesses: Witnesses, *, is_publishing: bool = False) -> Round:
    """What came of asking one Prometheus."""
    listings = prometheus_listings([poll], poll.asked_at, silent=None, witnesses=witnesses, is_publishing=is_publishing)
    return Round(listings, {})

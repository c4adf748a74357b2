"""The past of the demo's company: ninety days that are the same each time, and hold what an analysis can find.

Holds: `demo.alertmanager`, `demo.chance`, `demo.company`, `demo.dates`, `demo.days`, `demo.deliveries`, `demo.firing`,
`demo.incidents`, `demo.past`, `demo.rules`, `demo.scenes`, `demo.silences`, `demo.stories`.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

import alert_history
from alert_history.demo.dates import (
    DAYS,
    FLAPS_FROM,
    FLAPS_TO,
    Span,
    chat_failure,
    midnight,
    outage,
    partition,
    silence,
)
from alert_history.demo.deliveries import CHAT, PAGER
from alert_history.demo.past import Past, past
from alert_history.demo.replay import incident
from alert_history.demo.rules import RULES
from alert_history.demo.scenes import scenes
from alert_history.domain.alert import fingerprint
from alert_history.domain.alert_storms import AlertStorm, StormRules, find_storms
from alert_history.domain.begins import Begin
from alert_history.domain.episode import Episode
from alert_history.domain.flap_rules import OursRule
from alert_history.domain.flapping import Flapping, flapping_among
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.domain.standing import EndedBy
from alert_history.domain.together import TogetherRules, strongest_pairs
from alert_history.ports import PastNews

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""A Wednesday."""

TODAY = midnight(NOW)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SINCE = TODAY - DAYS * DAY
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "demo.md"
_SATURDAY = 5
_RELEASES = {1, 3}


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of a body."""

    status: str
    labels: dict[str, str]
    starts_at: str
    ends_at: str
    fingerprint: str

    @property
    def begin(self) -> datetime:
        return datetime.fromisoformat(self.starts_at)

    @property
    def end(self) -> datetime | None:
        return datetime.fromisoformat(self.ends_at) if self.status == "resolved" else None


class Body(msgspec.Struct, frozen=True, rename="camel"):
    """A body that Alertmanager sends."""

    receiver: str
    group_key: str
    alerts: list[Alert]


class Story:
    """A past, with its messages read."""

    def __init__(self, whole_past: Past) -> None:
        self.past = whole_past
        read = msgspec.json.decode
        self.bodies = [(m.received_at, read(m.body, type=Body)) for m in whole_past.messages if b'"alerts"' in m.body]
        self.events: list[Any] = [read(m.body) for m in whole_past.messages if b'"@timestamp"' in m.body]
        self.labels = {alert.fingerprint: alert.labels for _, body in self.bodies for alert in body.alerts}
        self.fired = [news for news in whole_past.news if news.event == "fired"]
        self.ends = {
            (alert.fingerprint, alert.begin): alert.end
            for _, body in self.bodies
            for alert in body.alerts
            if alert.end is not None
        }

    @property
    def episodes(self) -> list[Episode]:
        """The firings as an analysis sees them."""
        return [self._episode(news) for news in self.fired]

    @property
    def begins(self) -> list[Begin]:
        """When firings began, in order of time."""
        labels = self.labels
        begun = sorted(self.fired, key=lambda news: news.starts_at)
        return [
            Begin(labels[n.fingerprint]["alertname"], n.starts_at, labels[n.fingerprint], n.fingerprint) for n in begun
        ]

    def _episode(self, news: PastNews) -> Episode:
        labels, key = self.labels[news.fingerprint], (news.fingerprint, news.starts_at)
        names = (labels["alertname"], labels["severity"], labels["namespace"])
        id_, end = occurrence_id(news.fingerprint, to_us(news.starts_at)), self.ends.get(key)
        ended_by: EndedBy | None = None if end is None else "resolved"
        return Episode(id_, news.fingerprint, *names, news.starts_at, end, news.at, ended_by)

    def of(self, rule: str) -> list[PastNews]:
        """The firings of a rule."""
        return [news for news in self.fired if self.labels[news.fingerprint]["alertname"] == rule]

    def begun_within(self, span: Span) -> list[PastNews]:
        """The firings that begin in a span."""
        return [news for news in self.fired if span.holds(news.starts_at)]

    def recorded(self, kind: str) -> Iterator[Any]:
        """What the event recorder tells of a kind."""
        return (event["data"][kind] for event in self.events if kind in event["data"])


@pytest.fixture(scope="module")
def story() -> Story:
    return Story(past(NOW))


# --- it is the same each time -----------------------------------------------------------------------------------------


def test_another_process_makes_the_same_messages(story: Story) -> None:
    script = (
        "from datetime import UTC, datetime; from alert_history.demo.past import past\n"
        f"print(*(message.id for message in past(datetime.fromisoformat('{NOW.isoformat()}')).messages))"
    )
    source = Path(alert_history.__path__[0]).parent
    env = {**os.environ, "PYTHONPATH": str(source), "PYTHONHASHSEED": "7"}
    printed = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, check=True, timeout=60
    ).stdout
    assert printed.decode().split() == [message.id for message in story.past.messages]


def test_whole_days_are_the_same_at_any_time_of_the_day(story: Story) -> None:
    late = Story(past(NOW + timedelta(hours=11)))
    begun = [[(n.fingerprint, n.starts_at, n.at) for n in each.fired if n.starts_at < TODAY] for each in (story, late)]
    assert begun[0] == begun[1]


def test_another_seed_tells_another_past(story: Story) -> None:
    assert {news.starts_at for news in story.fired}.isdisjoint(
        news.starts_at for news in Story(past(NOW, seed=7)).of("LatencyP99High")
    )


def test_no_two_messages_have_the_same_id(story: Story) -> None:
    assert len({message.id for message in story.past.messages}) == len(story.past.messages)


def test_no_two_deliveries_have_the_same_id(story: Story) -> None:
    ids = [delivery.id for news in story.past.news for delivery in news.deliveries]
    assert len(set(ids)) == len(ids)


def test_fewer_days_begin_later() -> None:
    week = Story(past(NOW, days=7))
    assert min(news.starts_at for news in week.fired) >= TODAY - 7 * DAY


# --- it is told as Alertmanager would ---------------------------------------------------------------------------------


def test_messages_are_in_order_of_time_and_before_the_end(story: Story) -> None:
    assert all(earlier.received_at <= later.received_at for earlier, later in pairwise(story.past.messages))
    assert story.past.messages[-1].received_at < NOW


def test_a_beginning_is_received_within_six_minutes(story: Story) -> None:
    waits = [news.at - news.starts_at for news in story.fired]
    assert timedelta() < min(waits)
    assert max(waits) <= 6 * MINUTE


def test_an_end_is_received_within_six_minutes(story: Story) -> None:
    ended = [news for news in story.past.news if news.event == "resolved"]
    waits = [news.at - story.ends[news.fingerprint, news.starts_at] for news in ended]
    assert timedelta() <= min(waits)
    assert max(waits) <= 6 * MINUTE


def test_a_payload_names_each_alert_until_it_is_over(story: Story) -> None:
    firing: dict[tuple[str, str], set[str]] = {}
    for _, body in story.bodies:
        named = {alert.fingerprint for alert in body.alerts}
        group = (body.receiver, body.group_key)
        assert firing.get(group, set()) <= named
        firing[group] = {alert.fingerprint for alert in body.alerts if alert.status == "firing"}


def test_one_label_set_never_fires_twice_at_once(story: Story) -> None:
    starts: dict[str, list[datetime]] = {}
    for news in story.fired:
        starts.setdefault(news.fingerprint, []).append(news.starts_at)
    for name, begins in starts.items():
        for begin, following in pairwise(begins):
            assert story.ends[name, begin] < following


def test_fingerprints_are_those_of_the_labels(story: Story) -> None:
    assert all(fingerprint(labels) == name for name, labels in story.labels.items())


def test_every_rule_fires(story: Story) -> None:
    hidden = {
        pair["value"] for created in story.recorded("alertCreated") for pair in created["alert"]["labels"]["labels"]
    }
    assert set(RULES) == {labels["alertname"] for labels in story.labels.values()} | (hidden & set(RULES))


def test_the_past_ends_before_the_incident_begins() -> None:
    made = scenes(NOW, days=3)
    assert made.past[-1].received_at < made.incident[0].received_at
    assert [message.body for message in made.incident] == [body for _, _, body in incident(NOW)]


def test_an_alert_of_every_rule_that_was_heard_of_is_explained(story: Story) -> None:
    heard = {labels["alertname"] for labels in story.labels.values()}
    assert {story.labels[name]["alertname"] for name in story.past.newest.values()} == heard


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_a_weekend_is_quieter_than_working_days(story: Story) -> None:
    storms = (outage(TODAY), partition(TODAY))
    calm = [n for n in story.fired if not any(storm.begin <= n.starts_at < storm.end for storm in storms)]
    days = Counter(news.starts_at.date() for news in calm if news.starts_at < TODAY)
    work = [number for day, number in days.items() if day.weekday() < _SATURDAY]
    rest = [number for day, number in days.items() if day.weekday() >= _SATURDAY]
    assert sum(rest) / len(rest) < 0.6 * sum(work) / len(work)


def test_crash_loops_come_in_office_hours(story: Story) -> None:
    hours = Counter(8 <= news.starts_at.hour < 18 for news in story.of("KubePodCrashLooping"))
    assert hours[True] > 4 * hours[False]


def test_rollouts_get_stuck_mostly_on_the_days_of_releases(story: Story) -> None:
    days = Counter(news.starts_at.weekday() in _RELEASES for news in story.of("KubeDeploymentRolloutStuck"))
    assert days[True] > 2 * days[False] > 0


def test_the_backup_fails_each_night_and_heals_in_twelve_minutes(story: Story) -> None:
    backups = story.of("BackupFailed")
    nights = [news for news in backups if news.starts_at < TODAY]
    assert len(nights) == DAYS
    assert {(news.starts_at.hour, news.starts_at.minute) for news in nights} == {(2, 30)}
    assert {story.ends[n.fingerprint, n.starts_at] - n.starts_at for n in nights} == {12 * MINUTE}


def test_one_disk_flaps_for_two_weeks(story: Story) -> None:
    flaps = story.of("NodeDiskErrors")
    assert len({news.fingerprint for news in flaps}) == 1
    assert flaps[0].starts_at >= TODAY - FLAPS_FROM * DAY
    assert flaps[-1].starts_at < TODAY - FLAPS_TO * DAY + timedelta(hours=1)
    assert len({news.starts_at.date() for news in flaps}) in {14, 15}
    assert len(flaps) > 14 * 15


@pytest.mark.parametrize("span", [outage(TODAY), partition(TODAY)], ids=["outage", "partition"])
def test_an_incident_brings_hundreds_of_alerts_within_minutes(story: Story, span: Span) -> None:
    storm = story.begun_within(Span(span.begin, span.begin + 15 * MINUTE))
    assert 150 <= len(storm) <= 400
    assert len({story.labels[news.fingerprint]["alertname"] for news in storm}) >= 6


def test_a_silence_hides_a_fault_of_hours(story: Story) -> None:
    span = silence(TODAY)
    over = [resolved["alert"]["details"] for resolved in story.recorded("alertResolved")]
    faults = [alert for alert in over if {"key": "severity", "value": "critical"} in alert["labels"]["labels"]]
    (fault,) = faults
    begin, end = (datetime.fromisoformat(fault[name]) for name in ("startsAt", "endsAt"))
    assert span.begin < begin < end - timedelta(hours=7) < end < span.end
    assert f"{int(fault['fingerprint']):016x}" not in story.labels


def test_every_alert_that_a_silence_hides_is_told_as_muted(story: Story) -> None:
    begun = [created["alert"]["fingerprint"] for created in story.recorded("alertCreated")]
    muted = [event["mutedAlert"]["fingerprint"] for event in story.recorded("silenceMutedAlert")]
    assert begun == muted


def test_the_chat_fails_on_one_afternoon_and_the_pager_never(story: Story) -> None:
    refused = chat_failure(TODAY)
    dead = [(news.at, delivery) for news in story.past.news for delivery in news.deliveries if delivery.state == "dead"]
    assert len(dead) >= 10
    assert {delivery.target for _, delivery in dead} == {CHAT}
    assert all(refused.holds(at) for at, _ in dead)
    others = [n for n in story.past.news if refused.holds(n.at) for d in n.deliveries if d.state == "delivered"]
    assert {d.target for n in others for d in n.deliveries if d.state == "delivered"} <= {PAGER}


def test_what_is_critical_goes_to_both_and_a_warning_to_the_chat(story: Story) -> None:
    targets = {
        (story.labels[news.fingerprint]["severity"], tuple(delivery.target for delivery in news.deliveries))
        for news in story.past.news
    }
    assert targets == {("critical", (PAGER, CHAT)), ("warning", (CHAT,)), ("info", ()), ("none", ())}


def test_a_delivery_is_settled_by_its_last_attempt_after_its_event(story: Story) -> None:
    for news in story.past.news:
        for delivery in news.deliveries:
            times = [news.at, *(attempt.at for attempt in delivery.log)]
            assert times == sorted(times)
            assert delivery.log[-1].outcome == delivery.state


def test_some_alerts_still_fire(story: Story) -> None:
    ended = {(news.fingerprint, news.starts_at) for news in story.past.news if news.event == "resolved"}
    open_ = [news for news in story.fired if (news.fingerprint, news.starts_at) not in ended]
    assert sorted(story.labels[news.fingerprint]["alertname"] for news in open_) == [
        "CertExpiringSoon",
        "KubeJobFailed",
        "NodeClockSkew",
        "NodeFilesystemSpaceFillingUp",
        "Watchdog",
    ]


# --- what an analysis finds -------------------------------------------------------------------------------------------


def test_the_disk_alone_flaps_by_our_definition(story: Story) -> None:
    assert [story.labels[each.fingerprint]["alertname"] for each in _flapping(story)] == ["NodeDiskErrors"]


def test_the_incidents_are_the_only_storms_and_each_begins_with_its_cause(story: Story) -> None:
    storms = _storms(story)
    assert [storm.first_rule for storm in storms] == ["PostgresDown", "NodeNetworkReceiveErrs"]
    assert [span.holds(storm.since) for span, storm in zip((outage(TODAY), partition(TODAY)), storms, strict=True)] == [
        True,
        True,
    ]


def test_what_brings_something_about_goes_with_it(story: Story) -> None:
    pairs = strongest_pairs(story.begins, TogetherRules(same=("cluster",)), since=SINCE, until=NOW)
    assert {(pair.rule, pair.other) for pair in pairs[:8]} >= {
        ("StockSyncLate", "ConsumerLagGrowing"),
        ("PostgresReplicationLag", "LatencyP99High"),
        ("KubeDeploymentRolloutStuck", "KubePodCrashLooping"),
        ("PaymentProviderErrors", "HighErrorRate"),
    }


def _flapping(story: Story) -> list[Flapping]:
    return flapping_among(story.episodes, OursRule(), since=SINCE, until=NOW, now=NOW)


def _storms(story: Story) -> list[AlertStorm]:
    return find_storms(story.begins, StormRules(), since=SINCE, until=NOW)


# --- what its page says -----------------------------------------------------------------------------------------------


def test_the_page_says_the_numbers(story: Story) -> None:
    rows = re.findall(r"^\| ([^|]+?) \| ([0-9 ]+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert {name: int(number.replace(" ", "")) for name, number in rows} == _numbers(story)


def _numbers(story: Story) -> dict[str, int]:
    states = Counter((d.target, d.state) for news in story.past.news for d in news.deliveries)
    names = Counter(story.labels[news.fingerprint]["alertname"] for news in story.fired)
    hidden = len(list(story.recorded("alertCreated")))
    storms = _storms(story)
    return {
        "messages": len(story.past.messages),
        "occurrences": len(story.fired) + hidden,
        "of them begun today": sum(news.starts_at >= TODAY for news in story.fired),
        "rules": len(RULES),
        "label sets": len(story.labels),
        **{f"`{name}`": number for name, number in names.most_common(5)},
        "alerts that flap": len(_flapping(story)),
        "`NodeDiskErrors` of the disk that flaps": len(story.of("NodeDiskErrors")),
        "`BackupFailed`": len(story.of("BackupFailed")),
        "storms": len(storms),
        "alerts in the storm of the outage": storms[0].begun,
        "alerts in the storm of the partition": storms[1].begun,
        "hidden by silences": hidden,
        "delivered to `pagerduty`": states[PAGER, "delivered"],
        "delivered to `slack`": states[CHAT, "delivered"],
        "dead letters, all of `slack`": states[CHAT, "dead"],
        "firing when the incident begins": 5,
    }

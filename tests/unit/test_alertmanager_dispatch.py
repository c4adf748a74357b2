"""What a simulated dispatcher tells, when, why, and what it withholds.

Holds: `domain.alertmanager.dispatch_group`, `domain.alertmanager.notification`.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.alertmanager.behaviour import NEWEST, Behaviour, behaviour_of
from alert_history.domain.alertmanager.configuration import Configuration
from alert_history.domain.alertmanager.dispatch import (
    NOTHING,
    Course,
    Dispatcher,
    Reload,
    Without,
    first_told,
    simulate,
)
from alert_history.domain.alertmanager.notification import Notification, Outcome, Withheld
from alert_history.domain.alertmanager.notification_log import News, NotificationLog
from alert_history.domain.alertmanager.posting import NEVER, HeldAlerts, Post
from alert_history.domain.alertmanager.reading import read_configuration

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
OLD = behaviour_of("0.25.0")

CONFIGURATION = """
route:
  receiver: pager
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
receivers:
  - name: pager
    webhook_configs: [{url: "http://localhost/"}]
"""


def seconds(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def configuration(text: str = CONFIGURATION, **replaced: str) -> Configuration:
    for name, value in replaced.items():
        text = "\n".join(
            f"{line[: line.index(name)]}{name}: {value}" if f" {name}:" in line else line for line in text.split("\n")
        )
    return read_configuration(text)


def post(at: float, name: str = "A", *, starts: float | None = None, ends: float | None = None, **labels: str) -> Post:
    """Without an end it fires for ever."""
    all_labels = {"alertname": name, **labels}
    begin = seconds(at if starts is None else starts)
    return Post(seconds(at), fingerprint(all_labels), all_labels, begin, NEVER if ends is None else seconds(ends))


def name_of(labels: dict[str, str]) -> str:
    return fingerprint(labels)


def silence(name: str, value: str, *, begin: float, end: float) -> Silence:
    matchers = [[{"name": "alertname", "op": "=", "value": value}]]
    return Silence(name, matchers, seconds(begin), seconds(end), seconds(begin), "ada", "")


def run(
    posts: Iterable[Post | Reload],
    config: Configuration | None = None,
    *,
    until: float = 4 * 3600,
    silences: Sequence[Silence] = (),
    without: Without = NOTHING,
    behaviour: Behaviour = NEWEST,
) -> list[Outcome]:
    timeline = sorted(posts, key=lambda each: each.at)
    return list(
        simulate(
            timeline,
            config or configuration(),
            until=seconds(until),
            silences=silences,
            without=without,
            course=Course(behaviour),
        )
    )


def told(outcomes: Iterable[Outcome]) -> list[tuple[float, int, int, str]]:
    """When, how many fired and had ended, and why."""
    return [
        ((each.at - NOON).total_seconds(), len(each.firing), len(each.resolved), each.reason)
        for each in outcomes
        if isinstance(each, Notification)
    ]


def withheld(outcomes: Iterable[Outcome]) -> list[tuple[float, str, tuple[str, ...]]]:
    return [
        ((each.at - NOON).total_seconds(), each.because, each.by) for each in outcomes if isinstance(each, Withheld)
    ]


def test_a_group_is_told_after_group_wait_and_again_after_repeat_interval() -> None:
    outcomes = run([post(0)], until=8000)
    assert told(outcomes) == [
        (30, 1, 0, "first notification"),
        (3930, 1, 0, "repeat interval elapsed"),
        (7830, 1, 0, "repeat interval elapsed"),
    ]


def test_repeat_interval_is_looked_at_only_when_the_group_ticks() -> None:
    outcomes = run([post(0)], configuration(repeat_interval="6m"), until=1300)
    assert [at for at, *_ in told(outcomes)] == [30, 630, 1230]


def test_an_alert_that_comes_later_is_told_when_the_group_ticks_next() -> None:
    outcomes = run([post(0), post(31, host="b")], until=1000)
    assert told(outcomes) == [(30, 1, 0, "first notification"), (330, 2, 0, "new alerts added")]


def test_an_end_is_told_when_the_group_ticks_next_and_the_group_is_gone() -> None:
    outcomes = run([post(0), post(40, starts=0, ends=40), post(331)], until=1000)
    assert told(outcomes) == [
        (30, 1, 0, "first notification"),
        (330, 0, 1, "all alerts resolved"),
        (361, 1, 0, "first notification"),
    ]


def test_an_alert_ends_by_the_time_its_sender_named_unless_it_is_sent_again() -> None:
    outcomes = run([post(0, ends=240), post(60, starts=0, ends=300), post(120, starts=0, ends=360)], until=1000)
    assert told(outcomes) == [(30, 1, 0, "first notification"), (630, 0, 1, "all alerts resolved")]


def test_an_alert_without_an_end_times_out() -> None:
    lasting = msgspec.structs.replace(post(0), ends_at=None)
    assert [at for at, *_ in told(run([lasting], until=1000))] == [30, 330]


def test_what_ended_before_group_wait_was_over_is_never_told() -> None:
    outcomes = run([post(0), post(20, starts=0, ends=20)])
    assert told(outcomes) == []
    assert withheld(outcomes) == [(30, "ended", ())]


def test_what_ended_before_it_was_told_is_told_as_ended_beside_another_alert() -> None:
    outcomes = run([post(0), post(10, host="b"), post(20, starts=0, ends=20)], until=100)
    assert told(outcomes) == [(30, 1, 1, "first notification")]
    assert withheld(outcomes) == []


def test_an_alert_that_ends_and_fires_again_between_two_ticks_makes_no_notification() -> None:
    outcomes = run([post(0), post(40, starts=0, ends=40), post(50)], until=1000)
    assert told(outcomes) == [(30, 1, 0, "first notification")]


def test_some_ends_are_told_only_where_resolved_is_sent() -> None:
    posts = [post(0), post(0, host="b"), post(40, starts=0, ends=40)]
    quiet = configuration(CONFIGURATION.replace('localhost/"', 'localhost/", send_resolved: false'))
    assert told(run(posts, until=1000)) == [(30, 2, 0, "first notification"), (330, 1, 1, "some alerts resolved")]
    assert told(run(posts, quiet, until=1000)) == [(30, 2, 0, "first notification")]


def test_an_end_that_is_not_sent_is_remembered() -> None:
    quiet = configuration(CONFIGURATION.replace('localhost/"', 'localhost/", send_resolved: false'))
    outcomes = run([post(0), post(40, starts=0, ends=40), post(400)], quiet, until=1000)
    assert told(outcomes) == [(30, 1, 0, "first notification"), (430, 1, 0, "first notification")]


def test_an_alert_older_than_group_wait_is_told_at_once() -> None:
    assert told(run([post(100, starts=0)], until=200)) == [(100, 1, 0, "first notification")]


def test_before_0_30_an_old_alert_hurries_a_group_that_was_not_told_yet() -> None:
    posts = [post(0), post(10, starts=-100, host="b")]
    assert [at for at, *_ in told(run(posts, until=200))] == [30]
    assert [at for at, *_ in told(run(posts, until=200, behaviour=OLD))] == [10]


def test_before_0_32_an_empty_group_ticks_on_for_up_to_30_seconds() -> None:
    ended = [post(0), post(40, starts=0, ends=40)]
    soon, later = [*ended, post(345)], [*ended, post(361)]
    assert [at for at, *_ in told(run(soon, until=1000, behaviour=OLD))] == [30, 330, 630]
    assert [at for at, *_ in told(run(soon, until=1000))] == [30, 330, 375]
    assert [at for at, *_ in told(run(later, until=1000, behaviour=OLD))] == [30, 330, 391]


def test_a_silenced_alert_is_withheld_and_told_when_the_silence_is_over() -> None:
    outcomes = run([post(0)], silences=[silence("s", "A", begin=0, end=400)], until=1000)
    assert told(outcomes) == [(630, 1, 0, "first notification")]
    assert withheld(outcomes) == [(30, "silenced", ("s",))]


def test_a_silence_after_the_first_notification_takes_its_end_and_leaves_the_repetition() -> None:
    posts = [post(0)]
    silences = [silence("s", "A", begin=100, end=700)]
    assert told(run(posts, silences=silences, until=5000)) == [
        (30, 1, 0, "first notification"),
        (3930, 1, 0, "repeat interval elapsed"),
    ]
    outcomes = run([*posts, post(200, starts=0, ends=200)], silences=silences, until=5000)
    assert told(outcomes) == [(30, 1, 0, "first notification")]
    assert withheld(outcomes) == [(330, "silenced", ("s",))]


INHIBITING = (
    CONFIGURATION
    + """
inhibit_rules:
  - source_matchers: [alertname=Down]
    target_matchers: [alertname=A]
    equal: [host]
"""
)


def test_an_inhibited_alert_is_told_when_its_inhibitor_has_ended() -> None:
    posts = [post(0, host="a"), post(0, "Down", host="a"), post(400, "Down", host="a", starts=0, ends=400)]
    outcomes = run(posts, configuration(INHIBITING), until=1000)
    assert told(outcomes) == [
        (30, 1, 0, "first notification"),
        (630, 1, 0, "first notification"),
        (630, 0, 1, "all alerts resolved"),
    ]
    assert withheld(outcomes) == [(30, "inhibited", (name_of({"alertname": "Down", "host": "a"}),))]
    first = first_told(outcomes, name_of({"alertname": "A", "host": "a"}))
    assert first is not None
    assert first.at == seconds(630)


def test_an_inhibitor_that_times_out_releases_its_targets() -> None:
    posts = [post(0, host="a"), post(0, "Down", host="a", ends=100), post(50, "Down", host="a", starts=0, ends=200)]
    outcomes = run(posts, configuration(INHIBITING), until=1000)
    first = first_told(outcomes, name_of({"alertname": "A", "host": "a"}), receiver="pager")
    assert first is not None
    assert first.at == seconds(330)


def test_an_inhibitor_that_is_itself_silenced_inhibits() -> None:
    posts = [post(0, host="a"), post(0, "Down", host="a")]
    outcomes = run(posts, configuration(INHIBITING), silences=[silence("s", "Down", begin=0, end=9000)], until=1000)
    assert told(outcomes) == []


TIMED = (
    CONFIGURATION.replace("repeat_interval: 1h", "repeat_interval: 1h\n  routes: [{receiver: pager, %s: [x]}]")
    + """
time_intervals:
  - name: x
    time_intervals: [{times: [{start_time: "12:00", end_time: "13:00"}]}]
"""
)


@pytest.mark.parametrize("kind, first", [("mute_time_intervals", 3630), ("active_time_intervals", 30)])
def test_time_intervals_mute_a_route(kind: str, first: float) -> None:
    outcomes = run([post(0)], configuration(TIMED % kind), until=3700)
    assert [at for at, *_ in told(outcomes)] == [first]


def test_what_an_active_interval_withholds_is_told_when_it_begins() -> None:
    outcomes = run([post(-3600)], configuration(TIMED % "active_time_intervals"), until=1000)
    assert [at for at, *_ in told(outcomes)] == [30]
    assert withheld(outcomes) == [(-3570, "muted", ("x",))]


@pytest.mark.parametrize(
    "without, first",
    [
        (Without(), None),
        (Without(silences=frozenset("s")), None),
        (Without(silences=frozenset("s"), inhibitors=frozenset([name_of({"alertname": "Down", "host": "a"})])), 30),
        (Without(silences=frozenset("s"), inhibit_rules=frozenset([0])), 30),
    ],
)
def test_without_what_mutes_it_an_alert_would_have_been_told(without: Without, first: float | None) -> None:
    posts = [post(0, host="a"), post(0, "Down", host="a")]
    silences = [silence("s", "A", begin=0, end=9000)]
    outcomes = run(posts, configuration(INHIBITING), silences=silences, without=without, until=1000)
    notification = first_told(outcomes, name_of({"alertname": "A", "host": "a"}))
    assert (notification and notification.at) == (None if first is None else seconds(first))


def test_without_a_time_interval_an_alert_would_have_been_told() -> None:
    without = Without(time_intervals=frozenset("x"))
    for kind in ("mute_time_intervals", "active_time_intervals"):
        outcomes = run([post(-3600)], configuration(TIMED % kind), without=without, until=0)
        assert [at for at, *_ in told(outcomes)] == [-3570]


def test_each_route_tells_its_own_receiver() -> None:
    text = CONFIGURATION.replace(
        "route:\n", "route:\n  routes: [{receiver: chat, continue: true}, {receiver: pager}]\n"
    )
    urls = "[{url: 'http://localhost/'}, {url: 'http://localhost/', send_resolved: false}]"
    text += f"  - name: chat\n    webhook_configs: {urls}\n"
    outcomes = run([post(0), post(40, starts=0, ends=40)], configuration(text), until=1000)
    receivers = [
        (each.receiver, each.integration.index, (each.at - NOON).total_seconds())
        for each in outcomes
        if isinstance(each, Notification)
    ]
    assert receivers == [("chat", 0, 30), ("chat", 1, 30), ("pager", 0, 30), ("chat", 0, 330), ("pager", 0, 330)]


def test_a_receiver_without_integrations_is_told_nothing() -> None:
    text = CONFIGURATION[: CONFIGURATION.index("    webhook_configs")]
    assert run([post(0), post(20, "B"), post(30, "B", starts=20, ends=30)], configuration(text)) == []


def test_after_a_reload_groups_begin_anew_and_what_was_told_is_known() -> None:
    reload = Reload(seconds(100), configuration(group_interval="1m"))
    outcomes = run([post(0), reload, post(105, host="b")], until=500)
    assert told(outcomes) == [(30, 1, 0, "first notification"), (160, 2, 0, "new alerts added")]


def test_groups_hold_what_fires_and_what_is_not_told_yet() -> None:
    dispatcher = Dispatcher(configuration(), started_at=NOON)
    for each in (post(0, job="b"), post(0, job="a"), post(0, "B")):
        dispatcher.post(each)
    dispatcher.post(post(20, job="b", starts=0, ends=20))
    states = sorted(dispatcher.groups(), key=lambda state: state.key)
    assert [(state.key, [alert.labels.get("job") for alert in state.alerts]) for state in states] == [
        ('{}:{alertname="A"}', ["a", "b"]),
        ('{}:{alertname="B"}', [None]),
    ]
    dispatcher.advance(seconds(31))
    assert sorted(len(state.alerts) for state in dispatcher.groups()) == [1, 1]


def test_what_a_year_costs_does_not_depend_on_how_often_its_groups_tick() -> None:
    posts = [post(0, ends=86_400 * 300)]
    outcomes = run(posts, configuration(repeat_interval="4d", group_interval="1s"), until=86_400 * 301)
    assert [reason for *_, reason in told(outcomes)] == [
        "first notification",
        *["repeat interval elapsed"] * 74,
        "all alerts resolved",
    ]


def test_a_repeat_interval_longer_than_the_log_is_kept_repeats_when_the_log_forgets() -> None:
    outcomes = run([post(0)], configuration(repeat_interval="200d"), until=86_400 * 6)
    assert told(outcomes) == [(30, 1, 0, "first notification"), (432_930, 1, 0, "first notification")]


@pytest.mark.parametrize(
    "second, start, end",
    [
        (post(60, starts=10, ends=400), 0, 400),
        (post(60, starts=10, ends=200), 0, 300),
        (post(60, starts=-10, ends=100), -10, 300),
        (post(60, starts=0, ends=60), 0, 60),
        (post(60, starts=0, ends=400), 0, 400),
        (post(350, starts=340, ends=400), 340, 400),
    ],
)
def test_overlapping_posts_join_to_one_firing(second: Post, start: float, end: float) -> None:
    held = HeldAlerts(started_at=NOON)
    held.put(post(0, ends=300), resolve_timeout=timedelta(minutes=5))
    alert = held.put(second, resolve_timeout=timedelta(minutes=5))
    assert (alert.starts_at, alert.ends_at) == (seconds(start), seconds(end))


def test_ended_alerts_are_forgotten_in_rounds() -> None:
    held = HeldAlerts(started_at=NOON)
    held.put(post(0, ends=300), resolve_timeout=timedelta(minutes=5))
    name = name_of({"alertname": "A"})
    assert [held.get(name, at=seconds(each)) is None for each in (299, 1799, 1800)] == [False, False, True]
    assert len(list(held.all(seconds(1799)))) == 1
    assert list(held.all(seconds(1800))) == []


def test_a_notification_is_forgotten_after_twice_the_repeat_interval() -> None:
    log = NotificationLog(started_at=NOON)
    key = ("{}:{}", "pager", "webhook", 0)
    log.note(key, News(NOON, frozenset("a"), frozenset(), timedelta(minutes=10)))
    assert [log.entry(key, at=seconds(each)) is None for each in (1200, 1799, 1800)] == [False, False, True]

"""Looking at a group only when something may have changed tells the same as looking at it at every tick."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.alertmanager.behaviour import Behaviour, behaviour_of
from alert_history.domain.alertmanager.dispatch import Course, Dispatcher
from alert_history.domain.alertmanager.dispatch_group import Group
from alert_history.domain.alertmanager.notification import Notification
from alert_history.domain.alertmanager.posting import Post
from alert_history.domain.alertmanager.reading import read_configuration

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOURS = 4

CONFIGURATION = read_configuration("""
route:
  receiver: pager
  group_by: [name]
  group_wait: 45s
  group_interval: 3m
  repeat_interval: 20m
  routes:
    - {matchers: [host=a], receiver: chat, group_interval: 5m, mute_time_intervals: [quarter], continue: true}
    - {matchers: [host=~"a|b"], receiver: pager, repeat_interval: 7m, active_time_intervals: [half]}
receivers:
  - {name: pager, webhook_configs: [{url: "http://localhost/"}]}
  - {name: chat, webhook_configs: [{url: "http://localhost/", send_resolved: false}]}
inhibit_rules:
  - {source_matchers: [name=x], target_matchers: [name=~"y|z"], equal: [host]}
  - {source_matchers: [name=~"y|z"], target_matchers: [name!=x, host!=a]}
time_intervals:
  - {name: quarter, time_intervals: [{times: [{start_time: "12:10", end_time: "12:25"}]}]}
  - name: half
    time_intervals:
      - {times: [{start_time: "12:07", end_time: "13:00"}, {start_time: "13:30", end_time: "15:00"}]}
""")


class Impatient(Dispatcher):
    """It looks at each group at every tick."""

    def _looked_at_next(self, group: Group, at: datetime) -> datetime:
        del group
        return at


_HALVES = st.integers(0, 2 * 60 * (HOURS - 1)).map(lambda number: number * MINUTE / 2)
_POSTS = st.tuples(
    _HALVES,
    st.sampled_from("xyz"),
    st.sampled_from("abc"),
    st.sampled_from([0, 0, 1, 9]),
    st.sampled_from([None, -1, 0, 2, 9, 40, 999]),
)
_SILENCES = st.tuples(_HALVES, st.sampled_from([1, 5, 30, 100]), st.sampled_from("xyz"))


def _post(at: timedelta, name: str, host: str, age: int, lasts: int | None) -> Post:
    labels = {"name": name, "host": host}
    begin = NOON + at - age * MINUTE
    ends_at = None if lasts is None else max(begin, NOON + at + lasts * MINUTE)
    return Post(NOON + at, fingerprint(labels), labels, begin, ends_at)


def _silence(number: int, at: timedelta, lasts: int, name: str) -> Silence:
    matchers = [[{"name": "name", "op": "=", "value": name}]]
    return Silence(str(number), matchers, NOON + at, NOON + at + lasts * MINUTE, NOON + at, "ada", "")


def _told(kind: type[Dispatcher], posts: list[Post], silences: list[Silence], course: Course) -> list[Notification]:
    dispatcher = kind(CONFIGURATION, started_at=NOON, silences=silences, course=course)
    outcomes = []
    for post in posts:
        outcomes += dispatcher.advance(post.at)
        dispatcher.post(post)
    outcomes += dispatcher.advance(NOON + timedelta(hours=HOURS))
    told = [each for each in outcomes if isinstance(each, Notification)]
    return sorted(told, key=lambda each: (each.at, each.route_id, each.group_key))


@settings(max_examples=40)
@given(
    st.lists(_POSTS, min_size=1, max_size=14),
    st.lists(_SILENCES, max_size=3),
    st.sampled_from([behaviour_of("0.25"), behaviour_of("0.31"), behaviour_of("0.34")]),
    st.booleans(),
)
def test_skipped_ticks_would_have_told_nothing(
    posts: list[tuple[timedelta, str, str, int, int | None]],
    silences: list[tuple[timedelta, int, str]],
    behaviour: Behaviour,
    has_all_posts: bool,  # noqa: FBT001 — of given
) -> None:
    timeline = sorted((_post(*each) for each in posts), key=lambda post: post.at)
    made = [_silence(number, *each) for number, each in enumerate(silences)]
    course = Course(behaviour, has_all_posts)
    assert _told(Dispatcher, timeline, made, course) == _told(Impatient, timeline, made, course)

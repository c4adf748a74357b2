"""The facts of noise: what counts as short, as a flap, as firing; and that spans add up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.episode import Episode
from alert_history.domain.interruptions import Interruptions
from alert_history.domain.noise import NoiseRules, RuleFacts
from alert_history.domain.noise_facts import Marks, count_facts, find_flaps, firing_seconds
from alert_history.domain.standing import EndedBy

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def minute(number: float) -> datetime:
    return T0 + timedelta(minutes=number)


def episode(
    begin: float, end: float | None, *, fingerprint: str = "f", ended_by: EndedBy = "resolved", repeats: int = 0
) -> Episode:
    """Received when it begins; times in minutes."""
    return Episode(
        id=f"{fingerprint}@{begin:g}",
        fingerprint=fingerprint,
        alertname="R",
        severity="page",
        namespace="n",
        starts_at=minute(begin),
        ends_at=None if end is None else minute(end),
        received_at=minute(begin),
        ended_by=None if end is None else ended_by,
        repeats=repeats,
    )


def count(episodes: list[Episode], *, marks: Marks | None = None, since: float = 0, until: float = 600) -> RuleFacts:
    facts = count_facts(
        episodes, NoiseRules(), since=minute(since), until=minute(until), marks={"R": marks} if marks else {}
    )
    return facts[0]


def test_the_worked_counts() -> None:
    episodes = [
        episode(10, 14, repeats=2),  # short
        episode(74, 90),  # an hour after that end: a flap
        episode(151, 160),  # an hour and a minute after: none
        episode(10, 15, fingerprint="g", ended_by="expired"),  # nobody said that it ended: not short
        episode(20, 25, fingerprint="g"),  # five minutes are short; a flap
        episode(300, None, fingerprint="g", repeats=5),  # open
    ]
    marks = Marks(acted={"f@74", "other"}, together=2, interruptions=Interruptions(1, 2, 3))
    assert count(episodes, marks=marks) == RuleFacts(
        "R",
        begun=6,
        ended=5,
        open=1,
        short=2,
        flaps=2,
        repeats=7,
        acted=1,
        together=2,
        asleep=1,
        off_hours=2,
        work=3,
        firing_seconds=(5 + 5 + 16 + 9 + 300) * 60.0,
        span_seconds=36_000.0,
    )


def test_what_began_before_the_span_fires_in_it_and_is_not_counted() -> None:
    facts = count([episode(-50, -10), episode(20, 30)], since=0, until=60)
    assert (facts.begun, facts.flaps, facts.firing_seconds) == (1, 1, 600.0)
    facts = count([episode(-50, 30)], since=0, until=60)
    assert (facts.begun, facts.ended, facts.firing_seconds) == (0, 0, 1800.0)


def test_the_end_of_the_span_is_not_in_it() -> None:
    assert count([episode(60, 61), episode(10, 11)], until=60).begun == 1


def test_alerts_that_fire_at_once_fill_the_time_once() -> None:
    episodes = [episode(0, 10), episode(2, 5, fingerprint="g"), episode(8, 12, fingerprint="h"), episode(20, None)]
    assert firing_seconds(episodes, since=T0, until=minute(25)) == (12 + 5) * 60.0


def test_another_label_set_that_begins_is_no_flap() -> None:
    assert find_flaps([episode(0, 1), episode(2, 3, fingerprint="g")], HOUR) == set()
    assert find_flaps([episode(2, 3), episode(0, 1)], HOUR) == {"f@2"}


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.integers(0, 200), st.integers(0, 90), st.sampled_from("fgh")), max_size=12
    ),
    st.integers(1, 199),
)
def test_two_spans_add_up_to_the_whole(drawn: list[tuple[int, int, int, str]], middle: int) -> None:
    episodes = [
        episode(begin + place / 100, begin + length, fingerprint=name, repeats=repeats)
        for place, (repeats, begin, length, name) in enumerate(drawn)
        if length
    ]
    if not episodes:
        return
    parts = [count(episodes, since=0, until=middle), count(episodes, since=middle, until=300)]
    whole = count(episodes, since=0, until=300)
    for name in RuleFacts.__struct_fields__[1:]:
        assert sum(getattr(part, name) for part in parts) == pytest.approx(getattr(whole, name))

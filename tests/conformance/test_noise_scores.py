"""The noise of rules is counted as it is worked out by hand, from the rollups and from occurrences alike.

Holds: engine.noise_scores, engine.rule_facts, engine.explaining, engine.people_acts, storage.shared.rule_activity.
"""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest

from alert_history.domain.interruptions import Hours, Interruptions
from alert_history.domain.noise import RuleFacts
from alert_history.engine import noise_scores
from alert_history.engine.analysis import Analysis
from alert_history.engine.explaining import Explaining
from alert_history.engine.noise_scores import NoiseScores
from alert_history.engine.people_acts import NO_ACTS, KeptActs
from alert_history.engine.rule_facts import RuleCounting
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND
from tests.histories import Firing, PersonsActs, act, counted, record, span
from tests.numbers import fold_all

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
POD_B = {"pod": "b"}


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return SUNDAY + day * DAY + hour * HOUR + minute * MINUTE


WORKED = [
    Firing("Disk", at(0, 3), at(0, 3, 4), repeats=2),  # short, at night
    Firing("Disk", at(0, 3, 30), at(0, 3, 50)),  # began again within an hour
    Firing("Disk", at(1, 10), at(1, 10, 30)),  # at work
    Firing("Disk", at(1, 10) + 30 * SECOND, at(1, 10, 20), POD_B),  # in the same minute
    Firing("Disk", at(2, 20), None, POD_B),  # in off hours; fires still, for 16 hours
]
FACTS = RuleFacts(
    "Disk",
    begun=5,
    ended=4,
    open=1,
    short=1,
    flaps=1,
    repeats=2,
    asleep=2,
    off_hours=1,
    work=1,
    firing_seconds=240.0 + 1200 + 1800 + 57_600,
    span_seconds=3.5 * 86_400,
)


@pytest.fixture(autouse=True)
async def _counted(store: Store) -> None:
    await counted(store)


def counting(store: Store, acts: KeptActs | None = None) -> RuleCounting:
    analysis = Analysis(store.analytics, store.rollups, clock=lambda: NOW)
    return RuleCounting(analysis, store.rule_activities, explaining=Explaining(store.analytics), acts=acts)


async def facts_of(
    store: Store, *rules: str, query: str = "", hours: Hours | None = None, acts: KeptActs | None = None
) -> list[RuleFacts]:
    """The facts of rules from Sunday until now; those of a query with a regex come from occurrences."""
    rule_counting, hours = counting(store, acts), hours or Hours()
    facts = await rule_counting.facts(span(SUNDAY, NOW, query=query), hours)
    return list((await rule_counting.whole_facts(facts, rules, hours)).values())


@pytest.mark.parametrize("query", ["", '{alertname="Disk"}', '{alertname=~"D.*"}'])
@pytest.mark.parametrize("is_folded", [False, True])
async def test_worked_facts_are_counted_on_every_way(store: Store, query: str, *, is_folded: bool) -> None:
    await record(store, *WORKED, Firing("Calm", at(1, 1), at(1, 2)))
    if is_folded:
        await fold_all(store)
    assert await facts_of(store, "Disk", query=query) == [FACTS]


@pytest.mark.parametrize("query", ["", '{alertname=~"D.*"}'])
async def test_clock_of_the_zone_says_who_sleeps(store: Store, query: str) -> None:
    await record(store, *WORKED)
    hours = Hours(ZoneInfo("Asia/Kathmandu"))  # +5:45: Sunday 08:45 and 09:15, Monday 15:45, Wednesday 01:45
    [facts] = await facts_of(store, "Disk", query=query, hours=hours)
    assert facts.interruptions == Interruptions(asleep=1, off_hours=2, work=1)


@pytest.mark.parametrize("query", ["", '{alertname=~"D.*"}'])
async def test_acts_count_for_the_occurrences_of_the_span(store: Store, query: str) -> None:
    before = Firing("Disk", SUNDAY - HOUR, SUNDAY - MINUTE)
    acts = [act(WORKED[0]), act(WORKED[0], kind="noted"), act(WORKED[2], kind="resolved"), act(before, after=2 * HOUR)]
    acts.append(act(WORKED[3], kind="unacknowledged"))
    await record(store, before, *WORKED)
    [facts] = await facts_of(store, "Disk", query=query, acts=PersonsActs(acts))
    assert facts.acted == 2


@pytest.mark.parametrize("query", ["", '{alertname=~".*"}'])
async def test_rule_that_another_explains_says_nothing_of_its_own(store: Store, query: str) -> None:
    begins = [at(0, hour) for hour in range(0, 20, 2)]
    pairs = [
        Firing(rule, begin + place * 10 * SECOND, begin + HOUR)
        for begin in begins
        for place, rule in enumerate(("Node", "Pod"))
    ]
    await record(store, *pairs)
    node, pod = await facts_of(store, "Node", "Pod", query=query)
    assert (node.together, pod.together, pod.begun) == (0, 10, 10)


async def test_rule_that_fires_since_before_the_span_is_on_all_the_time(store: Store) -> None:
    await record(store, Firing("Watchdog", SUNDAY - 3 * DAY), *WORKED)
    for query in ("", '{alertname=~"Watchdog"}'):
        [facts] = await facts_of(store, "Watchdog", query=query)
        assert (facts.begun, facts.firing_seconds, facts.never_stops) == (0, 3.5 * 86_400, True)


def scoring(store: Store, acts: KeptActs | None = None) -> NoiseScores:
    return NoiseScores(counting(store, acts))


async def test_parts_add_up_and_name_their_occurrences(store: Store) -> None:
    await record(store, *WORKED)
    answer = await scoring(store).noise(span(SUNDAY, NOW), Hours(), tz="UTC", top=5)
    [disk] = answer.rules
    assert disk.score == sum(part.points for part in disk.parts)
    assert {part.name: part.points for part in disk.parts} == {
        "ends_by_itself": 6.25,  # 25 × 1/4
        "flaps": 6.0,  # 15 × 1/5 ÷ 0.5
        "repeats": 1.5,  # 5 × 2/7 ÷ 0.9 = 1.59
        "nobody_acted": 20.0,  # 5 of 5
        "always_on": 2.0,  # 10 × 60840/302400 ÷ 0.95 = 2.12
        "said_better": 0.0,
        "wakes_people": 15.0,  # 2 of 4, at least half
    }
    assert disk.parts[0].evidence.query == '{alertname="Disk"}'
    assert (answer.seen, answer.scored) == (1, 1)
    assert NO_ACTS in answer.covers.left_out
    assert (answer.covers.since, answer.covers.until) == (SUNDAY, SUNDAY + 4 * DAY)


async def test_noisiest_rule_comes_first_and_few_firings_never_look_certain(store: Store) -> None:
    often = [Firing("Often", at(0, hour), at(0, hour, 2)) for hour in range(20)]
    await record(store, *often, Firing("Once", at(1, 3), at(1, 3, 1)))
    answer = await scoring(store).noise(span(SUNDAY, NOW), Hours(), tz="UTC", top=5)
    assert [noise.rule for noise in answer.rules] == ["Often", "Once"]
    assert answer.rules[1].low < 25


async def test_span_before_is_compared_rule_by_rule(store: Store) -> None:
    earlier = [Firing("Disk", at(-4, hour), at(-4, hour, 30)) for hour in (9, 12, 15)]
    await record(store, *earlier, *WORKED)
    asked = span(SUNDAY, NOW)
    answer = await scoring(store).noise(asked, Hours(), tz="UTC", top=5, is_compared=True)
    assert answer.compared is not None
    [disk], [was] = answer.rules, answer.compared.rules
    alone = await scoring(store).noise(span(SUNDAY - 4 * DAY, SUNDAY), Hours(), tz="UTC", top=5)
    assert (was.rule, was.begun, was.score) == ("Disk", 3, alone.rules[0].score)
    assert was.change == disk.score - was.score
    assert (answer.compared.covers.since, answer.compared.covers.until) == (SUNDAY - 4 * DAY, SUNDAY)


async def test_rules_that_were_not_looked_at_closely_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_scores, "LEAST_CANDIDATES", 1)
    same = [Firing(f"R{rule}", at(1, hour, rule), at(1, hour, rule + 9)) for rule in range(3) for hour in (9, 11, 13)]
    await record(store, *same)
    answer = await scoring(store).noise(span(SUNDAY, NOW), Hours(), tz="UTC", top=1)
    assert (answer.seen, answer.scored) == (3, 2)
    assert "rules that are not among the 2" in answer.covers.left_out[-1]
    sure = await scoring(store).noise(span(SUNDAY, NOW), Hours(), tz="UTC", top=3)
    assert (sure.scored, "rules that" in sure.covers.left_out[-1]) == (3, False)


@pytest.mark.parametrize("seed", range(3))
async def test_rollups_count_as_the_definitions_do(store: Store, seed: int) -> None:
    """But for how long a rule fired, of which they know an upper bound."""
    await record(store, *_some_firings(Random(seed)))
    names = [f"R{number}" for number in range(4)]
    from_rollups = await facts_of(store, *names)
    from_occurrences = await facts_of(store, *names, query='{alertname=~"R."}')
    for rolled_up, exact in zip(from_rollups, from_occurrences, strict=True):
        assert msgspec.structs.replace(rolled_up, firing_seconds=0.0, together=0) == msgspec.structs.replace(
            exact, firing_seconds=0.0, together=0
        )
        assert exact.firing_seconds - 1e-6 <= rolled_up.firing_seconds <= exact.firing_seconds * 1.2 + 900
    assert sum(facts.flaps for facts in from_rollups) > 5


def _some_firings(random: Random) -> list[Firing]:
    """Firings of four rules with three label sets each, which never overlap within a label set."""
    firings = []
    for place in range(12):
        begin = SUNDAY - 6 * HOUR * random.random()
        while begin < NOW - 2 * HOUR:
            end = begin + timedelta(seconds=random.choice([100, 1000, 20_000]) * (0.1 + random.random()))
            over = end if end < NOW else None
            labels = {"pod": str(place % 3)}
            firings.append(Firing(f"R{place // 3}", begin, over, labels, repeats=random.randrange(3)))
            begin = end + timedelta(seconds=random.choice([60, 3000, 30_000]) * (0.5 + random.random()))
    return firings


async def test_what_explains_what_is_remembered_for_ten_minutes(store: Store) -> None:
    explaining = Explaining(store.analytics)
    asked = span(SUNDAY, NOW)
    assert (await explaining.explained(asked)).rules == {}
    begins = [at(0, hour) for hour in range(0, 20, 2)]
    await record(store, *(Firing("Node", begin, begin + HOUR) for begin in begins))
    await record(store, *(Firing("Pod", begin + 10 * SECOND, begin + HOUR) for begin in begins))
    soon = msgspec.structs.replace(asked, until=NOW + 9 * MINUTE, now=NOW + 9 * MINUTE)
    assert (await explaining.explained(soon)).rules == {}
    later = msgspec.structs.replace(asked, until=NOW + 11 * MINUTE, now=NOW + 11 * MINUTE)
    assert (await explaining.explained(later)).count("Pod", of=10) == 10
    other = msgspec.structs.replace(asked, since=SUNDAY + HOUR)
    assert (await explaining.explained(other)).count("Pod", of=20) == 20

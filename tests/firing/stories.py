"""Scenarios to be drawn: who watches, what is true, what goes wrong.

They shrink towards one Prometheus and no trouble.
"""

import msgspec
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.senders.alertmanager import Receiver, Silencing, Timing
from tests.senders.asking import Asking
from tests.senders.network import Trouble
from tests.senders.scenario import Alerting, Outage, Scenario, Site, Watcher, play
from tests.senders.world import FOREVER, Firing

SPANS = st.sampled_from([20, 50, 100, 200, 400, 700, 1_200, 2_000, 4_000]).flatmap(
    lambda span: st.integers(0, span // 2).map(lambda more: float(span + more))
)
"""How long something lasts, in seconds: from less than an evaluation to more than an hour."""

MOST_SEEDS = 20
"""How often hypothesis starts anew until it has drawn as many stories as are asked for."""


@st.composite
def firings(draw: DrawFn, *, most: int) -> list[Firing]:
    """Firings of one member, one after the other; the last may go on."""
    at, drawn = 60.0, []
    for _ in range(draw(st.integers(1, most))):
        at += draw(SPANS)
        end = at + draw(SPANS)
        drawn.append(Firing(at, end))
        at = end
    if draw(st.booleans()):
        return drawn
    return [*drawn[:-1], Firing(drawn[-1].begin, FOREVER)]


@st.composite
def windows(draw: DrawFn, *, most: int) -> list[tuple[float, float]]:
    """Times in which something is not as it should be."""
    at, drawn = 100.0, []
    for _ in range(draw(st.integers(0, most))):
        begin = at + draw(SPANS)
        at = begin + draw(SPANS)
        drawn.append((begin, at))
    return drawn


@st.composite
def watchers(draw: DrawFn, *, is_skewed: bool) -> tuple[Watcher, ...]:
    """One Prometheus or vmalert, or a pair with its evaluations apart."""
    interval = draw(st.sampled_from([15.0, 30.0, 60.0]))
    resend = draw(st.sampled_from([60.0, interval]))
    skew = st.sampled_from([0.0, -30.0, 30.0, 7.0]) if is_skewed else st.just(0.0)
    return tuple(
        Watcher(interval, resend, float(draw(st.integers(0, int(interval) - 1))), draw(skew))
        for _ in range(draw(st.integers(1, 2)))
    )


@st.composite
def outages(draw: DrawFn, *, of: int, most: int) -> tuple[Outage, ...]:
    """When which of some processes is down; a short time is a restart."""
    drawn = draw(windows(most=most))
    return tuple(Outage(draw(st.integers(0, of - 1)), begin, end) for begin, end in drawn)


@st.composite
def alertings(draw: DrawFn, members: list[str], *, has_outages: bool) -> Alerting:
    """An Alertmanager or a pair, with what people do to it."""
    names = ("am-0", "am-1")[: draw(st.integers(1, 2))]
    timing = draw(st.sampled_from([Timing(30, 300, 3_600), Timing(10, 60, 600), Timing(0, 300, 14_400)]))
    pager = Receiver(
        "pager", "/webhook/proxy", draw(st.sampled_from([True, True, True, False])), draw(st.sampled_from([0, 0, 0, 1]))
    )
    others = draw(st.sampled_from([(), (), (Receiver("archive", "/webhook"),), (Receiver("more", "/webhook/proxy"),)]))
    silences = tuple(
        Silencing(draw(st.sampled_from(members)), begin, end)
        for begin, end in (draw(windows(most=1)) if draw(st.booleans()) else [])
    )
    down = draw(outages(of=len(names), most=2)) if has_outages else ()
    return Alerting(names, (pager, *others), timing, silences, draw(st.booleans()), down)


@st.composite
def sites(draw: DrawFn, *, name: str = "a", scope: str = "", most: int = 3, is_calm: bool = False) -> Site:
    """A Prometheus or two, posting to us, or to an Alertmanager that tells us, or to both."""
    members = ["db-1", "db-2", "db-3"][: draw(st.integers(1, 3))]
    way = draw(st.sampled_from(["direct", "alertmanager", "both"]))
    watching = draw(watchers(is_skewed=not is_calm))
    return Site(
        name,
        {member: draw(firings(most=most)) for member in members},
        watching,
        is_direct=way != "alertmanager",
        is_alike=draw(st.booleans()),
        alerting=None if way == "direct" else draw(alertings(members, has_outages=not is_calm)),
        outages=() if is_calm else draw(outages(of=len(watching), most=2)),
        phantoms=() if is_calm or draw(st.booleans()) else tuple(draw(phantoms(members))),
        scope=scope,
    )


@st.composite
def phantoms(draw: DrawFn, members: list[str]) -> list[tuple[int, str, float]]:
    """When a Prometheus sees an old sample once more."""
    return [(0, draw(st.sampled_from(members)), begin) for begin, _ in draw(windows(most=1))]


@st.composite
def troubles(draw: DrawFn) -> tuple[Trouble, ...]:
    """What goes wrong on the way."""
    drawn = draw(windows(most=2))
    return tuple(Trouble(draw(st.sampled_from(["doubled", "late", "lost"])), *window) for window in drawn)


@st.composite
def askings(draw: DrawFn, *, is_calm: bool) -> Asking:
    """How often who is asked."""
    asks = draw(st.sampled_from(["both", "alertmanager", "prometheus"]))
    return Asking(
        draw(st.sampled_from([60.0, 300.0, 10.0])),
        asks_alertmanager=asks != "prometheus",
        asks_prometheus=asks != "alertmanager",
        is_publishing=draw(st.booleans()),
        names_itself=draw(st.booleans()),
        delay=draw(st.sampled_from([0.0, 0.0, 2.5])),
        deaf=() if is_calm else tuple(draw(windows(most=1))),
    )


@st.composite
def scenarios(draw: DrawFn, *, most: int = 3, is_calm: bool = False, is_asked: bool = False) -> Scenario:
    """One site with its troubles, which is asked or not."""
    return Scenario(
        (draw(sites(most=most, is_calm=is_calm)),),
        () if is_calm else draw(troubles()),
        draw(askings(is_calm=is_calm)) if is_asked else None,
    )


@st.composite
def two_clusters(draw: DrawFn, *, is_scoped: bool, is_asked: bool = False) -> Scenario:
    """Two sites with the same label sets. They evaluate at other moments, so that no two starts are the same.

    Without a scope both post to us, or neither does: an Alertmanager does not open again what a Prometheus has ended,
    and it is not known of which Prometheus it speaks.
    """
    first = draw(sites(most=2, is_calm=True, scope="eu-1" if is_scoped else ""))
    other = draw(sites(name="b", most=2, is_calm=True, scope="us-1" if is_scoped else ""))
    if not is_scoped:
        assume(first.is_direct == other.is_direct)
    shifted = tuple(msgspec.structs.replace(watcher, offset=watcher.offset + 0.123) for watcher in other.watchers)
    asking = draw(askings(is_calm=True)) if is_asked else None
    return Scenario((first, msgspec.structs.replace(other, watchers=shifted)), (), asking)


def drawn(strategy: SearchStrategy[Scenario], *, count: int, sizes: tuple[int, int]) -> list[Scenario]:
    """Exactly so many of them, in which so much is heard: for tests that need a database each.

    Of those that are much alike one is taken. They are the same in every run in which the same local modules are
    loaded when they are drawn: hypothesis also draws constants that it finds in those.
    """
    scenarios: dict[int, Scenario] = {}

    @settings(
        max_examples=40 * count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def keep(scenario: Scenario) -> None:
        if len(scenarios) < count and len(scenario.sites[0].firings) > 1:
            heard = len(play(scenario).played().heard)
            if sizes[0] <= heard <= sizes[1]:
                scenarios.setdefault(heard // 10, scenario)

    for number in range(MOST_SEEDS):
        if len(scenarios) < count:
            seed(number)(keep)()
    assert len(scenarios) == count, f"{len(scenarios)} of {count} stories"
    return list(scenarios.values())

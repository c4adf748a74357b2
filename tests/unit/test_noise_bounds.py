"""A rule is never noisier than the bound by which it is chosen to be looked at."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.noise import NoiseRules, RuleFacts, noise_of
from alert_history.domain.noise_bounds import highest_low

NOW = datetime(2026, 3, 4, tzinfo=UTC)
RULES = NoiseRules()


@st.composite
def plain_counts(draw: st.DrawFn) -> RuleFacts:
    begun = draw(st.integers(0, 300))
    ended, flaps, acted, together = (draw(st.integers(0, begun)) for _ in range(4))
    return RuleFacts(
        "R",
        begun=begun,
        ended=ended,
        open=begun - ended,
        short=draw(st.integers(0, ended)),
        flaps=flaps,
        repeats=draw(st.integers(0, 900)) if begun else 0,
        acted=acted,
        together=together,
        span_seconds=draw(st.integers(1, 400)) * 43_200.0,
    )


@given(plain_counts(), st.data())
def test_bound_is_not_below_the_low_end_of_any_score(facts: RuleFacts, data: st.DataObject) -> None:
    calls = data.draw(st.integers(0, facts.begun))
    asleep = data.draw(st.integers(0, calls))
    firing_seconds = data.draw(st.floats(0, facts.span_seconds))
    whole = msgspec.structs.replace(facts, asleep=asleep, work=calls - asleep, firing_seconds=firing_seconds)
    assert noise_of(whole, RULES, since=NOW, until=NOW).low <= highest_low(facts, RULES)


def test_rule_that_began_seldom_has_a_low_bound() -> None:
    once, often = (
        RuleFacts("R", begun=number, ended=number, short=number, flaps=number, span_seconds=86_400.0)
        for number in (1, 1000)
    )
    assert highest_low(once, RULES) < 40 < highest_low(often, RULES)

"""Senders whose truth is known are played to the rules, with their bad days, and a judge looks at what becomes of it.

The judge knows the true firings and every word that arrived: nothing that fires is ended unless a sender said so or it
is told as not known, nobody is paged twice for one firing, missed for another, or left with an open page. No database
takes part, so that there can be many; the conformance suite holds the stores to the same decisions. The examples are
the same in every run: what a search finds beyond them becomes a test of its own in `test_hearing`.
"""

from hypothesis import HealthCheck, given, settings

from tests.firing.stories import scenarios
from tests.firing.trial import Trial, describe
from tests.senders.scenario import Scenario, play

_PLAYED = settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_ASKED = settings(_PLAYED, max_examples=50)


@_PLAYED
@given(scenarios(is_calm=True))
def test_senders_without_trouble_are_one_page_and_one_resolve_a_firing(scenario: Scenario) -> None:
    trial = Trial(play(scenario))
    assert trial.faults(is_calm=True) == [], describe(trial)


@_PLAYED
@given(scenarios())
def test_senders_with_trouble_leave_no_page_open_and_no_firing_untold(scenario: Scenario) -> None:
    trial = Trial(play(scenario))
    assert trial.faults() == [], describe(trial)


@_ASKED
@given(scenarios(is_calm=True, is_asked=True))
def test_who_is_asked_beside_senders_without_trouble_adds_no_page_and_no_end(scenario: Scenario) -> None:
    trial = Trial(play(scenario))
    assert trial.faults(is_calm=True) == [], describe(trial)


@_ASKED
@given(scenarios(is_asked=True))
def test_nothing_fires_in_history_that_an_alertmanager_which_is_asked_does_not_list(scenario: Scenario) -> None:
    trial = Trial(play(scenario))
    assert trial.faults() == [], describe(trial)

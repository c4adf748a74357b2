"""Senders whose truth is known are played to the rules, with their bad days, and a judge looks at what becomes of it.

The judge knows the true firings and every word that arrived: nothing that fires is ended unless a sender said so or it
is told as not known, nobody is paged twice for one firing, missed for another, or left with an open page. No database
takes part, so that there can be many; the conformance suite holds the stores to the same decisions. The examples are
the same in every run: what a search finds beyond them becomes a test of its own in `test_hearing`.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.firing.model import Senders
from tests.firing.stories import scenarios, two_clusters
from tests.firing.trial import Trial, describe
from tests.senders.scenario import Scenario, Site, Watcher, play
from tests.senders.world import FOREVER, Firing

_PLAYED = settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_ASKED = settings(_PLAYED, max_examples=40)
_STEPPED = settings(_PLAYED, max_examples=60, stateful_step_count=25)

pytestmark = pytest.mark.long


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


@_ASKED
@given(two_clusters(is_scoped=True))
def test_two_clusters_with_a_scope_each_never_touch(scenario: Scenario) -> None:
    trial = Trial(play(scenario))
    assert trial.faults(is_calm=True) == [], describe(trial)
    for site in scenario.sites:
        alone = Trial(play(Scenario((site,))))
        names, until = alone.played.truth, alone.settles_at
        assert trial.events_of(names, until=until) == alone.events_of(names, until=until)


@_ASKED
@given(two_clusters(is_scoped=False))
def test_two_clusters_without_a_scope_are_one_occurrence_that_fires_as_long_as_one_says_so(scenario: Scenario) -> None:
    trial = Trial(play(scenario))
    assert trial.faults() == [], describe(trial)


def test_two_clusters_without_a_scope_of_which_one_goes_on_for_ten_minutes_are_a_conflict() -> None:
    pair = (
        Site("a", {"db-1": [Firing(60, 300)]}),
        Site("b", {"db-1": [Firing(70, FOREVER)]}, (Watcher(offset=0.123),)),
    )
    trial = Trial(play(Scenario(pair)))
    kinds = [event.kind for event in trial.became.events]
    assert kinds.count("fired") == kinds.count("conflict") == 1


def test_whatever_happens_to_senders_each_firing_is_one_story() -> None:
    run_state_machine_as_test(Senders, settings=_STEPPED)

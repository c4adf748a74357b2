"""Situations in which somebody asks why: what a real Alertmanager did in each is what the table says."""

from collections.abc import Iterator

import pytest

from tests import servers
from tests.e2e.situation_stage import Play, configuration, hooks
from tests.e2e.situations import SITUATIONS, Outcome, Situation

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

_EARLY_SECONDS = 0.3
_LATE_SECONDS = 2.5
"""How much a busy machine may be behind; timers are never ahead."""


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    """All situations, when the last question may be asked."""
    with (
        hooks(SITUATIONS) as receivers,
        servers.alertmanager_server(configuration(SITUATIONS, receivers.url)) as alertmanager,
    ):
        play = Play(SITUATIONS, alertmanager, receivers)
        play.run()
        yield play


@pytest.mark.parametrize(
    "situation, outcome",
    [
        pytest.param(situation, outcome, id=f"{situation.name}-{outcome.receiver}")
        for situation in SITUATIONS
        for outcome in situation.outcomes
    ],
)
def test_a_real_alertmanager_does_what_the_table_says(play: Play, situation: Situation, outcome: Outcome) -> None:
    tellings = play.tellings(situation, outcome.receiver)
    assert [(each.status, each.answer) for each in tellings] == [
        (each.status, each.answer) for each in outcome.tellings
    ]
    for real, expected in zip(tellings, outcome.tellings, strict=True):
        assert -_EARLY_SECONDS <= real.at - expected.at <= _LATE_SECONDS, (real, expected)


def test_each_situation_has_an_outcome_for_each_of_its_receivers() -> None:
    for situation in SITUATIONS:
        receivers = [receiver.name for receiver in situation.receivers]
        assert [outcome.receiver for outcome in situation.outcomes] == receivers
    assert len({situation.name for situation in SITUATIONS}) == len(SITUATIONS) >= 20

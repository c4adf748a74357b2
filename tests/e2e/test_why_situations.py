"""Why (not), of each of the situations that a real Alertmanager is played into: ours says what it did, and when.

The same posts go to both; ours asks the Alertmanager each second. What nobody tells ours follows from the configuration
alone: whether a webhook was refused, or whether the sender reached the Alertmanager at all.

Holds: `engine.alertmanager_explaining`, `domain.alertmanager.route_simulation`, `domain.alertmanager.explanation`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import servers
from tests.e2e.situation_stage import Play, configuration, hooks, labels_of, receiver_name, role_asked
from tests.e2e.situations import FIRED, SITUATIONS, Outcome, Reason, Situation
from tests.processes import Server, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

_EARLY_SECONDS, _LATE_SECONDS = 0.5, 2.5
"""Ours goes by when it was posted to ours, and timers of a busy machine are behind."""

KINDS: Mapping[Reason, str] = {
    "notified": "notified",
    "waiting_for_its_group": "waiting",
    "waiting_for_the_next_group_interval": "waiting",
    "resolved_before_group_wait": "resolved_early",
    "fired_again_before_the_next_group_interval": "repeated",
    "silenced": "silenced",
    "inhibited": "inhibited",
    "muted_by_a_time_interval": "time_muted",
    "receiver_notifies_nobody": "no_integration",
    "send_resolved_is_off": "notified",
    "cut_off": "cut_off",
    "refused": "notified",
    "failing": "notified",
    "alertmanager_unreachable": "notified",
}
"""Our word for each reason. Of the last three ours can't know without the event recorder: it says what follows."""

UNTOLD_ENDS: Mapping[str, str] = {
    "silenced-midway": "; not of its end, because silence ",
    "end-untold": "; not of its end, because send_resolved is off",
}
"""What is said of ends that nobody was told of, by situation."""

KEPT_OPEN = frozenset({"expires"})
"""Situations whose end only a silent sender makes: ours keeps such an alert open for longer, on purpose."""


@dataclass
class Asked:
    """The play, and ours when the last question may be asked."""

    play: Play
    ours: Server

    def alert(self, situation: Situation) -> dict[str, Any]:
        """The newest occurrence of the alert that is asked about."""
        labels = labels_of(situation, role=role_asked(situation))
        query = "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
        answer = httpx.get(f"{self.ours.url}/history", params={"query": query, "limit": 1}, trust_env=False)
        return dict(answer.json()["alerts"][0])

    def why(self, situation: Situation, receiver: str) -> dict[str, Any]:
        """What ours says of that receiver, of the newest occurrence of the alert that is asked about."""
        alert = self.alert(situation)
        with httpx.Client(base_url=self.ours.url, trust_env=False, timeout=20) as client:
            name = receiver_name(situation, receiver)
            answer = client.get(f"/api/v1/alerts/{alert['id']}/why", params={"target": name})
            assert answer.status_code == httpx.codes.OK, answer.text
            (why,) = answer.json()["receivers"]
            return dict(why)

    def seconds(self, time: str) -> float:
        """A time of ours, counted from the beginning."""
        return (datetime.fromisoformat(time) - self.play.began).total_seconds()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Ours knows the configuration before the play begins, and the silences when it is over."""
    database = tmp_path_factory.mktemp("situations") / "alert_history.db"
    with (
        hooks(SITUATIONS) as receivers,
        servers.alertmanager_server(configuration(SITUATIONS, receivers.url)) as alertmanager,
        servers.service(_environment(database, alertmanager)) as ours,
    ):
        wait_until(lambda: "receiver: nobody" in _original(ours), "its configuration is known")
        play = Play(SITUATIONS, alertmanager, receivers, [ours])
        play.run()
        wait_until(lambda: set(play.silences.values()) <= _silences(ours), "its silences are known")
        yield Asked(play, ours)


def _environment(database: Path, alertmanager: Server) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{database}",
        "ALERTMANAGER_URLS": f"eu={alertmanager.url}",
        "RECONCILE_INTERVAL_SECONDS": "1",
    }


def _original(ours: Server) -> str:
    answer = httpx.get(f"{ours.url}/api/v2/status", trust_env=False)
    return str(answer.json()["config"]["original"]) if answer.is_success else ""


def _silences(ours: Server) -> set[str]:
    return {silence["id"] for silence in httpx.get(f"{ours.url}/api/v2/silences", trust_env=False).json()}


@pytest.mark.parametrize(
    "situation, outcome",
    [
        pytest.param(situation, outcome, id=f"{situation.name}-{outcome.receiver}")
        for situation in SITUATIONS
        for outcome in situation.outcomes
    ],
)
def test_ours_says_what_the_alertmanager_did_and_why(asked: Asked, situation: Situation, outcome: Outcome) -> None:
    why = asked.why(situation, outcome.receiver)
    fired = next((telling.at for telling in outcome.tellings if telling.status == "firing"), None)
    kind = "notified" if fired is not None and outcome.reason == "silenced" else KINDS[outcome.reason]
    assert (why["outcome"], why["alertmanager"]) == (kind, "eu"), why
    if fired is not None and kind == "notified":
        assert -_EARLY_SECONDS <= asked.seconds(why["at"]) - fired <= _LATE_SECONDS, why
    resolved = next((telling.at for telling in outcome.tellings if telling.status == "resolved"), None)
    if resolved is not None and situation.name not in KEPT_OPEN:
        end = next((step for step in why["steps"] if step["text"].endswith("was notified of its end")), None)
        assert end is not None, why
        assert -_EARLY_SECONDS <= asked.seconds(end["at"]) - resolved <= _LATE_SECONDS, why
    if outcome.without_its_mute:
        would, _, time = why["counterfactual"].removesuffix(" UTC.").rpartition(" at ")
        assert would.endswith(f"it would have gone to {receiver_name(situation, outcome.receiver)}"), why
        early = 2.0  # whole seconds are said, and what inhibits it began its group a second before
        assert -early <= asked.seconds(f"{time}+00:00") - FIRED.at <= _LATE_SECONDS, why
    assert UNTOLD_ENDS.get(situation.name, "") in why["sentence"]


def test_what_only_follows_says_so_and_what_to_connect(asked: Asked) -> None:
    (refused,) = (each for each in SITUATIONS if each.name == "refuses")
    why = asked.why(refused, "hook")
    assert (why["basis"], why["sentence"][:47]) == ("follows", "By the configuration of Alertmanager eu refuses")
    assert "event recorder" in why["connect"]
    (unreachable,) = (each for each in SITUATIONS if each.name == "unreachable")
    assert asked.why(unreachable, "hook")["sentence"].endswith(", if it received the alert.")


def test_a_silence_is_named_with_who_made_it_and_why(asked: Asked) -> None:
    (silenced,) = (each for each in SITUATIONS if each.name == "silenced")
    sentence = asked.why(silenced, "hook")["sentence"]
    assert f"silence {asked.play.silences['silenced'][:8]} by maria until " in sentence
    assert "(“It is silenced from before it fires on.”)" in sentence


def test_an_inhibiting_alert_is_named_with_the_rule(asked: Asked) -> None:
    (inhibited,) = (each for each in SITUATIONS if each.name == "inhibited")
    sentence = asked.why(inhibited, "hook")["sentence"]
    assert 'Situation{member="cause", role="source", situation="inhibited"}' in sentence
    assert 'role="source" mutes role="target" where situation is equal' in sentence

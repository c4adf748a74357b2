"""The examples of the page on judgements are what the calls answer.

Holds: `web.api.flapping`, `web.api.noise`, `web.api.rules`, `web.api.response`, `web.api.together`,
`web.api.neighbours`.
"""

import re
from datetime import datetime
from pathlib import Path

import msgspec

from alert_history.domain.flap_rules import Definition, FlapRule, flap_rule
from alert_history.engine.analysis import Analysis
from alert_history.engine.companions import Companions
from alert_history.engine.explaining import Explaining
from alert_history.engine.flapping_alerts import FlappingAlerts
from alert_history.engine.neighbours import Neighbours
from alert_history.engine.noise_scores import NoiseScores
from alert_history.engine.people_response import PeopleResponse
from alert_history.engine.rule_facts import RuleCounting
from alert_history.engine.rule_table import RuleTable
from alert_history.ports import Store
from alert_history.web.api.flapping import FlappingApi
from alert_history.web.api.neighbours import NeighboursApi
from alert_history.web.api.noise import NoiseApi
from alert_history.web.api.response import ResponseApi
from alert_history.web.api.rules import RulesApi
from alert_history.web.api.together import TogetherApi
from alert_history.web.http.operation import Operation
from tests.conformance.samples import NOW
from tests.examples import answer, by_path, examples_of, is_shown
from tests.histories import Firing, PersonsActs, act, record

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "judgements.md").read_text(encoding="utf-8")
EXAMPLES = examples_of(PAGE)
_ALERT = r"^\| (\w+) \| (\w+) \| (\w+) \| (\d\d:\d\d) \| (\d\d:\d\d|still) \| ?([^|]*?) ?\|$"
_ACT = re.compile(r"(\w+) at (\d\d:\d\d)")


def time_of(text: str) -> datetime:
    hour, _, minute = text.partition(":")
    return NOW.replace(hour=int(hour), minute=int(minute))


def history() -> tuple[list[Firing], PersonsActs]:
    """The alerts in the table of the page, and who acknowledged them."""
    firings, acts = [], []
    for name, severity, space, begins, ends, acknowledged in re.findall(_ALERT, PAGE, re.MULTILINE):
        labels = {"severity": severity, "namespace": space}
        firing = Firing(name, time_of(begins), None if ends == "still" else time_of(ends), labels)
        firings.append(firing)
        if match := _ACT.fullmatch(acknowledged):
            acts.append(act(firing, after=time_of(match[2]) - firing.begins, by=match[1]))
    return firings, PersonsActs(acts)


def operations(store: Store) -> dict[str, Operation]:
    """The judgements on a store, whose clock shows NOW."""
    acts = history()[1]
    analysis = Analysis(store.analytics, store.rollups, clock=lambda: NOW)
    counting = RuleCounting(analysis, store.rule_activities, explaining=Explaining(store.analytics), acts=acts)
    scores = NoiseScores(counting)
    rules: dict[Definition, FlapRule] = {"ours": flap_rule("ours")}
    return by_path(
        [
            *FlappingApi(FlappingAlerts(analysis), rules=rules, default="ours", clock=lambda: NOW).operations(),
            *NoiseApi(scores, clock=lambda: NOW).operations(),
            *RulesApi(RuleTable(analysis, counting, scores), clock=lambda: NOW).operations(),
            *ResponseApi(PeopleResponse(store.analytics, acts=acts), clock=lambda: NOW).operations(),
            *TogetherApi(Companions(store.surroundings), clock=lambda: NOW).operations(),
            *NeighboursApi(Neighbours(store.history, store.surroundings, clock=lambda: NOW, acts=acts)).operations(),
        ]
    )


async def test_examples_are_what_the_calls_answer(store: Store) -> None:
    await record(store, *history()[0])
    calls = operations(store)
    for target, example in EXAMPLES:
        answered = await answer(calls, target)
        assert is_shown(msgspec.json.decode(example), answered), msgspec.json.format(
            msgspec.json.encode(answered), indent=1
        ).decode()


async def test_every_call_and_parameter_is_explained(store: Store) -> None:
    calls = operations(store)
    assert len(EXAMPLES) == len(calls)
    for path, operation in calls.items():
        assert f"`GET {path}`" in PAGE
        assert operation.parameters is not None
        for name in operation.parameters.__struct_fields__:
            assert f"`{name}`" in PAGE

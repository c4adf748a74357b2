"""The examples of the page on statistics are what the calls answer.

Holds: `web.api.series`, `web.api.facets`, `web.api.heatmap`, `web.api.durations`, `web.api.report`, `web.api.span`.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alert_history.ports import Store
from alert_history.web.api.durations import DurationsApi
from alert_history.web.api.facets import FacetsApi
from alert_history.web.api.heatmap import HeatmapApi
from alert_history.web.api.report import ReportApi
from alert_history.web.api.series import SeriesApi
from alert_history.web.http.operation import Operation
from tests.conformance.samples import NOW
from tests.examples import answer as answer_of
from tests.examples import by_path, examples_of, is_shown
from tests.statistics import Firing, answering, record

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "statistics.md").read_text(encoding="utf-8")
EXAMPLES = examples_of(PAGE)
HISTORY = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \| (\d\d:\d\d) \| (\d\d:\d\d|still) \|$", PAGE, re.MULTILINE)


def firings() -> list[Firing]:
    """The alerts in the table of the page."""
    return [
        Firing(
            name, _time(begins), None if ends == "still" else _time(ends), {"severity": severity, "namespace": space}
        )
        for name, severity, space, begins, ends in HISTORY
    ]


def _time(text: str) -> Any:
    hour, _, minute = text.partition(":")
    return NOW.replace(hour=int(hour), minute=int(minute))


def operations(store: Store) -> dict[str, Operation]:
    """The statistics on a store, whose clock shows NOW."""
    answers = answering(store)
    made = [
        *SeriesApi(answers.series, clock=lambda: NOW).operations(),
        *FacetsApi(answers.facets, clock=lambda: NOW).operations(),
        *HeatmapApi(answers.heatmap, clock=lambda: NOW).operations(),
        *DurationsApi(answers.durations, clock=lambda: NOW).operations(),
        *ReportApi(answers.reporting, clock=lambda: NOW).operations(),
    ]
    return by_path(made)


async def answer(store: Store, target: str) -> Any:
    """What a call answers, as JSON."""
    return await answer_of(operations(store), target)


async def test_examples_are_what_the_calls_answer(store: Store) -> None:
    await record(store, *firings())
    assert {target.partition("?")[0] for target, _ in EXAMPLES} == operations(store).keys()
    for target, example in EXAMPLES:
        answered = await answer(store, target)
        assert is_shown(msgspec.json.decode(example), answered), msgspec.json.format(
            msgspec.json.encode(answered), indent=1
        ).decode()


async def test_every_call_and_parameter_is_explained(store: Store) -> None:
    for path, operation in operations(store).items():
        assert f"`GET {path}`" in PAGE
        assert operation.parameters is not None
        for name in operation.parameters.__struct_fields__:
            assert f"`{name}`" in PAGE


@pytest.mark.parametrize("minutes", [0, 13])
async def test_numbers_of_all_calls_are_the_same(store: Store, minutes: int) -> None:
    await record(store, *firings())
    since = (NOW - timedelta(hours=4, minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    totals = {
        (await answer(store, f"/api/v1/stats/series?since={since}&by=severity"))["total"],
        (await answer(store, f"/api/v1/stats/facets?since={since}"))["total"],
        (await answer(store, f"/api/v1/stats/heatmap?since={since}&tz=Asia/Kathmandu"))["total"],
        (await answer(store, f"/api/v1/stats/durations?since={since}&by=alertname"))["all"]["count"],
        (await answer(store, f"/report?since={since}"))["summary"]["total_alerts"],
    }
    assert len(totals) == 1

"""The pages about routes keep their word: every example can be used, does what is said, and every key is explained."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alert_history.discovery import routes_document
from alert_history.discovery.routes_document import read_routes
from alert_history.domain.delivery import Routing
from alert_history.domain.notifying import News, route
from alert_history.domain.target import TargetSpec
from alert_history.errors import ConfigurationError

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "routes.md").read_text()
REFERENCE = (DOCS / "reference" / "routes.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(?!# values\.yaml)(.*?)```", HOW_TO, re.DOTALL)  # tests/chart has that of the chart
TARGETS = [
    TargetSpec(name, "pagerduty" if "pagerduty" in name else "slack", {})
    for name in ("payments-slack", "dba-slack", "dba-pagerduty", "ops-slack", "dev-slack", "archive-webhook")
]
NIGHT = datetime(2026, 11, 27, 23, 0, tzinfo=ZoneInfo("Europe/Berlin"))  # a Friday
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def decided(example: int, *, at: datetime = NOON, **labels: str) -> Routing:
    at = at.astimezone(UTC)
    routing = route(TARGETS, News("fired", labels, {}, at, at), routes=read_routes(EXAMPLES[example]))
    assert routing is not None
    return routing


@pytest.mark.parametrize("example", range(len(EXAMPLES)))
def test_every_example_can_be_used_and_names_no_target_that_is_not_there(example: int) -> None:
    reasons = decided(example, team="x").left_out.values()
    assert not any("no such target" in reason for reason in reasons)


def test_each_team_gets_its_own() -> None:
    assert decided(0, team="payments").targets == ("payments-slack",)
    assert decided(0, job="mysql").targets == ("dba-slack", "dba-pagerduty")
    assert decided(0, team="web").targets == ("ops-slack",)


def test_somebody_is_told_as_well() -> None:
    assert decided(1).targets == ("ops-slack", "archive-webhook")


def test_only_the_critical_wakes_somebody_and_the_rest_waits_for_monday() -> None:
    critical, warning = decided(2, at=NIGHT, severity="critical"), decided(2, at=NIGHT, severity="warning")
    assert (critical.targets, critical.due_at) == (("dba-pagerduty", "ops-slack"), {})
    monday = datetime(2026, 11, 30, 7, 0, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    assert (warning.targets, warning.due_at) == (("ops-slack",), {"ops-slack": monday})


def test_staging_is_dropped_out_of_hours() -> None:
    assert decided(3, env="staging").targets == ()  # 07:00 in New York
    at_work = datetime(2026, 11, 25, 10, 0, tzinfo=ZoneInfo("America/New_York"))
    assert decided(3, at=at_work, env="staging").targets == ("dev-slack",)


def test_the_watchdog_is_told_to_nobody() -> None:
    assert decided(5, alertname="Watchdog").targets == ()


@pytest.mark.parametrize("keys", ["_TOP_KEYS", "_ROUTE_KEYS", "_QUIET_KEYS"])
def test_every_key_is_in_the_reference(keys: str) -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", REFERENCE, re.MULTILINE))
    assert set(getattr(routes_document, keys)) - explained == set()


def test_the_faults_that_are_shown_look_so() -> None:
    (shown,) = re.findall(r"```\n(line 4:.*?)```", HOW_TO, re.DOTALL)
    text = "routes:\n  - name: a\n    targets: [x]\n    math: y\n" + "\n" * 4
    text += "    quiet_hours:\n\n      - {from: 25:00}\n"
    with pytest.raises(ConfigurationError) as caught:
        read_routes(text)
    assert caught.value.faults == shown.splitlines()

"""Routes as the real `amtool` decides them, and as amlint does: made configurations, the same receivers.

`ROUTING_CASES=2000` asks for more than a few, `AMTOOL=/path/to/amtool` another one: a newer one is asked about the
UTF-8 language, too; `-s` shows what was asked.

Holds: `domain.alertmanager.routing`, `domain.alertmanager.reading`.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import pytest
import yaml
from amlint.routing import Router, RoutingError

from alert_history.domain.alertmanager.configuration import Route
from alert_history.domain.alertmanager.matchers import Dialect
from alert_history.domain.alertmanager.reading import read_configuration
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.times import parse_duration
from tests.alertmanager_cases import Case, as_arguments, cases

COUNT = int(os.environ.get("ROUTING_CASES", "60"))
SEED = os.environ.get("ROUTING_SEED", "routing")
Settings = tuple[str, tuple[str, ...], timedelta, timedelta, timedelta]
pytestmark = pytest.mark.long


@lru_cache(maxsize=1)
def routing_of(text: str, dialect: Dialect) -> Routing:
    return Routing(read_configuration(text, dialect))


def taken(case: Case, *, is_newer: bool = True) -> list[Route]:
    return routing_of(case.text, "fallback" if is_newer else "classic").routes_of(case.labels)


def told(answers: Sequence[Sequence[object]]) -> str:
    several = sum(len(each) > 1 for each in answers)
    return f"{len(answers)} cases without a difference, {several} with several routes"


def amtool() -> tuple[str, bool]:
    """The program, and whether it knows the UTF-8 language (0.27)."""
    program = os.environ.get("AMTOOL", "amtool")
    if shutil.which(program) is None:
        pytest.skip("amtool is not installed: tests/install-servers")
    answer = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    version = re.search(r"version (\d+)\.(\d+)", answer.stdout + answer.stderr)
    return program, version is None or (int(version[1]), int(version[2])) >= (0, 27)


def test_amtool_takes_the_same_routes(tmp_path: Path) -> None:
    program, is_newer = amtool()
    path = tmp_path / "alertmanager.yml"
    answers = []
    for case in cases(COUNT, seed=SEED, is_newer=is_newer):
        path.write_text(case.text, encoding="utf-8")
        command = [program, "config", "routes", "test", f"--config.file={path}"]
        arguments = as_arguments(case.labels, is_newer=is_newer)
        answer = subprocess.run([*command, *arguments], check=False, capture_output=True, text=True)
        assert answer.returncode == 0, (answer.stderr, arguments, case.text)
        answers.append([route.receiver for route in taken(case, is_newer=is_newer)])
        assert ",".join(answers[-1]) == answer.stdout.strip(), (arguments, case.text)
    print(told(answers))


@pytest.mark.parametrize("is_newer", [False, True])
def test_amlint_takes_the_same_routes_with_the_same_settings(is_newer: bool) -> None:  # noqa: FBT001 — of parametrize
    answers = []
    for case in cases(COUNT, seed=SEED, is_newer=is_newer):
        expected = of_amlint(case)
        if expected is not None:
            answers.append([settings_of(route) for route in taken(case)])
            assert answers[-1] == expected, case
    assert len(answers) > COUNT / 2
    print(told(answers))


def settings_of(route: Route) -> Settings:
    group_by = ("...",) if route.groups_by_all else route.group_by
    return (route.receiver, group_by, route.group_wait, route.group_interval, route.repeat_interval)


def of_amlint(case: Case) -> list[Settings] | None:
    """None where amlint says that it can't tell."""
    try:
        matches = Router(yaml.safe_load(case.text)["route"]).match(case.labels)
    except RoutingError:
        return None
    return [
        (
            each.receiver or "",
            tuple(sorted(each.opts.group_by)),
            parse_duration(each.opts.group_wait),
            parse_duration(each.opts.group_interval),
            parse_duration(each.opts.repeat_interval),
        )
        for each in matches
    ]

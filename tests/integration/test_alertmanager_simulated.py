"""A real Alertmanager and our simulation of it, told the same: they list, group, mute and notify alike.

`ALERTMANAGER_WORLDS` is how many worlds they live through (each is some 100 cases), `ALERTMANAGER_PROGRAM` another
Alertmanager than the one installed, `ALERTMANAGER_VERSION` its version where it does not know it itself.

Holds: `domain.alertmanager.dispatch`, `domain.alertmanager.statuses`, `domain.alertmanager.inhibition`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from alert_history.domain.alertmanager.behaviour import behaviour_of
from alert_history.domain.alertmanager.configuration import Configuration
from alert_history.domain.alertmanager.reading import read_configuration
from tests import servers
from tests.alertmanager_compared import compare
from tests.alertmanager_worlds import CONFIGURATION, Run, live, made_worlds
from tests.processes import Server
from tests.receiving import receiving

pytestmark = pytest.mark.long

WORLDS = int(os.environ.get("ALERTMANAGER_WORLDS", "12"))
SECONDS = int(os.environ.get("ALERTMANAGER_SECONDS", "9"))
SEED = int(os.environ.get("ALERTMANAGER_SEED", "1"))
PROGRAM = os.environ.get("ALERTMANAGER_PROGRAM", "")
MOST_LATE_SECONDS = 0.2
VERSION = os.environ.get("ALERTMANAGER_VERSION", "")


@contextmanager
def alertmanager(config: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    if PROGRAM:
        monkeypatch.setattr(servers, "find_program", lambda *_, **__: PROGRAM)
    with servers.alertmanager_server(config) as server:
        yield server


async def lived(monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Configuration]:
    async with receiving() as receiver:
        config = CONFIGURATION.replace("HOOK", f'"{receiver.url}"')
        with alertmanager(config, monkeypatch) as server:
            worlds = made_worlds(WORLDS, seconds=SECONDS, seed=SEED)
            run = await live(worlds, url=server.url, receiver=receiver, seconds=SECONDS)
    return run, read_configuration(config)


async def test_it_lists_groups_mutes_and_notifies_as_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    run, configuration = await lived(monkeypatch)
    version = VERSION or run.version
    shows_muted = any("mutedBy" in alert["status"] for look in run.looks for alert in look.alerts.values())
    comparison = compare(run, configuration, behaviour=behaviour_of(version), shows_muted=shows_muted)
    print(version, dict(comparison.counts), "undecided", dict(comparison.undecided), f"late {run.late_seconds:.2f} s")
    print(*comparison.differences[:5], sep="\n")
    if comparison.differences and run.late_seconds > MOST_LATE_SECONDS:
        pytest.skip(f"the machine was {run.late_seconds:.2f} s late, and {MOST_LATE_SECONDS} s decide what is told")
    assert not comparison.differences, "\n".join(comparison.differences[:20])
    assert comparison.counts["status"] + comparison.counts["group"] > 20 * WORLDS
    assert comparison.counts["webhook"] > WORLDS

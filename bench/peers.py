"""Peers: what others do with the same alerts on the same machine in the same run, in turn with the service.

Alerta keeps alerts in PostgreSQL, as the service does. Alertmanager keeps them in memory alone, so what it acknowledged
is gone with its process; it shows what receiving alone costs. Each takes the same requests as the service beside it.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.processes import Server, find_program
from tests.servers import alertmanager_server, service

from alert_history.engine.intake import ALERTMANAGER_PATH
from bench import alerta
from bench.databases import Database, Postgres
from bench.load import ALERTS_A_REQUEST, CONNECTIONS, FullLoad, PacedRun, full_load
from bench.plan import Plan
from bench.report import Measured, at_least, at_most, shown
from bench.watch import get, median, memory_peak

_WARM_SECONDS = 1
_SETTLE_SECONDS = 1.0
_SETTLED_WITHIN_SECONDS = 60.0
_PACED_ALERTS_PER_SECOND = 100
_PROMISED_TIMES_ALERTA = 55
_PROMISED_P50_SHARE = 1 / 40
_LOST = 0.02  # Alerta joins alerts of one event on one instance; if the severity differs, it does not count them
_UNANSWERED = CONNECTIONS * ALERTS_A_REQUEST
_ALERTMANAGER = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n"
_folders = count()


class Running(NamedTuple):
    """A peer under measurement, and what tells how many alerts it holds."""

    server: Server
    count_alerts: Callable[[], int]


class Peer(NamedTuple):
    """Somebody who takes alerts on a path; `run` starts one with nothing in it."""

    name: str
    path: str
    run: Callable[[], AbstractContextManager[Running]]


class Round(NamedTuple):
    """What one peer did in one round."""

    stored_per_second: float
    full_p50_ms: float
    full_p99_ms: float
    full_failed: int
    paced_p50_ms: float
    paced_p99_ms: float
    paced_failed: int
    peak_mib: float


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Each peer and the service by turns, the order turned round each time; Alerta on PostgreSQL only.

    Alerta has `alerta.WORKERS` workers, the service one process.
    """
    alertmanager = f"Alertmanager {alertmanager_version()}"
    pairs = [(_ours(database, ALERTMANAGER_PATH), Peer(alertmanager, ALERTMANAGER_PATH, _run_alertmanager))]
    if isinstance(database, Postgres):
        plan.say("installing Alerta")
        python = alerta.install_alerta(plan.folder / "alerta")
        run = partial(_run_alerta, database, python, plan.folder)
        pairs.insert(0, (_ours(database, "/webhook"), Peer(f"Alerta {alerta.VERSION}", alerta.PATH, run)))
    lines: list[Measured] = []
    for pair in pairs:
        lines += compare(database.name, pair, rounds=_rounds(database.name, pair, plan))
    return lines


def _rounds(name: str, pair: tuple[Peer, Peer], plan: Plan) -> list[tuple[Round, Round]]:
    """Of both peers, in the order of the pair."""
    rounds = []
    for turn in range(plan.rounds):
        plan.say(f"{name}: beside {pair[1].name}, round {turn + 1} of {plan.rounds}")
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        done = {place: _round(pair[place], seconds=plan.seconds) for place in order}
        rounds.append((done[0], done[1]))
        plan.keep(f"{name}: {pair[1].name}", [{"ours": ours, "theirs": theirs} for ours, theirs in rounds])
    return rounds


def _round(peer: Peer, *, seconds: float) -> Round:
    """A paced load on an almost empty peer, then as much as it takes."""
    with peer.run() as (server, count_alerts), memory_peak(server) as peak:
        full_load(server.url, seconds=_WARM_SECONDS, path=peer.path)
        settled(count_alerts)
        pace = PacedRun(server.url, alerts_per_second=_PACED_ALERTS_PER_SECOND, seconds=seconds, path=peer.path)
        paced = pace.finish()
        before = settled(count_alerts)
        load = full_load(server.url, seconds=seconds, path=peer.path)
        check_stored(load, settled(count_alerts) - before)
    p50, p99 = paced.percentile(0.5), paced.percentile(0.99)
    failed = load.refused + load.broken
    return Round(load.alerts_per_second, load.p50_ms, load.p99_ms, failed, p50, p99, paced.failed, peak.mib)


def settled(count_alerts: Callable[[], int]) -> int:
    """How many alerts a peer holds once it has worked off what was under way. Raises: AssertionError if it goes on."""
    end = time.monotonic() + _SETTLED_WITHIN_SECONDS
    last, number = -1, count_alerts()
    while number != last:
        assert time.monotonic() < end, f"still at work, with {number} alerts"
        time.sleep(_SETTLE_SECONDS)
        last, number = number, count_alerts()
    return number


def check_stored(load: FullLoad, stored: int) -> None:
    """Raises: AssertionError unless what was acknowledged is there, give or take what was under way at the end."""
    least, most = load.alerts * (1 - _LOST), load.alerts + _UNANSWERED
    assert least <= stored <= most, f"{stored} stored, {load.alerts} acknowledged"


# --- who they are -----------------------------------------------------------------------------------------------------


def _ours(database: Database, path: str) -> Peer:
    return Peer("ours", path, partial(_run_ours, database))


@contextmanager
def _run_ours(database: Database) -> Iterator[Running]:
    url = database.fresh()
    with service({"DATABASE_URL": url, "LOG_LEVEL": "warning"}) as server:
        yield Running(server, partial(database.count_alerts, url))
    database.drop(url)


@contextmanager
def _run_alerta(database: Database, python: Path, folder: Path) -> Iterator[Running]:
    url = database.fresh()
    with alerta.alerta_server(python, url, folder=folder / f"alerta-{next(_folders)}") as server:
        yield Running(server, partial(alerta.count_stored, url))
    database.drop(url)


@contextmanager
def _run_alertmanager() -> Iterator[Running]:
    with alertmanager_server(_ALERTMANAGER) as server:
        yield Running(server, lambda: alerts_of(get(server, "/metrics").decode()))


def alertmanager_version() -> str:
    """Of the Alertmanager that `alertmanager_server` starts."""
    program = find_program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60)
    return (done.stdout + done.stderr).partition("version ")[2].partition(" ")[0].rstrip(",")


def alerts_of(metrics: str) -> int:
    """The alerts that Alertmanager holds, by its metrics."""
    values = [line.rsplit(" ", 1)[1] for line in metrics.splitlines() if line.startswith("alertmanager_alerts{")]
    return int(sum(map(float, values)))


# --- as lines of the table --------------------------------------------------------------------------------------------


def compare(database: str, pair: tuple[Peer, Peer], *, rounds: Sequence[tuple[Round, Round]]) -> list[Measured]:
    """What both did, and ours ÷ theirs; promises are made beside Alerta only."""
    ours, theirs = zip(*rounds, strict=True)
    is_alerta = pair[1].path == alerta.PATH
    own = f"ours on {pair[0].path}"
    lines = [*_lines(database, own, ours), *_lines(database, pair[1].name, theirs)]
    at_least_times = at_least(_PROMISED_TIMES_ALERTA) if is_alerta else None
    at_most_share = at_most(_PROMISED_P50_SHARE) if is_alerta else None
    for what, field, limit, is_speed in (
        ("stored alerts", "stored_per_second", at_least_times, True),
        ("p50 at 100 alerts/s", "paced_p50_ms", at_most_share, False),
        ("memory", "peak_mib", None, False),
    ):
        mine, other = ([getattr(each, field) for each in side] for side in (ours, theirs))
        ratio = median(mine) / median(other)
        each = [a / b for a, b in zip(mine, other, strict=True)]
        better = own if (ratio > 1) == is_speed else pair[1].name
        note = f"rounds {min(each):.3g} to {max(each):.3g}; better: {better}"
        lines.append(Measured(database, f"{what}, {own} ÷ {pair[1].name}", ratio, "", limit, note))
    return lines


def _lines(database: str, name: str, rounds: Sequence[Round]) -> list[Measured]:
    speeds = [each.stored_per_second for each in rounds]
    delays = [each.paced_p50_ms for each in rounds]
    p50, p99 = median([each.full_p50_ms for each in rounds]), median([each.full_p99_ms for each in rounds])
    failed = sum(each.full_failed for each in rounds)
    busy = f"rounds {_spread(speeds)}; p50 {shown(p50)} ms, p99 {shown(p99)} ms, {failed} not answered well"
    late = median([each.paced_p99_ms for each in rounds])
    paced_failed = sum(each.paced_failed for each in rounds)
    calm = f"rounds {_spread(delays)}; p99 {shown(late)} ms, {paced_failed} not answered well"
    peak = max(each.peak_mib for each in rounds)
    return [
        Measured(database, f"{name}: stored alerts", median(speeds), "alerts/s", note=busy),
        Measured(database, f"{name}: p50 at 100 alerts/s", median(delays), "ms", note=calm),
        Measured(database, f"{name}: memory", peak, "MiB", note="peak of resident memory, all processes"),
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{shown(min(values))} to {shown(max(values))}"

"""Stages: where the microseconds of an alert go.

Each pure stage runs in loops over prepared notifications, in this process, without the garbage collector. The commit
is the store's own, in batches as large as the service's at full load. The service under full load costs more than the
sum: there the collector runs, caches are cold, and batches are smaller; the last line says how much more.
"""

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, NamedTuple, TypeVar

import uvloop
from tests.processes import HOST, Server

from alert_history.bootstrap import make_service
from alert_history.config import load_settings
from alert_history.domain.decision import decide
from alert_history.domain.notifying import notify
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.sightings import by_fingerprint
from alert_history.domain.standing import DEFAULT_RULES, Witnesses
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import ALERTMANAGER_PATH, Intake
from alert_history.engine.switchboard import Switchboard
from alert_history.ports import ClaimRecorder
from alert_history.service import Rooms
from alert_history.sources import decode_prometheus, decode_webhook
from alert_history.web.ingest.webhook import Webhook
from bench.bare import bare_server
from bench.cpu import Clock, cpu_seconds, sqlite_clock
from bench.databases import Database, Sqlite, migrate
from bench.ingest import KNOWN_ALERTS, running
from bench.load import ALERTS_A_REQUEST, CONNECTIONS, full_load
from bench.notifications import Notifications
from bench.plan import Plan
from bench.report import Measured, shown
from bench.watch import median

_PATH = "/webhook"
_REQUESTS = 150
_ALERTS = _REQUESTS * ALERTS_A_REQUEST
_BATCHES = 20
_WARM_BATCHES = 4
_LOOPS = 7
_WARM_SECONDS = 1
_SETTLE_SECONDS = 1
_UNIT = "µs/alert"
_IN_PROCESS = f"loop over {_REQUESTS} requests of {ALERTS_A_REQUEST} alerts"
_seeds = count(1_000_000)

T = TypeVar("T")


class Costs(NamedTuple):
    """Processor time in µs an alert of one round, all of the service but where another is named."""

    http: float
    decode: float
    receipt: float
    queue_and_answer: float
    label_sets: float
    decide: float
    notify: float
    rows: float
    database: float
    commit_wall: float
    decode_prometheus: float
    loaded_distinct: float
    loaded_distinct_database: float
    loaded_repeats: float
    loaded_repeats_database: float

    def stages(self, *, is_sqlite: bool) -> float:
        """The sum of the service's stages. SQLite's share is the service's, too."""
        own = sum(self[: self._fields.index("database")])
        return own + self.database if is_sqlite else own


_HOW = {
    "http": "HTTP and ASGI: the service's server with an application that answers at once, under full load",
    "decode": f"bytes into alerts; {_IN_PROCESS}",
    "receipt": f"Intake.receipt without decode: id, digest, sender; {_IN_PROCESS}",
    "queue_and_answer": f"Webhook call on a recorder that keeps nothing, without receipt; {CONNECTIONS} at once",
    "label_sets": f"by_fingerprint, with the sightings; {_IN_PROCESS}",
    "decide": f"every alert new; {_IN_PROCESS}",
    "notify": f"without targets; {_IN_PROCESS}",
    "rows": "Recorder.commit without the three above: rows, packed bodies, statements, driver, threads",
    "database": "processor time of PostgreSQL during commits; on SQLite of calls into its library",
    "commit_wall": f"time from call to return of Recorder.commit, one batch of {_ALERTS} at a time",
    "decode_prometheus": f"decode on {ALERTMANAGER_PATH}, where each new label set is hashed; {_IN_PROCESS}",
    "loaded_distinct": "processor time of the service under full load",
    "loaded_distinct_database": "processor time of PostgreSQL under full load",
    "loaded_repeats": "processor time of the service under full load",
    "loaded_repeats_database": "processor time of PostgreSQL under full load",
}


def measure(database: Database, plan: Plan) -> list[Measured]:
    """All rounds; the median of each stage."""
    rounds = []
    for turn in range(plan.rounds):
        plan.say(f"{database.name}: stages, round {turn + 1} of {plan.rounds}")
        rounds.append(_round(database, plan))
        plan.keep(f"{database.name}: stages", rounds)
    return lines_of(database.name, rounds, is_sqlite=isinstance(database, Sqlite))


def _round(database: Database, plan: Plan) -> Costs:
    with bare_server() as server:
        http, _ = _loaded(server, _no_database, seconds=plan.seconds)
    url = database.fresh()
    migrate(url)
    with without_collector(), sqlite_clock() as clock:
        inside = uvloop.run(_inside(url, database, clock))
    database.drop(url)
    url = database.fresh()
    with running(url) as server:
        distinct = _loaded(server, database.cpu_seconds, seconds=plan.seconds)
        full_load(server.url, seconds=_WARM_SECONDS, kind="repeats", known=KNOWN_ALERTS)
        repeats = _loaded(server, database.cpu_seconds, seconds=plan.seconds, kind="repeats")
    database.drop(url)
    return Costs(
        http=http,
        **inside,
        loaded_distinct=distinct[0],
        loaded_distinct_database=distinct[1],
        loaded_repeats=repeats[0],
        loaded_repeats_database=repeats[1],
    )


def _no_database() -> float:
    return 0.0


def _loaded(
    server: Server, database_cpu: Callable[[], float], *, seconds: float, kind: str = "distinct"
) -> tuple[float, float]:
    """What the server and its database cost under full load, µs an alert."""
    own, others = cpu_seconds(server.pid), database_cpu()
    load = full_load(server.url, seconds=seconds, kind=kind, known=KNOWN_ALERTS if kind == "repeats" else 0)
    time.sleep(_SETTLE_SECONDS)
    own, others = cpu_seconds(server.pid) - own, database_cpu() - others
    return own * 1e6 / load.alerts, others * 1e6 / load.alerts


@contextmanager
def without_collector() -> Iterator[None]:
    """The garbage collector runs at no moment that one stage could be blamed for."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# --- inside this process ----------------------------------------------------------------------------------------------


async def _inside(url: str, database: Database, clock: Clock) -> dict[str, float]:
    """The fields of `Costs` from `decode` to `decode_prometheus`."""
    rooms = make_service(load_settings({"DATABASE_URL": url})).rooms
    await rooms.store.lifecycle.open()
    try:
        pure = _median_of([_pure(rooms) for _ in range(_LOOPS)])
        webhook = median([await _webhook(rooms) for _ in range(_LOOPS)])
        commit = await _commit(rooms, database, clock)
    finally:
        await rooms.store.lifecycle.close()
    whole_receipt = pure.pop("whole_receipt")
    thought = pure["label_sets"] + pure["decide"] + pure["notify"]
    return {
        **pure,
        "receipt": max(whole_receipt - pure["decode"], 0.0),
        "queue_and_answer": max(webhook - whole_receipt, 0.0),
        "rows": max(commit["own"] - thought, 0.0),
        "database": commit["database"],
        "commit_wall": commit["wall"],
    }


def _median_of(loops: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median([loop[name] for loop in loops]) for name in loops[0]}


def _pure(rooms: Rooms) -> dict[str, float]:
    """What each pure stage costs, each on what the one before it made."""
    bodies, now = _bodies(), datetime.now(UTC)
    decoding, _ = _timed(lambda: [decode_webhook(b, received_at=now, max_alerts=ALERTS_A_REQUEST) for b in bodies])
    from_prometheus = _bodies(ALERTMANAGER_PATH)
    hashing, _ = _timed(
        lambda: [decode_prometheus(b, received_at=now, max_alerts=ALERTS_A_REQUEST) for b in from_prometheus]
    )
    receiving, receipts = _timed(lambda: _receipts(rooms.recording.intake, bodies))
    joining, groups = _timed(lambda: by_fingerprint(receipts))
    judge = partial(decide, None, rules=DEFAULT_RULES, witnesses=Witnesses())
    deciding, decisions = _timed(lambda: [judge(sightings) for sightings in groups.values()])
    notifying, _ = _timed(lambda: notify(decisions, rooms.publishing.router))
    return {
        "decode": decoding,
        "whole_receipt": receiving,
        "label_sets": joining,
        "decide": deciding,
        "notify": notifying,
        "decode_prometheus": hashing,
    }


def _bodies(path: str = _PATH) -> list[bytes]:
    notifications = Notifications(path, alerts=ALERTS_A_REQUEST, seed=next(_seeds))
    return [notifications.body().encode() for _ in range(_REQUESTS)]


def _receipts(intake: Intake, bodies: Sequence[bytes]) -> list[Receipt]:
    now = datetime.now(UTC)
    return [intake.receipt(_PATH, body, received_at=now, client=HOST) for body in bodies]


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Processor time in µs an alert, and what the work returns."""
    begin = time.process_time()
    result = work()
    return (time.process_time() - begin) * 1e6 / _ALERTS, result


class _Nowhere:
    """Fulfils `ports.Recorder`, and keeps nothing."""

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        return [Outcome(receipt.id, receipt.group.received, receipt.group.received, 0, 0) for receipt in receipts]


async def _webhook(rooms: Rooms) -> float:
    """A call of the webhook with a request that is there already, µs an alert; as many calls at once as connections."""
    ingest = Ingest(_Nowhere(), max_pending_bytes=2**30, switchboard=Switchboard())
    webhook = Webhook(
        ingest,
        intake=rooms.recording.intake,
        gate=rooms.trust.gate,
        clock=lambda: datetime.now(UTC),
        metrics=rooms.metrics.requests,
        max_body_bytes=2**20,
    )
    committing = asyncio.create_task(ingest.run())
    waiting = _bodies()
    begin = time.process_time()
    await asyncio.gather(*(_call(webhook, waiting) for _ in range(CONNECTIONS)))
    seconds = time.process_time() - begin
    ingest.stop()
    await committing
    return seconds * 1e6 / _ALERTS


async def _call(webhook: Webhook, waiting: list[bytes]) -> None:
    """One connection: request after request, until there is none."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200, message

    while waiting:
        body = waiting.pop()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        scope = {"type": "http", "method": "POST", "path": _PATH, "headers": headers, "client": (HOST, 1)}
        await webhook({**scope, "query_string": b""}, receive, send)


async def _commit(rooms: Rooms, database: Database, clock: Clock) -> dict[str, float]:
    """Processor time of our `own` and of the `database`, and the `wall` time until commits return, µs an alert."""
    recorder = rooms.store.recorder
    await _commit_batches(recorder, rooms, batches=_WARM_BATCHES)
    prepared = [_receipts(rooms.recording.intake, _bodies()) for _ in range(_BATCHES)]
    own, server, inside = _own_seconds(database), database.cpu_seconds(), clock.seconds
    begin = time.perf_counter()
    for receipts in prepared:
        await recorder.commit(receipts)
    wall = time.perf_counter() - begin
    own, server, inside = _own_seconds(database) - own, database.cpu_seconds() - server, clock.seconds - inside
    scale = 1e6 / (_ALERTS * _BATCHES)
    return {"own": (own - inside) * scale, "database": (server + inside) * scale, "wall": wall * scale}


async def _commit_batches(recorder: ClaimRecorder, rooms: Rooms, *, batches: int) -> None:
    for _ in range(batches):
        await recorder.commit(_receipts(rooms.recording.intake, _bodies()))


def _own_seconds(database: Database) -> float:
    """Of this process and of what a store may have started, without the database's server.

    This process counts precisely, others by ticks of 10 ms.
    """
    others = cpu_seconds(os.getpid()) - _ticks_of_this_process()
    return time.process_time() + others - database.cpu_seconds()


def _ticks_of_this_process() -> float:
    times = os.times()
    return times.user + times.system


# --- as lines of the table --------------------------------------------------------------------------------------------


def lines_of(name: str, rounds: Sequence[Costs], *, is_sqlite: bool) -> list[Measured]:
    """The median of each cost, what the stages come to, and how much more the service costs under full load."""
    lines = []
    for field in Costs._fields:
        values = [getattr(costs, field) for costs in rounds]
        if is_sqlite and field.endswith("_database"):
            continue  # it runs inside the service
        lines.append(_line(name, field.replace("_", " "), values, how=_HOW[field]))
    sums = [costs.stages(is_sqlite=is_sqlite) for costs in rounds]
    more = [costs.loaded_distinct - total for costs, total in zip(rounds, sums, strict=True)]
    lines.append(_line(name, "all stages of the service", sums, how="without commit wall; on SQLite with the database"))
    lines.append(
        _line(name, "loaded distinct − all stages", more, how="collector, upkeep, cold caches, smaller batches")
    )
    return lines


def _line(name: str, what: str, values: Sequence[float], *, how: str) -> Measured:
    spread = f"{shown(min(values))} to {shown(max(values))}"
    return Measured(name, what, median(list(values)), _UNIT, note=f"{how}; rounds {spread}")

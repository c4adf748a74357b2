"""A filled history: what a page costs with so many occurrences stored, and whether ingest still runs as before."""

from datetime import UTC, datetime

from tests.servers import service

from bench.databases import Database
from bench.fill import fill
from bench.ingest import distinct_load, running
from bench.load import PacedRun
from bench.pages import Answers, Question, ask, questions, walk
from bench.past import occurrences
from bench.plan import Plan
from bench.report import Measured, at_least, at_most, grouped, shown
from bench.watch import median

_PROMISED_SHARE = 0.8
_PROMISED_PAGE_MS = {"PostgreSQL": 50, "SQLite": 150}
_BUSY_SECONDS = 600  # at most; the load ends with the questions
_FILTERS_BESIDE_INGEST = ("a label of 40 %", "a label of 0.5 %", "a label of 1/50 000", "a label nobody has")


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Pages first, on a history that rests; then ingest beside an empty database, in turns; then both at once."""
    url = database.fresh()
    plan.say(f"{database.name}: filling {grouped(plan.history)} occurrences")
    fill(database, url, occurrences(plan.history, until=datetime.now(UTC)), number=plan.history)
    asked = questions(plan.history)
    lines: list[Measured] = []
    with service({"DATABASE_URL": url, "LOG_LEVEL": "warning"}) as server:
        for question in asked:
            plan.say(f"{database.name}: pages, {question.name}")
            lines.append(_page_line(database.name, question, ask(server, question)))
        lines.append(_walk_line(database.name, walk(server)))
    plan.say(f"{database.name}: ingest, filled and empty")
    speed, share = _ingest(database, url, plan)
    lines.append(share)
    plan.say(f"{database.name}: pages beside ingest")
    lines += _pages_beside_ingest(database, url, asked=asked, alerts_per_second=speed / 2)
    database.drop(url)
    return lines


def _page_line(name: str, question: Question, answers: Answers, *, beside: str = "") -> Measured:
    limit = at_most(_PROMISED_PAGE_MS[name]) if question.is_label_filter else None
    failed = f", {answers.failed} not 200" if answers.failed else ""
    note = f"p50 {answers.p50:.1f} ms, p95 {answers.p95:.1f} ms, {len(answers.milliseconds)} requests{failed}"
    return Measured(name, f"p99 of a page: {question.name}{beside}", answers.p99, "ms", limit, note)


def _walk_line(name: str, answers: Answers) -> Measured:
    return _page_line(name, Question("by cursor, 200 deep", lambda _: {}, is_label_filter=False), answers)


def _ingest(database: Database, url: str, plan: Plan) -> tuple[float, Measured]:
    """Alerts a second on the filled history, and that ÷ on an empty one."""
    filled, empty = [], []
    for _ in range(plan.rounds):
        other = database.fresh()
        empty.append(_alerts_per_second(database, other, plan))
        database.drop(other)
        filled.append(_alerts_per_second(database, url, plan))
    share = median(filled) / median(empty)
    note = f"distinct alerts: {shown(median(filled))} alerts/s filled, {shown(median(empty))} empty"
    what = f"ingest with {grouped(plan.history)} stored ÷ empty"
    return median(filled), Measured(database.name, what, share, "", at_least(_PROMISED_SHARE), note)


def _alerts_per_second(database: Database, url: str, plan: Plan) -> float:
    with running(url) as server:
        database.rest(url)
        load, _ = distinct_load(database, server, url, seconds=plan.seconds)
    return load.alerts_per_second


def _pages_beside_ingest(
    database: Database, url: str, *, asked: list[Question], alerts_per_second: float
) -> list[Measured]:
    with running(url) as server:
        load = PacedRun(server.url, alerts_per_second=alerts_per_second, seconds=_BUSY_SECONDS)
        try:
            return [
                _page_line(database.name, question, ask(server, question), beside=", ingest at half load")
                for question in asked
                if question.name in _FILTERS_BESIDE_INGEST
            ]
        finally:
            load.stop()

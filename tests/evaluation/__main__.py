"""`make eval`: scores the rules, and with LLM_PROXY_URL the model behind it, on alerts that an expert labelled.

    python -m tests.evaluation              # scores, confusion, calibration, and the misses of the alerts to work with
    python -m tests.evaluation --held-out   # the misses of those held out, too: to read, never to tune by

Asking a model costs what its calls cost: some twenty of them.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alert_history.config import load_settings
from alert_history.domain.classification import Case, Verdict
from alert_history.enrichers import make_enricher
from alert_history.enrichers.rules import RulesEnricher
from alert_history.errors import Rejected, Retryable
from alert_history.ports import Enricher
from tests.evaluation.labelled import Labelled, held_out_alerts, known_alerts
from tests.evaluation.score import (
    SEVERITIES,
    Answer,
    accuracy,
    answers,
    calibration,
    calibration_error,
    category_accuracy,
    confusion,
    naive_accuracy,
)

_ATTEMPTS = 5
_LONGEST_PAUSE_SECONDS = 60.0


def main() -> None:
    """Score every enricher there is."""
    parser = argparse.ArgumentParser(prog="make eval", description="Score classifications on labelled alerts.")
    parser.add_argument("--held-out", action="store_true", help="show the misses of those held out, too")
    asked = parser.parse_args()
    asyncio.run(_evaluate(Console(highlight=False), shows_held_out=asked.held_out))


async def _evaluate(console: Console, *, shows_held_out: bool) -> None:
    parts = known_alerts(), held_out_alerts()
    for enricher in _enrichers(console):
        try:
            answer_sets = [answers(part, await _ask(enricher, part, console)) for part in parts]
        finally:
            await enricher.close()
        console.print(_scores(enricher.name, *answer_sets))
        for title, part in zip(("to work with", "held out"), answer_sets, strict=True):
            console.print(_confusion(title, part), _calibration(part))
        console.print(_misses("misses", answer_sets[0]))
        if shows_held_out:
            console.print(_misses("misses of those held out", answer_sets[1]))


def _enrichers(console: Console) -> list[Enricher]:
    """The rules, and whatever else the environment asks for."""
    rules = RulesEnricher(_now)
    configured = make_enricher(load_settings(os.environ), clock=_now)
    if isinstance(configured, RulesEnricher):
        console.print("LLM_PROXY_URL is not set, or its client not installed: only the rules are scored.\n")
        return [rules]
    return [rules, configured]


async def _ask(enricher: Enricher, alerts: Sequence[Labelled], console: Console) -> list[Verdict | None]:
    cases = [alert.case for alert in alerts]
    verdicts: list[Verdict | None] = []
    for start in range(0, len(cases), enricher.most_cases):
        some = cases[start : start + enricher.most_cases]
        try:
            verdicts += await _patiently(enricher, some)
        except (Retryable, Rejected) as error:
            console.print(Text(f"no answer for {len(some)} alerts: {error}", "red"))
            verdicts += [None] * len(some)
    return verdicts


async def _patiently(enricher: Enricher, cases: Sequence[Case]) -> list[Verdict | None]:
    """What it says, when it has the time. Raises Rejected, and Retryable after the last attempt."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return await enricher.classify(cases)
        except Retryable as error:
            await asyncio.sleep(min(error.after_seconds or 2.0**attempt, _LONGEST_PAUSE_SECONDS))
    return await enricher.classify(cases)


def _now() -> datetime:
    return datetime.now(UTC)


def _scores(name: str, known: Sequence[Answer], held_out: Sequence[Answer]) -> Table:
    table = Table("", "alerts", "severity right", "label as it is", "category right", "critical missed", "off by")
    table.title = name
    for what, part in (("to work with", known), ("held out", held_out)):
        naive = naive_accuracy([answer.alert for answer in part])
        table.add_row(
            what,
            str(len(part)),
            f"{accuracy(part):.0%}",
            f"{naive:.0%}",
            f"{category_accuracy(part):.0%}",
            str(sum(answer.is_dangerous for answer in part)),
            f"{calibration_error(part):.2f}",
        )
    return table


def _confusion(title: str, of: Sequence[Answer]) -> Table:
    counted = confusion(of)
    columns = [*SEVERITIES, *(["none"] if any(severity == "none" for _, severity in counted) else [])]
    table = Table("expert ↓  said →", *columns, title=title)
    for expert in SEVERITIES:
        cells = [counted[expert, severity] for severity in columns]
        styled = [
            Text(str(n) if n else "·", "green" if severity == expert else "red" if n else "dim")
            for n, severity in zip(cells, columns, strict=True)
        ]
        table.add_row(expert, *styled)
    return table


def _calibration(of: Sequence[Answer]) -> Table:
    table = Table("said to be sure", "was right", "answers")
    for band in calibration(of):
        table.add_row(f"{band.confidence:.0%}", f"{band.right:.0%}", str(band.answers))
    return table


def _misses(title: str, of: Sequence[Answer]) -> Table:
    table = Table("alert", "expert", "said", "sure", "the expert's reason", "the answer's", title=title)
    for answer in of:
        if answer.is_right:
            continue
        alert, classification = answer
        cells = (
            ("nothing", "", "")
            if classification is None
            else (classification.severity, f"{classification.confidence:.0%}", classification.reasoning)
        )
        table.add_row(*map(Text, (alert.name, alert.severity, *cells[:2], alert.why, cells[2])))
    return table


if __name__ == "__main__":
    main()

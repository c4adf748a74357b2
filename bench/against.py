"""`python -m bench.against REVISION`: this checkout beside an older revision, in turn, in one run, as ratios.

Each ratio is new ÷ old: of the medians, and the lowest and the highest of the rounds. Where a figure is better when it
is lower (start, memory), a ratio above 1 is a loss.
"""

import argparse
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.builds import Figures, measure, older_build, this_build
from bench.command import silent_servers, temporary_folder
from bench.databases import Database, Sqlite, postgres
from bench.plan import Plan
from bench.raw import write_json
from bench.report import conditions, shown
from bench.targets import fast_target
from bench.watch import median

Rounds = Sequence[tuple[Figures, Figures]]
"""Of the older build and of this one, round by round."""


def main() -> None:
    """Measure by turns, and print one table."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = _parser().parse_args()
    table = Table("database", "what", "old", "new", "new ÷ old", "lowest to highest", title=f"Against {asked.revision}")
    with temporary_folder(asked.folder) as folder, silent_servers():
        plan = Plan(asked.seconds, asked.rounds, 0, 0, folder)
        try:
            for name, rounds in _compare(asked.revision, plan, only=asked.only).items():
                for row in ratios(rounds):
                    table.add_row(name, *row)
        finally:  # what was measured before a failure is not lost
            if asked.json is not None:
                write_json(asked.json, conditions=conditions(), revision=asked.revision, rounds=plan.raw)
    Console().print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.against", description="Measure this checkout beside an older one.")
    parser.add_argument("revision", help="a commit, tag or branch of this repository")
    parser.add_argument("--only", choices=["postgres", "sqlite"], help="one database instead of both")
    parser.add_argument("--seconds", type=float, default=5, help="length of each load (default: 5)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, each with both builds (default: 7)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a real disk")  # noqa: S108
    parser.add_argument("--json", type=Path, help="a file for what each round measured")
    return parser


def _compare(revision: str, plan: Plan, *, only: str | None) -> Mapping[str, Rounds]:
    with ExitStack() as stack:
        older = stack.enter_context(older_build(revision, folder=plan.folder))
        target = stack.enter_context(fast_target())
        databases: list[Database] = []
        if only != "sqlite":
            databases.append(stack.enter_context(postgres()))
        if only != "postgres":
            databases.append(Sqlite(plan.folder))
        rounds: dict[str, list[tuple[Figures, Figures]]] = {database.name: [] for database in databases}
        for turn in range(plan.rounds):
            for database in databases:
                plan.say(f"{database.name}: round {turn + 1} of {plan.rounds}")
                builds = (older, this_build()) if turn % 2 == 0 else (this_build(), older)
                figures = [measure(b, database, target, folder=plan.folder, seconds=plan.seconds) for b in builds]
                rounds[database.name].append((figures[turn % 2], figures[1 - turn % 2]))
                plan.keep(database.name, [{"old": old, "new": new} for old, new in rounds[database.name]])
        return rounds


def ratios(rounds: Rounds) -> list[tuple[str, str, str, str, str]]:
    """A row a figure: its name, the medians of both builds, their ratio, and the spread of the rounds' ratios."""
    rows = []
    for place, name in enumerate(Figures._fields):
        old, new = ([figures[place] for figures in side] for side in zip(*rounds, strict=True))
        each = [b / a for a, b in zip(old, new, strict=True)]
        middle = median(new) / median(old)
        medians = shown(median(old)), shown(median(new))
        rows.append((name.replace("_", " "), *medians, f"{middle:.2f}", f"{min(each):.2f} to {max(each):.2f}"))
    return rows


if __name__ == "__main__":
    main()

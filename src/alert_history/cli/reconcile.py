"""`alert-history reconcile`: history is compared with what fires, once, and repaired where they differ."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from alert_history.bootstrap import rules_of, utc_now
from alert_history.cli.console import cell, error_console, output_console, print_error, print_line
from alert_history.cli.router import look_for_router
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.domain.correcting import Correction
from alert_history.engine.origins import Asking, Origins, Round
from alert_history.engine.reconcile import Comparing, Report
from alert_history.engine.witnesses import KnownWitnesses
from alert_history.errors import ConfigurationError
from alert_history.urls.secret import revealed

_PAUSE_SECONDS = 3.0
_MOST_SHOWN = 1_000


def reconcile(
    *,
    alertmanager: Annotated[
        list[str] | None, Parameter(negative="", consume_multiple=True, help="URLs, instead of ALERTMANAGER_URLS.")
    ] = None,
    prometheus: Annotated[
        list[str] | None, Parameter(negative="", consume_multiple=True, help="URLs, instead of PROMETHEUS_URLS.")
    ] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Say what would be done, and change nothing.")] = False,
) -> int:
    """Ask twice, compare, and print the result; exit code 1 if an origin did not answer.

    Raises: ConfigurationError where there is no origin, or a URL is wrong.
    """
    settings = load_settings(os.environ)
    origins = _origins(settings, alertmanager, prometheus)
    rounds, report = asyncio.run(_reconcile(settings, origins, is_dry_run=dry_run))
    _print(report, is_dry_run=dry_run)
    faults = {source: fault for round_ in rounds for source, fault in round_.faults.items()}
    _print_hindrances(rounds[-1], report)
    for source, fault in sorted(faults.items()):
        print_error(f"{source}: {fault}")
    return int(bool(faults))


def _origins(settings: Settings, alertmanagers: list[str] | None, prometheuses: list[str] | None) -> Origins:
    if alertmanagers is None and prometheuses is None:
        origins = Origins.read(revealed(settings.alertmanager_urls), revealed(settings.prometheus_urls))
    else:
        try:
            origins = Origins.read(*(",".join(urls) if urls else None for urls in (alertmanagers, prometheuses)))
        except ValueError as error:
            raise ConfigurationError([str(error)]) from None
    if origins.is_empty:
        advice = "give --alertmanager or --prometheus, or set ALERTMANAGER_URLS or PROMETHEUS_URLS"
        raise ConfigurationError([f"nobody is to be asked: {advice}"])
    return origins


async def _reconcile(settings: Settings, origins: Origins, *, is_dry_run: bool) -> tuple[list[Round], Report]:
    router = None if is_dry_run else await look_for_router(settings)
    async with using_store(settings, router=router, rules=rules_of(settings)) as store:
        await require(store, settings)
        await KnownWitnesses(store.recorder, store.settings).refresh(is_writing=False)
        store.recorder.take_up_witnesses(store.recorder.witnesses.merged(origins.witnesses()))
        async with aclosing(Asking(origins, clock=utc_now, is_publishing=settings.reconcile_publishes)) as asking:
            rounds = [await asking.ask(store.recorder.witnesses)]
            error_console().print(f"asked; asking again in {_PAUSE_SECONDS:g} s", highlight=False)
            await asyncio.sleep(_PAUSE_SECONDS)  # an alert ends when an origin lacks it twice
            rounds.append(await asking.ask(store.recorder.witnesses))
        comparing = Comparing(store.reconciling, store.recorder, clock=utc_now, rules=rules_of(settings))
        report = await comparing.compare(rounds, is_dry_run=is_dry_run)
        if not is_dry_run:
            await KnownWitnesses(store.recorder, store.settings).refresh()
        return rounds, report


def _print(report: Report, *, is_dry_run: bool) -> None:
    if report.corrections:
        table = Table("says so", "what", "alert", "id", "why", title_justify="left", show_edge=False)
        for correction in report.corrections[:_MOST_SHOWN]:
            table.add_row(*map(cell, _row(correction)))
        output_console().print(table)
    made = "would be corrected" if is_dry_run else "corrected"
    kinds = [correction.kind for correction in report.corrections]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing"
    print_line(f"{report.open} open occurrences compared; {made}: {counts}")


def _row(correction: Correction) -> Sequence[str]:
    return (correction.source, correction.kind, correction.alert, correction.occurrence_id, correction.reason)


def _print_hindrances(round_: Round, report: Report) -> None:
    """Print which origins could not correct history, and why."""
    for listing in round_.listings:
        reasons = dict.fromkeys([listing.asked.no_end, listing.asked.no_opening])
        for reason in reasons:
            if reason is not None:
                print_line(f"{listing.asked.source} corrects nothing: {reason}")
        for reason in dict.fromkeys(listing.refused):
            print_line(f"{listing.asked.source}: an alert can't be kept: {reason}")
    if report.strange:
        print_line(f"{report.strange} open occurrences were not compared: nobody who was asked is known to claim them")

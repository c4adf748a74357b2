"""`alert-history why`: who was notified of an alert, who was not, and why."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Annotated

from cyclopts import Parameter

from alert_history.bootstrap import utc_now
from alert_history.bootstrap_statistics import make_explaining
from alert_history.cli.console import print_line
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.engine.history import Moved
from alert_history.engine.united_history import with_archive
from alert_history.engine.why import ReceiverWhy, WhyAnswer, WhyStep, utc_text

_MOST_MOVES = 8
_MOST_NAMES = 12


def why(
    id_: Annotated[str, Parameter(name="id", help="The id of an occurrence, as history and pages show it.")],
    /,
    *,
    target: Annotated[
        str | None, Parameter(help="Only what concerns this target, or receiver of Alertmanager.")
    ] = None,
) -> None:
    """Print the sentence and the steps. Raises: ConfigurationError, NotFound, StorageUnavailable, QueryTimeout."""
    answer = asyncio.run(_answer(load_settings(os.environ), id_, target))
    print_line(answer.sentence)
    for step in answer.steps:
        print_line(_words(step))
    if not answer.is_complete:
        print_line("Older steps are left out.")
    for line in _receiver_lines(answer.receivers, is_asked=target is not None):
        print_line(line)


async def _answer(settings: Settings, occurrence_id: str, target: str | None) -> WhyAnswer:
    async with using_store(settings) as store:
        await require(store, settings)
        explaining = make_explaining(settings, with_archive(store), whole=store, clock=utc_now)
        answer = await explaining.why(occurrence_id, target=target)
        for _ in range(_MOST_MOVES):
            if not isinstance(answer, Moved):
                break
            answer = await explaining.why(answer.id, target=target)
        assert not isinstance(answer, Moved)  # noqa: S101  # a double is joined to what is no double
        return answer


def _receiver_lines(receivers: Sequence[ReceiverWhy], *, is_asked: bool) -> Iterator[str]:
    """What became of it at the receivers of Alertmanagers; those that no route leads to share a line."""
    if receivers:
        yield ""
        yield "Receivers of Alertmanager:"
    for each in receivers:
        if each.outcome == "not_routed" and not is_asked:
            continue
        yield each.sentence
        yield from (
            f"- {step.text}" if step.at is None else f"- {utc_text(step.at)} {step.text}" for step in each.steps
        )
        yield from (text for text in (each.counterfactual, each.connect) if text)
    others = [each.receiver for each in receivers if each.outcome == "not_routed"]
    if others and not is_asked:
        more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
        yield f"No route leads to {', '.join(others[:_MOST_NAMES])}{more}."


def _words(step: WhyStep) -> str:
    when = "not yet" if step.at is None else utc_text(step.at)
    return f"{when:<23}  {step.event}, {step.step}: {step.text}"

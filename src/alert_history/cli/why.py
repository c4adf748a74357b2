"""`alert-history why`: who was notified of an alert, who was not, and why."""

import asyncio
import os
from typing import Annotated

from cyclopts import Parameter

from alert_history.bootstrap import utc_now
from alert_history.bootstrap_statistics import make_tracing
from alert_history.cli.console import print_line
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.engine.history import Moved
from alert_history.engine.united_history import with_archive
from alert_history.engine.why import Explaining, WhyAnswer, WhyStep, utc_text

_MOST_MOVES = 8


def why(
    id_: Annotated[str, Parameter(name="id", help="The id of an occurrence, as history and pages show it.")],
    /,
    *,
    target: Annotated[str | None, Parameter(help="Only what concerns this target.")] = None,
) -> None:
    """Print the sentence and the steps. Raises: ConfigurationError, NotFound, StorageUnavailable, QueryTimeout."""
    answer = asyncio.run(_answer(load_settings(os.environ), id_, target))
    print_line(answer.sentence)
    for step in answer.steps:
        print_line(_words(step))
    if not answer.is_complete:
        print_line("Older steps are left out.")


async def _answer(settings: Settings, occurrence_id: str, target: str | None) -> WhyAnswer:
    async with using_store(settings) as store:
        await require(store, settings)
        explaining = Explaining(make_tracing(with_archive(store), clock=utc_now), clock=utc_now)
        answer = await explaining.why(occurrence_id, target=target)
        for _ in range(_MOST_MOVES):
            if not isinstance(answer, Moved):
                break
            answer = await explaining.why(answer.id, target=target)
        assert not isinstance(answer, Moved)  # noqa: S101  # a double is joined to what is no double
        return answer


def _words(step: WhyStep) -> str:
    when = "not yet" if step.at is None else utc_text(step.at)
    return f"{when:<23}  {step.event}, {step.step}: {step.text}"

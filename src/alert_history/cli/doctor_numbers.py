"""`alert-history doctor`, of the numbers of the history: whether they agree with it, on a few days."""

from collections.abc import Sequence
from datetime import date, timedelta
from random import Random

from alert_history.cli.finding import Finding
from alert_history.ports import Difference, RollupChecks, RollupSize

_DAYS = 3
_NAME_SHOWN = 60
_REMEDY = "run alert-history rollup --rebuild"


async def examine_numbers(rollups: RollupChecks, *, today: date) -> list[Finding]:
    """Compares the numbers of a few whole days with the occurrences that began on them.

    Which days these are changes from day to day. No findings where no day is whole yet. Where there are no numbers at
    all, there may be a history all the same, and then it is a fault.
    """
    size = await rollups.size()
    if not size.is_counted:
        advice = "the service does it when it runs, as does alert-history rollup --rebuild"
        return [Finding("numbers", "note", "the history is not counted yet", advice)]
    days = sample(size, today)
    findings = [_judge(day, differences) for day in days if (differences := await rollups.differences(day))]
    if findings or not days or size.first_day is None:
        return findings
    return [Finding("numbers", "ok", f"they agree with the history of {', '.join(map(str, days))}")]


def sample(size: RollupSize, today: date) -> list[date]:
    """A few days before today, oldest first, whose occurrences are all still here; the same ones all day long."""
    first = max(size.first_day or today - timedelta(days=_DAYS), size.whole_from or date.min)
    days = [today - timedelta(days=ago) for ago in range(1, (today - first).days + 1)]
    return sorted(Random(today.toordinal()).sample(days, min(_DAYS, len(days))))  # noqa: S311  # no secret


def _judge(day: date, differences: Sequence[Difference]) -> Finding:
    worst = differences[0]
    more = f", and {len(differences) - 1} more rules differ" if len(differences) > 1 else ""
    observation = (
        f"on {day} they tell of {worst.by_numbers:,} × {worst.alertname[:_NAME_SHOWN]}, "
        f"the history of {worst.by_history:,}{more}"
    )
    return Finding("numbers", "fault", observation, _REMEDY)

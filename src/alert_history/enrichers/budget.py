"""The budget: what all replicas together may use in a minute and in a day."""

from collections.abc import Callable
from datetime import datetime, timedelta

from alert_history.errors import Retryable
from alert_history.ports import Spent

TOKENS_A_CASE = 1_500
"""What a case takes, prompt and answer, before anything is known of it."""

_MINUTE_SECONDS = 60


def allowance(*, tokens_a_minute: int, usd_a_day: float) -> Callable[[Spent, Spent, int, datetime], Retryable | None]:
    """Whether another call of so many cases fits into what was used in the last minute and today (UTC)."""

    def refusal(minute: Spent, today: Spent, cases: int, now: datetime) -> Retryable | None:
        if usd_a_day and today.cost_usd >= usd_a_day:
            midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            said = f"the budget of the day, {usd_a_day:g} US dollars, is used up"
            return Retryable(said, after_seconds=(midnight - now).total_seconds())
        if minute.tokens and minute.tokens + cases * TOKENS_A_CASE > tokens_a_minute:
            return Retryable(
                f"the budget of {tokens_a_minute} tokens a minute is used up", after_seconds=_MINUTE_SECONDS
            )
        return None

    return refusal


def unlimited(minute: Spent, today: Spent, cases: int, now: datetime) -> Retryable | None:
    """For who costs nothing."""
    del minute, today, cases, now
    return None

"""How much may be asked: tokens a minute and US dollars a day, of all replicas together.

Decides from what was spent. Must not know who counts, or who waits.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from alert_history.config import Settings
from alert_history.domain.classification import Usage
from alert_history.errors import Retryable
from alert_history.ports import Allowance, Spent

INSTRUCTION_TOKENS = 900
CASE_TOKENS = 700
ANSWER_TOKENS = 350

_MINUTE_SECONDS = 60.0
_MILLION = 1_000_000


def make_allowance(settings: Settings) -> Allowance:
    """The decision by these settings. Rules cost nothing: without LLM_PROXY_URL any call may go."""

    def decide(minute: Spent, today: Spent, cases: int, under_way: Sequence[int], now: datetime) -> Retryable | None:
        if settings.llm_proxy_url is None:
            return None
        for asked in under_way:
            likely = estimated(asked, settings)
            minute, today = _with(minute, likely), _with(today, likely)
        return allowance(minute, today, settings, estimate=estimated(cases, settings), now=now)

    return decide


def allowance(
    spent_minute: Spent, spent_day: Spent, settings: Settings, *, estimate: Usage, now: datetime
) -> Retryable | None:
    """Why a call that is likely to use `estimate` must wait, and how long; None if it need not.

    With nothing spent in the last minute any call may go, so that a low limit slows down and never stops for good.
    """
    budget = settings.llm_daily_budget_usd
    if estimate.cost_usd > 0 and spent_day.cost_usd + estimate.cost_usd > budget:
        reason = f"the budget of {budget:g} USD a day (LLM_DAILY_BUDGET_USD) is spent until midnight UTC"
        return Retryable(reason, after_seconds=_seconds_to_midnight(now))
    limit = settings.llm_max_tokens_per_minute
    over = spent_minute.tokens + estimate.prompt_tokens + estimate.completion_tokens - limit
    if over > 0 and spent_minute.tokens > 0:
        reason = f"the {limit} tokens a minute (LLM_MAX_TOKENS_PER_MINUTE) are used up"
        return Retryable(reason, after_seconds=_seconds_until_free(over, spent_minute.tokens))
    return None


def estimated(cases: int, settings: Settings) -> Usage:
    """What a call with so many cases is likely to use."""
    return priced(INSTRUCTION_TOKENS + cases * CASE_TOKENS, cases * ANSWER_TOKENS, settings)


def priced(prompt_tokens: int, completion_tokens: int, settings: Settings) -> Usage:
    """The usage of these tokens, with their price by LLM_USD_PER_MILLION_TOKENS."""
    prompt_usd, _, completion_usd = settings.llm_usd_per_million_tokens.partition("/")
    cost = (prompt_tokens * float(prompt_usd) + completion_tokens * float(completion_usd)) / _MILLION
    return Usage(prompt_tokens, completion_tokens, cost)


def shares(usage: Usage, count: int) -> list[Usage]:
    """The usage in `count` parts that add up to it again."""
    prompt = _parts(usage.prompt_tokens, count)
    completion = _parts(usage.completion_tokens, count)
    return [Usage(p, c, usage.cost_usd / count) for p, c in zip(prompt, completion, strict=True)]


def _with(spent: Spent, usage: Usage) -> Spent:
    tokens = spent.tokens + usage.prompt_tokens + usage.completion_tokens
    return Spent(spent.calls + 1, tokens, spent.cost_usd + usage.cost_usd)


def _parts(total: int, count: int) -> list[int]:
    each, rest = divmod(total, count)
    return [each + (number < rest) for number in range(count)]


def _seconds_to_midnight(now: datetime) -> float:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - now).total_seconds()


def _seconds_until_free(over: int, used: int) -> float:
    """Seconds until enough tokens are a minute old, if they were used evenly."""
    return max(1.0, _MINUTE_SECONDS * min(1.0, over / used))

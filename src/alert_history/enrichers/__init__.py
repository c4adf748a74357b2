"""Who classifies: the model behind LLM_PROXY_URL, or rules where there is none."""

from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec

from alert_history.config import Settings
from alert_history.enrichers.budget import allowance, unlimited
from alert_history.enrichers.rules import RulesEnricher
from alert_history.errors import Retryable
from alert_history.ports import Clock, Enricher, Spent


def make_enricher(settings: Settings, *, clock: Clock) -> Enricher:
    """The one that the settings ask for; rules if they ask for a model whose client is not installed."""
    if settings.llm_proxy_url is None or llm_fault() is not None:
        return RulesEnricher(clock)
    from alert_history.enrichers.llm import LlmEnricher

    return LlmEnricher(settings, clock=clock)


def llm_fault() -> str | None:
    """Why no model can be asked from this installation; None if one can."""
    if find_spec("openai") is None:
        return "the client is not installed: pip install 'alert-history[llm]'"
    return None


def make_allowance(settings: Settings) -> Callable[[Spent, Spent, int, datetime], Retryable | None]:
    """The budget; rules have none."""
    if settings.llm_proxy_url is None:
        return unlimited
    return allowance(tokens_a_minute=settings.llm_max_tokens_per_minute, usd_a_day=settings.llm_daily_budget_usd)

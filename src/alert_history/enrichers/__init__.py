"""Who says what an alert means: a model behind LLM_PROXY_URL, or rules where there is none."""

from alert_history.config import Settings
from alert_history.enrichers.budget import make_allowance
from alert_history.enrichers.proxy import llm_available
from alert_history.enrichers.rules import RulesEnricher
from alert_history.ports import Clock, Enricher

__all__ = ["llm_available", "make_allowance", "make_enricher"]


def make_enricher(settings: Settings, *, clock: Clock) -> Enricher:
    """The enricher that the settings ask for; rules if they ask for a model whose client is not installed."""
    if settings.llm_proxy_url is None or llm_available() is not None:
        return RulesEnricher(clock)
    from alert_history.enrichers.llm import LlmEnricher

    return LlmEnricher(settings, clock=clock)

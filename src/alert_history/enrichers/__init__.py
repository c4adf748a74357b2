"""Who says what an alert means: a model behind a proxy."""

from alert_history.enrichers.budget import make_allowance
from alert_history.enrichers.proxy import llm_available

__all__ = ["llm_available", "make_allowance"]

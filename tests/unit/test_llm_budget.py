"""The budget: tokens a minute and US dollars a day."""

from datetime import UTC, datetime

import pytest

from alert_history.domain.classification import Usage
from alert_history.enrichers.budget import allowance, estimated, make_allowance, priced, shares
from alert_history.errors import Retryable
from alert_history.ports import Spent
from tests.llm_cases import llm_settings

NOW = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
NOTHING = Spent()
URL = "http://llm.example"


def refusal(minute: Spent = NOTHING, today: Spent = NOTHING, **settings: object) -> Retryable | None:
    made = llm_settings(URL, **settings)
    return allowance(minute, today, made, estimate=priced(800, 200, made), now=NOW)


def wait(retryable: Retryable | None) -> float:
    assert retryable is not None
    assert retryable.after_seconds is not None
    return retryable.after_seconds


def test_within_budget_a_call_may_go() -> None:
    assert refusal(Spent(1, 59_000, 0.1), Spent(9, 500_000, 9.9)) is None


def test_over_the_days_budget_it_waits_until_midnight() -> None:
    assert wait(refusal(today=Spent(9, 1, 9.999))) == 3600


def test_a_budget_of_nothing_lets_nothing_go() -> None:
    assert wait(refusal(llm_daily_budget_usd=0)) == 3600


def test_what_costs_nothing_has_no_days_budget() -> None:
    assert refusal(today=Spent(9, 1, 99.0), llm_usd_per_million_tokens="0/0", llm_daily_budget_usd=0) is None


@pytest.mark.parametrize("used, seconds", [(59_001, 1.0), (59_600, 1.0), (100_000, 24.6), (1_000_000, 56.46)])
def test_over_the_minutes_tokens_it_waits_until_enough_of_them_are_old(used: int, seconds: float) -> None:
    assert wait(refusal(Spent(5, used, 0.0))) == pytest.approx(seconds, abs=0.01)


def test_a_limit_lower_than_one_call_slows_down_and_never_stops() -> None:
    assert refusal(llm_max_tokens_per_minute=1) is None
    assert wait(refusal(Spent(1, 1000, 0.0), llm_max_tokens_per_minute=1)) == 60


def test_the_price_is_that_of_the_settings() -> None:
    assert priced(1_000_000, 100_000, llm_settings(URL)).cost_usd == pytest.approx(3.5)
    assert priced(1_000_000, 1, llm_settings(URL, llm_usd_per_million_tokens="0/0")).cost_usd == 0


def test_more_cases_are_estimated_to_take_more() -> None:
    small, large = estimated(1, llm_settings(URL)), estimated(8, llm_settings(URL))
    assert small.prompt_tokens < large.prompt_tokens < 8 * small.prompt_tokens
    assert small.cost_usd < large.cost_usd


def test_shares_add_up_to_the_whole() -> None:
    parts = shares(Usage(10, 5, 0.3), 3)
    assert [part.prompt_tokens for part in parts] == [4, 3, 3]
    assert sum(part.completion_tokens for part in parts) == 5
    assert sum(part.cost_usd for part in parts) == pytest.approx(0.3)


def test_rules_have_no_budget() -> None:
    decide = make_allowance(llm_settings(URL, llm_proxy_url=None))
    assert decide(Spent(9, 10**9, 10**6), Spent(9, 10**9, 10**6), 500, [500], NOW) is None


def test_a_model_has_one() -> None:
    assert make_allowance(llm_settings(URL))(NOTHING, Spent(9, 1, 10.0), 1, [], NOW) is not None
    assert make_allowance(llm_settings(URL))(NOTHING, Spent(9, 1, 9.9), 1, [], NOW) is None
    assert make_allowance(llm_settings(URL))(NOTHING, Spent(9, 1, 9.9), 1, [8, 8, 8], NOW) is not None
    assert make_allowance(llm_settings(URL))(NOTHING, NOTHING, 1, [60], NOW) is not None

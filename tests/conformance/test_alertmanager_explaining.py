"""Why receivers of Alertmanager were notified or not, read from what a store has of then, on both databases.

Holds: `engine.alertmanager_past`, `engine.alertmanager_explaining`, `engine.why`, `domain.alertmanager.relevance`.
"""

from datetime import datetime, timedelta

import msgspec
import pytest

from alert_history.bootstrap_statistics import make_explaining
from alert_history.config import load_settings
from alert_history.domain.alert import Alert, Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.grant import EVERYBODY, Grant
from alert_history.domain.query import parse_query
from alert_history.engine.caller import set_caller
from alert_history.engine.history import Moved
from alert_history.engine.reaching.store import store_within_reach
from alert_history.engine.why import ReceiverWhy, WhyAnswer
from alert_history.ports import Store, StoredConfiguration
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, id_of, posted, receipt

HOUR = timedelta(hours=1)
DUE = NOW + 30 * SECOND
CONFIGURATION = """
route:
  receiver: chat
  group_by: [alertname]
  routes:
    - matchers: [severity="critical"]
      receiver: pager
receivers:
  - name: chat
    slack_configs: [{channel: x, api_url: http://slack.example.com/}]
  - name: pager
    pagerduty_configs: [{routing_key: x}]
inhibit_rules:
  - source_matchers: [alertname="NodeDown"]
    target_matchers: [severity="critical"]
    equal: [node]
"""


async def _configured(store: Store, *, since: datetime = NOW - HOUR, seen_at: datetime = NOW + 3 * HOUR) -> None:
    facts: dict[str, object] = {"versionInfo": {"version": "0.25.0"}}
    await store.configurations.keep([StoredConfiguration("eu", since, since, CONFIGURATION, facts)])
    await store.configurations.keep([StoredConfiguration("eu", seen_at, seen_at, CONFIGURATION, facts)])


def _fires(alertname: str = "DiskFull", *, node: str = "a", **labels: str) -> Alert:
    return alert(alertname, starts_at=NOW, labels={"node": node, **labels})


async def _happened(store: Store, of: Alert, *, at: datetime = NOW, over: datetime | None = None) -> None:
    await store.recorder.commit([posted(of, client="p", at=at)])
    if over is not None:
        ended = msgspec.structs.replace(of, status="resolved", ends_at=over, expires_at=None)
        await store.recorder.commit([posted(ended, client="p", at=over)])


async def _why(store: Store, of: Alert, *, now: datetime = NOW + 2 * HOUR) -> WhyAnswer:
    explaining = make_explaining(load_settings({}), store_within_reach(store), whole=store, clock=lambda: now)
    answer = await explaining.why(id_of(of))
    assert not isinstance(answer, Moved)
    return answer


async def _pager(store: Store, of: Alert, *, now: datetime = NOW + 2 * HOUR) -> ReceiverWhy:
    answer = await _why(store, of, now=now)
    return next(each for each in answer.receivers if each.receiver == "pager")


async def test_an_answer_goes_by_the_configuration_of_then(store: Store) -> None:
    await _configured(store)
    other = CONFIGURATION.replace("severity=", "team=")
    await store.configurations.keep([StoredConfiguration("eu", NOW + 4 * HOUR, NOW + 4 * HOUR, other, {})])
    await _happened(store, _fires(), over=NOW + HOUR)
    pager, chat = (await _why(store, _fires(), now=NOW + 9 * HOUR)).receivers
    assert (pager.receiver, pager.outcome, pager.basis, pager.at) == ("pager", "notified", "follows", DUE)
    assert (chat.receiver, chat.outcome) == ("chat", "not_routed")


async def test_a_silence_is_named_and_what_would_have_been_without_it(store: Store) -> None:
    await _configured(store)
    matchers = [[{"name": "node", "op": "=", "value": "a"}]]
    silence = Silence("7c1f0000-1", matchers, NOW - MINUTE, NOW + 2 * HOUR, NOW - MINUTE, "ada", "disk swap")
    await store.silence_versions.keep([SilenceVersion(silence, "eu", NOW)])
    await _happened(store, _fires(), over=NOW + HOUR)
    pager = await _pager(store, _fires())
    assert (pager.outcome, pager.basis, pager.until) == ("silenced", "follows", NOW + 2 * HOUR)
    assert "silence 7c1f0000 by ada until 2026-03-04 14:00:00 UTC (“disk swap”) muted it" in pager.sentence
    assert pager.counterfactual == ("Without silence 7c1f0000 it would have gone to pager at 2026-03-04 12:00:30 UTC.")


@pytest.mark.parametrize("began", [-MINUTE, 10 * SECOND, -48 * HOUR], ids=["before", "after", "long before"])
async def test_an_inhibiting_alert_is_found_whenever_it_began(store: Store, began: timedelta) -> None:
    await _configured(store)
    source = msgspec.structs.replace(_fires("NodeDown", severity="warning"), starts_at=NOW + began)
    await _happened(store, source, at=NOW + began, over=NOW + 90 * MINUTE)
    await _happened(store, _fires(), over=NOW + HOUR)
    pager = await _pager(store, _fires())
    assert pager.outcome == "inhibited"
    assert 'NodeDown{namespace="shop", node="a", severity="warning"}' in pager.sentence
    assert 'alertname="NodeDown" mutes severity="critical" where node is equal' in pager.sentence
    assert pager.until == NOW + 90 * MINUTE


async def test_who_may_not_see_an_inhibiting_alert_is_not_told_which_one_it_is(store: Store) -> None:
    await _configured(store)
    await _happened(store, _fires("NodeDown", severity="warning", team="search"), at=NOW - MINUTE, over=NOW + 2 * HOUR)
    await _happened(store, _fires(team="own"), over=NOW + HOUR)
    set_caller(Grant(reach=parse_query('{team="own"}')))
    try:
        answer = await _why(store, _fires(team="own"))
    finally:
        set_caller(EVERYBODY)
    (pager,) = answer.receivers
    assert pager.outcome == "inhibited"
    assert "another alert that you may not see" in pager.sentence
    assert not any(word in msgspec.json.encode(answer).decode() for word in ("NodeDown", "search", "chat"))


async def test_in_a_group_that_is_older_than_a_day_the_time_is_the_latest(store: Store) -> None:
    await _configured(store)
    old = msgspec.structs.replace(_fires(node="b"), starts_at=NOW - 48 * HOUR)
    await _happened(store, old, at=NOW - 48 * HOUR)
    await _happened(store, _fires())
    pager = await _pager(store, _fires())
    assert (pager.outcome, pager.at) == ("notified", NOW + 5 * MINUTE)
    assert "was notified (pagerduty) by 2026-03-04 12:05:00 UTC" in pager.sentence


async def test_a_group_that_is_there_is_due_by_its_own_clock(store: Store) -> None:
    await _configured(store)
    first = msgspec.structs.replace(_fires(node="b"), starts_at=NOW - 7 * MINUTE)
    await _happened(store, first, at=NOW - 7 * MINUTE, over=NOW - MINUTE)
    await _happened(store, _fires())
    assert (await _pager(store, _fires())).at == NOW + 3 * MINUTE + 30 * SECOND


async def test_what_fires_still_waits_for_its_group(store: Store) -> None:
    await _configured(store)
    await _happened(store, _fires())
    pager = await _pager(store, _fires(), now=NOW + 10 * SECOND)
    assert (pager.outcome, pager.until) == ("waiting", DUE)


async def test_while_its_alertmanager_did_not_answer_it_is_not_known(store: Store) -> None:
    await _configured(store, seen_at=NOW - 30 * MINUTE)
    await _happened(store, _fires(), over=NOW + HOUR)
    pager = await _pager(store, _fires())
    assert (pager.outcome, pager.basis) == ("unreachable", "unknown")


async def test_before_its_configuration_was_known_only_its_webhooks_speak(store: Store) -> None:
    await _configured(store, since=NOW + HOUR)
    await store.recorder.commit([receipt(_fires(), at=NOW + MINUTE)])
    known, rest = (await _why(store, _fires())).receivers
    assert (known.receiver, known.outcome, known.basis) == ("team-x", "notified", "known")
    assert "Alert History knows its configuration only since 2026-03-04 13:00:00 UTC" in rest.sentence

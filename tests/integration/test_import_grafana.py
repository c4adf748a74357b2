"""Grafana's API, asked over HTTP: windows, limits, rules, who it is; and that its webhook's alerts are the same here.

Holds: `origins.imports.grafana`, `origins.imports.grafana_walk`, `origins.imports.grafana_rules`.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.past_firing import PastFiring
from alert_history.domain.speaker import grafana_scope, scoped, speaker_of
from alert_history.errors import ImportFault, OriginUnavailable
from alert_history.origins.imports import grafana_walk
from alert_history.origins.imports.grafana import read
from alert_history.origins.imports.registry import find_origin
from alert_history.ports.past_origins import ImportRequest, PastBatch
from alert_history.sources.alertmanager import decode_sound
from tests.vendors.grafana import TOKEN, URL, Grafana, Rule, webhook
from tests.vendors.server import VendorServer, replies, serving

NOW = datetime(2026, 11, 1, tzinfo=UTC)
AT_MS = 1_790_000_000_000
MINUTE_MS = 60_000
HIGH = Rule(7, "uid-high", "High")
ROUTED = Rule(8, "uid-routed", "Routed", receiver="team-web")
HISTORIES = ("annotations", "loki")


def at(minute: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=AT_MS, minutes=minute)


@pytest.fixture
def grafana() -> Grafana:
    return Grafana([HIGH, ROUTED])


@pytest.fixture
async def server(grafana: Grafana) -> AsyncIterator[VendorServer]:
    async with serving(grafana) as running:
        yield running


async def batches(
    server: VendorServer, *, start: datetime | None = None, end: datetime | None = None, **options: str
) -> list[PastBatch]:
    given = {"url": server.url, "token": TOKEN} | {name.replace("_", "-"): text for name, text in options.items()}
    request = ImportRequest({name: (text,) for name, text in given.items()}, NOW, start=start, end=end)
    return [batch async for batch in read(request)]


async def imported(
    server: VendorServer, *, start: datetime | None = None, end: datetime | None = None, **options: str
) -> list[PastFiring]:
    return [each for batch in await batches(server, start=start, end=end, **options) for each in batch.firings]


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("rule", [HIGH, ROUTED], ids=["by the policy", "to its own contact point"])
@pytest.mark.parametrize("scope", ["", "west"])
async def test_a_firing_is_the_one_that_the_webhook_told(
    history: str, rule: Rule, scope: str, grafana: Grafana, server: VendorServer
) -> None:
    grafana.change(rule, AT_MS, "Normal > Alerting", zone="eu")
    grafana.change(rule, AT_MS + MINUTE_MS, "Alerting > Normal", zone="eu")
    group = decode_sound(
        webhook(rule, rule.labels(zone="eu"), starts_at=at(0).isoformat()), received_at=NOW, max_alerts=1
    )
    assert group is not None
    (firing,) = await imported(server, history=history, receiver_scope=scope)
    assert firing.fingerprint == scoped(group.alerts[0].fingerprint, speaker_of(group, scope=scope).scope)
    assert (firing.labels, firing.starts_at) == (group.alerts[0].labels, group.alerts[0].starts_at)
    assert (firing.ends_at, firing.details) == (at(1), {"values": {"B": 22, "C": 1}})
    assert group.alerts[0].generator_url.startswith(firing.generator_url)


@pytest.mark.parametrize("history", HISTORIES)
async def test_more_changes_than_a_call_gives_are_read_in_windows(
    history: str, grafana: Grafana, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 firings of three alerts that change at the same times, where a call gives 20 rows."""
    monkeypatch.setattr(grafana_walk, "LIMIT", 20)
    for minute in range(100):
        for zone in ("a", "b", "c"):
            grafana.change(HIGH, AT_MS + minute * MINUTE_MS, "Normal > Alerting", zone=zone)
            grafana.change(HIGH, AT_MS + minute * MINUTE_MS + 30_000, "Alerting > Normal", zone=zone)
    found = await batches(server, history=history)
    spans = [(each.labels["zone"], each.starts_at, each.ends_at) for batch in found for each in batch.firings]
    assert sorted(spans) == [(zone, at(m), at(m + 0.5)) for zone in ("a", "b", "c") for m in range(100)]
    shares = [batch.done or 0.0 for batch in found]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("history", HISTORIES)
async def test_more_changes_of_one_time_than_a_call_gives_are_asked_for_at_once(
    history: str, grafana: Grafana, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grafana_walk, "LIMIT", 20)
    for zone in range(30):
        grafana.change(HIGH, AT_MS, "Normal > Alerting", zone=str(zone))
    assert len(await imported(server, history=history)) == 30
    monkeypatch.setattr(grafana_walk, "MOST_OF_ONE_TIME", 30)
    with pytest.raises(ImportFault, match="one time"):
        await imported(server, history=history)


@pytest.mark.parametrize("history", HISTORIES)
async def test_only_the_asked_span_is_taken_with_ends_after_it(
    history: str, grafana: Grafana, server: VendorServer
) -> None:
    day = 24 * 60
    for begin, end in ((0, 3 * day), (day, 90), (2 * day, 20 * day), (10 * day, 11 * day)):
        grafana.change(HIGH, AT_MS + begin * MINUTE_MS, "Normal > Alerting", begin=str(begin))
        grafana.change(HIGH, AT_MS + max(end, begin + 1) * MINUTE_MS, "Alerting > Normal", begin=str(begin))
    firings = await imported(server, history=history, start=at(1), end=at(5 * day))
    assert [each.labels["begin"] for each in firings] == [str(day), str(2 * day)]
    assert firings[1].ends_at == at(20 * day)
    last = [request.path for request in server.requests][-1]
    assert f"to={int(NOW.timestamp())}" not in last


async def test_nothing_is_asked_for_beyond_a_span_in_which_all_ended(grafana: Grafana, server: VendorServer) -> None:
    grafana.change(HIGH, AT_MS, "Normal > Alerting")
    grafana.change(HIGH, AT_MS + MINUTE_MS, "Alerting > Normal")
    assert len(await imported(server, start=at(-1), end=at(60))) == 1
    assert sum("/api/annotations" in request.path for request in server.requests) == 1


async def test_a_viewer_s_token_finds_the_rules_another_way(grafana: Grafana, server: VendorServer) -> None:
    grafana.change(HIGH, AT_MS, "Normal > Alerting")
    grafana.hidden = {"/api/v1/provisioning/alert-rules"}
    (firing,) = await imported(server)
    assert firing.identity == HIGH.fingerprint(HIGH.labels())


async def test_rules_that_may_not_be_read_are_said_and_can_be_done_without(
    grafana: Grafana, server: VendorServer
) -> None:
    grafana.change(HIGH, AT_MS, "Normal > Alerting")
    grafana.hidden = {"/api/v1/provisioning/alert-rules", "/api/ruler/grafana/api/v1/rules"}
    with pytest.raises(OriginUnavailable, match="--without-rules"):
        await imported(server)
    (firing,) = await imported(server, without_rules="yes")
    assert (firing.identity, firing.ends_at) == ("", None)


async def test_who_it_is_can_be_named_where_it_does_not_say(grafana: Grafana, server: VendorServer) -> None:
    grafana.change(HIGH, AT_MS, "Normal > Alerting")
    grafana.hidden = {"/api/org", "/api/frontend/settings"}
    with pytest.raises(OriginUnavailable, match="--external-url and --org-id"):
        await imported(server)
    (firing,) = await imported(server, external_url="http://g/", org_id="3")
    assert firing.scope == grafana_scope("", "http://g/", "3")


async def test_what_fires_by_a_rule_that_is_gone_is_over(grafana: Grafana, server: VendorServer) -> None:
    grafana.change(HIGH, AT_MS, "Normal > Alerting")
    grafana.change(Rule(99, "gone", "Gone"), AT_MS, "Normal > Alerting")
    found = {each.labels["alertname"]: each for each in await imported(server)}
    assert (found["High"].ends_at, found["High"].last_seen_at) == (None, NOW)
    assert (found["Gone"].ends_at, found["Gone"].ended_by) == (at(0), "inferred")


async def test_rows_that_make_no_sense_are_refused_and_the_others_taken(grafana: Grafana, server: VendorServer) -> None:
    grafana.change(HIGH, AT_MS, "Normal > Alerting")
    grafana.change(HIGH, AT_MS, "Normal > Burning", zone="eu")
    grafana.annotations[0]["text"] = "no labels"
    grafana.annotations.append({"id": "nine", "time": AT_MS, "timeEnd": AT_MS, "text": 7})
    found = await batches(server)
    assert [each.place for batch in found for each in batch.refused] == [
        "annotation 1",
        "annotation 2",
        "annotation nine",
    ]
    grafana.lines[0][1]["labels"] = 7
    refused = [each for batch in await batches(server, history="loki") for each in batch.refused]
    assert len(refused) == 2


async def test_a_wrong_token_and_another_server_are_said(server: VendorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OriginUnavailable, match="401"):
        await imported(server, token="wrong")  # noqa: S106  # it is wrong

    async def at_once(_: float) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", at_once)
    server.script(replies(503, ""), replies(200, "<html>"))
    with pytest.raises(ImportFault, match="not what was expected"):
        await imported(server)


def test_it_is_found_by_its_name() -> None:
    assert find_origin("grafana").title == "Grafana"
    assert URL.endswith("/")

"""A local server that behaves as Keep does: its events become firings, its audit what people did.

Its answers are those of keephq/keep 0.54.2 (commit af93f550) as its source makes them; Keep itself was not run.
Holds: `origins.imports.keep`, `origins.imports.keep_firings`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from alert_history.domain.alert import fingerprint
from alert_history.errors import ImportFault, OriginUnavailable
from alert_history.origins.imports import keep as origin
from alert_history.origins.imports.registry import find_origin
from tests.reading_past import Past, at, read_past
from tests.vendors.server import Reply, Request, json_reply, replies, serving

KEEP = find_origin("keep")
KEY = "s3cr3t-key"  # of nothing
PAYLOADS = Path(__file__).parents[1] / "data" / "alertmanager-0.25"
ZERO = "0001-01-01T00:00:00Z"


class Keep:
    """As much of Keep as is asked. `events` are by fingerprint, the oldest first; Keep gives the newest first."""

    def __init__(self, events: Mapping[str, list[Any]], audit: Mapping[str, list[Any]] | None = None) -> None:
        self.events = dict(events)
        self.audit = dict(audit or {})
        self.knows_queries = True
        self.limit = 50_000

    def answer(self, request: Request) -> Reply:
        if request.headers.get("x-api-key") != KEY:
            return json_reply(401, {"detail": f"Invalid API Key: {request.headers.get('x-api-key')}"})
        path, _, parameters = request.path.partition("?")
        if path == "/alerts/query":
            return self._query(request) if self.knows_queries else json_reply(405, {"detail": "Method Not Allowed"})
        if path == "/alerts" and parameters.startswith("limit="):
            return json_reply(200, self._newest()[: int(parameters.removeprefix("limit="))])
        _, _, name, what = path.split("/")
        if what == "history":
            return json_reply(200, self.events.get(unquote(name), [])[::-1])
        entries = self.audit.get(unquote(name))
        return json_reply(200, entries) if entries else json_reply(404, {"detail": "Alert not found"})

    def _query(self, request: Request) -> Reply:
        query = request.json()
        assert query["sort_options"] == [{"sort_by": "fingerprint", "sort_dir": "asc"}]
        first, number = query["offset"], query["limit"]
        results = self._newest()[: self.limit][first : first + number]
        return json_reply(200, {"limit": number, "offset": first, "count": len(self.events), "results": results})

    def _newest(self) -> list[Any]:
        return [events[-1] for _, events in sorted(self.events.items())]


def event(alert: dict[str, Any], *, received: datetime) -> dict[str, Any]:
    """What Keep's provider for Prometheus makes of an alert that Alertmanager sent."""
    labels = {name.lower(): value for name, value in alert["labels"].items()}
    annotations = dict(alert["annotations"])
    description = annotations.pop("description", None) or annotations.get("summary", labels["alertname"])
    return {
        "id": labels["alertname"],
        "name": labels["alertname"],
        "description": description,
        "status": alert["status"],
        "service": labels.get("service"),
        "lastReceived": received.isoformat(),
        "environment": labels.pop("environment", "unknown"),
        "severity": labels["severity"],
        "source": ["prometheus"],
        "labels": labels,
        "annotations": annotations,
        "fingerprint": alert["fingerprint"],
        "startsAt": alert["startsAt"],
        "endsAt": alert["endsAt"],
        "generatorURL": alert["generatorURL"],
        "firingCounter": 1,
        "incident": None,
        "enriched_fields": [],
        "event_id": "9c5f5a53-0000-4000-8000-000000000000",
    }


def plain(name: str, status: str, *, received: str, **more: Any) -> dict[str, Any]:
    """An event that another sender posted."""
    document = {"name": name, "status": status, "severity": "high", "lastReceived": f"2026-02-14T{received}.000Z"}
    return {"id": name, "fingerprint": name, "environment": "production", "source": ["uptime"], **document, **more}


def entry(action: str, *, clock: str, description: str = "", by: str = "ada@example.org") -> dict[str, Any]:
    """One entry of the audit."""
    place = {"id": f"{action} {clock}", "timestamp": f"2026-02-14T{clock}.123456", "fingerprint": "Backup"}
    return {**place, "action": action, "user_id": by, "description": description, "mentions": None}


async def read(keep: Keep, **more: str) -> Past:
    async with serving(keep) as server:
        return await read_past(KEEP, {"url": server.url, "api-key": KEY, **more})


def sent() -> list[dict[str, Any]]:
    """Alerts that a real Alertmanager sent, the oldest first."""
    names = (
        "firing-group-of-three",
        "firing-two-instances",
        "firing-unicode-and-markup",
        "partly-resolved",
        "resolved",
    )
    files = [msgspec.json.decode((PAYLOADS / f"{name}.json").read_bytes()) for name in names]
    return [alert for file in files for alert in file["alerts"]]


async def test_labels_times_and_texts_are_those_that_alertmanager_had_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "_ALERTS_A_PAGE", 2)
    monkeypatch.setattr(origin, "_AT_ONCE", 1)
    events: dict[str, list[Any]] = {}
    for alert in sent():
        received = datetime.fromisoformat(alert["startsAt"]) + timedelta(seconds=10)
        events.setdefault(alert["fingerprint"], []).append(event(alert, received=received))
    past = await read(Keep(events))
    assert past.refused == []
    assert len(past.done) == len(events) > 5
    firings = {(firing.fingerprint, firing.starts_at): firing for firing in past.firings}
    for alert in {alert["fingerprint"]: alert for alert in sent()}.values():
        firing = firings[alert["fingerprint"], datetime.fromisoformat(alert["startsAt"])]
        assert firing.labels == alert["labels"]
        assert set(alert["annotations"].values()) == set(firing.annotations.values())
        assert firing.generator_url == alert["generatorURL"]
        is_over = alert["status"] == "resolved"
        assert firing.ends_at == (datetime.fromisoformat(alert["endsAt"]) if is_over else None)


async def test_the_fingerprint_tells_whether_the_environment_was_a_label() -> None:
    alert = sent()[0]
    with_it = {**alert, "labels": {**alert["labels"], "environment": "staging"}}
    with_it["fingerprint"] = fingerprint(with_it["labels"])
    without = event(alert, received=at("14 10:00:00"))
    without["environment"] = "set by a mapping rule"
    events = {each["fingerprint"]: [each] for each in (without, event(with_it, received=at("14 10:00:00")))}
    past = await read(Keep(events))
    assert {firing.fingerprint for firing in past.firings} == set(events)


async def test_events_of_another_sender_are_firings_by_when_they_were_received() -> None:
    events = [
        plain(
            "Backup", "firing", received="10:00:00", labels={"disk": "sda", "full": True, "nested": {}, "none": None}
        ),
        plain("Backup", "acknowledged", received="10:05:00", labels={"disk": "sda", "full": True}, service="db"),
        plain("Backup", "pending", received="10:06:00", labels={"disk": "sda", "full": True}),
        plain("Backup", "resolved", received="10:30:00", labels={"disk": "sda", "full": True}),
        plain("Backup", "firing", received="12:00:00", labels={"disk": "sda", "full": True}, description="again"),
        plain("Backup", "suppressed", received="12:10:00", labels={"disk": "sda", "full": True}, message="late"),
    ]
    past = await read(Keep({"Backup": [{**each, "service": None} for each in events]}))
    first, second = past.of("Backup")
    assert (
        first.labels
        == second.labels
        == {
            "alertname": "Backup",
            "severity": "high",
            "environment": "production",
            "source": "uptime",
            "disk": "sda",
            "full": "true",
        }
    )
    assert (first.starts_at, first.ends_at, first.ended_by) == (at("14 10:00:00"), at("14 10:30:00"), "resolved")
    assert (second.starts_at, second.ends_at) == (at("14 12:00:00"), None)
    assert (second.last_seen_at, second.repeats, second.annotations) == (at("14 12:10:00"), 1, {"message": "late"})


async def test_an_end_set_by_hand_is_a_guess_and_a_missing_end_too() -> None:
    alert = {**sent()[0], "startsAt": "2026-02-14T09:00:00Z", "endsAt": ZERO, "status": "firing"}
    first, again = event(alert, received=at("14 09:10:00")), event(alert, received=at("14 11:10:00"))
    again |= {"startsAt": "2026-02-14T11:00:00Z", "status": "resolved", "enriched_fields": ["status"]}
    newest = {**event(alert, received=at("14 13:10:00")), "startsAt": "2026-02-14T13:00:00Z"}
    past = await read(
        Keep({alert["fingerprint"]: [first, again, newest, {**newest, "startsAt": "2026-02-14T15:00:00Z"}]})
    )
    spans = [
        (f"{each.starts_at:%H:%M}", each.ends_at and f"{each.ends_at:%H:%M}", each.ended_by) for each in past.firings
    ]
    assert spans == [
        ("09:00", "11:10", "inferred"),
        ("13:00", "13:10", "inferred"),
        ("15:00", None, "resolved"),
    ]


async def test_what_people_did_comes_with_the_firing() -> None:
    events = [
        plain("Backup", status, received=clock) for status, clock in (("firing", "10:00:00"), ("resolved", "11:00:00"))
    ]
    audit = [
        entry(
            "a comment was added to the alert",
            clock="11:30:00",
            description="Comment added by ada@example.org - all - well",
        ),
        entry(
            "alert manually resolved",
            clock="10:50:00",
            description="Alert status was changed to resolved by bob",
            by="bob",
        ),
        entry(
            "alert status manually changed", clock="10:40:00", description="Alert status was changed to firing by ada"
        ),
        entry(
            "alert status manually changed",
            clock="10:30:00",
            description="Alert status was changed to acknowledged by a",
        ),
        entry("alert was deduplicated", clock="10:20:00", by="system"),
        entry("alert acknowledged", clock="10:10:00", description="Alert assigned to ada"),
        entry("alert was triggered", clock="10:00:00", by="system"),
    ]
    (firing,) = (await read(Keep({"Backup": events}, {"Backup": audit}))).firings
    assert [(f"{act.at:%H:%M}", act.kind, act.by) for act in firing.acts] == [
        ("10:10", "acknowledged", "ada@example.org"),
        ("10:30", "acknowledged", "ada@example.org"),
        ("10:40", "unacknowledged", "ada@example.org"),
        ("10:50", "resolved", "bob"),
        ("11:30", "noted", "ada@example.org"),
    ]
    assert firing.acts[-1].text == "all - well"
    assert firing.acts[-1].id == audit[0]["id"]


async def test_a_bad_row_is_refused_and_its_neighbours_go_on() -> None:
    events: dict[str, list[Any]] = {
        "a": [plain("a", "firing", received="10:00:00"), {"name": "a"}, plain("a", "resolved", received="11:00:00")],
        "b": [plain("b", "lost", received="10:00:00"), plain("b", "resolved", received="11:00:00")],
        "c": [{**plain("c", "firing", received="10:00:00"), "lastReceived": "soon"}],
        "d/e f": [plain("d/e f", "firing", received="10:00:00")],
        "z": ["no object"],
    }
    audit = {"a": [{"id": 1}, entry("alert acknowledged", clock="10:10:00")]}
    past = await read(Keep(events, audit))
    assert [firing.labels["alertname"] for firing in past.firings] == ["a", "d/e f"]
    assert len(past.firings[0].acts) == 1
    assert [row.place for row in past.refused] == [
        "alert a",
        "alert a, its audit",
        "alert b",
        "alert b",
        "alert c",
        "an alert without a fingerprint",
    ]
    assert "does not tell the beginning" in past.refused[3].reason
    assert past.refused[0].raw == b'{"name":"a"}'


async def test_what_keep_does_not_give_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "_EVENTS_OF_KEEP", 2)
    twice = [plain("a", "firing", received="10:00:00"), plain("a", "firing", received="11:00:00")]
    others = {name: [plain(name, "firing", received="10:00:00")] for name in ("b", "c")}
    keep = Keep({"a": twice, **others})
    keep.limit = 2
    past = await read(keep)
    assert [row.reason for row in past.refused] == [
        "Keep tells only the newest 2 events of an alert",
        "Keep lists 2 of 3 alerts; raise its KEEP_LAST_ALERTS_LIMIT",
    ]


async def test_an_older_keep_that_knows_no_query_is_asked_for_its_list() -> None:
    keep = Keep({name: [plain(name, "firing", received="10:00:00")] for name in ("a", "b")})
    keep.knows_queries = False
    past = await read(keep)
    assert {firing.labels["alertname"] for firing in past.firings} == {"a", "b"}


async def test_a_busy_keep_is_asked_again() -> None:
    async with serving(Keep({"a": [plain("a", "firing", received="10:00:00")]})) as server:
        server.script(replies(429, "slow down", retry_after="0"), replies(503, "starting", retry_after="0"))
        past = await read_past(KEEP, {"url": server.url, "api-key": KEY})
    assert len(past.firings) == 1
    assert [request.path for request in server.requests[:3]] == ["/alerts/query"] * 3


async def test_only_firings_of_the_span_are_taken() -> None:
    names = {"a": "10:00:00", "b": "11:00:00", "c": "12:00:00"}
    async with serving(
        Keep({name: [plain(name, "firing", received=clock)] for name, clock in names.items()})
    ) as server:
        given = {"url": server.url, "api-key": KEY}
        past = await read_past(KEEP, given, start=at("14 11:00:00"), end=at("14 12:00:00"))
    assert [firing.labels["alertname"] for firing in past.firings] == ["b"]


async def test_a_refusal_is_said_without_the_key() -> None:
    keep = Keep({"a": [plain("a", "firing", received="10:00:00")]})
    with pytest.raises(OriginUnavailable, match=r"/alerts/query: it answers 401: .*Invalid API Key: \*\*\*") as caught:
        await read(keep, **{"api-key": "wr0ng-key"})
    assert "wr0ng-key" not in str(caught.value)
    async with serving(keep) as server:
        server.script(replies(200, "<html>a page of login</html>"))
        with pytest.raises(ImportFault, match="/alerts/query: the answer is not what was expected"):
            await read_past(KEEP, {"url": server.url, "api-key": KEY})

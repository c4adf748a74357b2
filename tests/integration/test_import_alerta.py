"""A real Alerta from PyPI on a real PostgreSQL: what its API and its database tell is what Alertmanager had sent.

Holds: `origins.imports.alerta`, `origins.imports.alerta_wire`.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

import asyncpg
import httpx
import msgspec
import pytest
from bench.alerta import alerta_server, install_alerta

from alert_history.domain.alert import fingerprint
from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ConfigurationError, ImportFault, OriginUnavailable
from alert_history.origins.imports import alerta as origin
from alert_history.origins.imports.registry import find_origin
from tests import payloads
from tests.commands import run
from tests.reading_past import Past, read_past
from tests.servers import PostgresServer
from tests.vendors.server import Reply, Request, json_reply, serving

ALERTA = find_origin("alerta")
PAYLOADS = Path(__file__).parents[1] / "data" / "alertmanager-0.25"
FILES = ("firing-group-of-three", "firing-two-instances", "firing-unicode-and-markup", "partly-resolved", "resolved")
KEY = "s3cr3t-key"  # of nothing
SETTINGS = "AUTH_REQUIRED = True\n"
ADD_KEY = f"""INSERT INTO keys (id, key, "user", scopes, text, expire_time, count)
    VALUES ('1', '{KEY}', 'ada@example.org', '{{read,write,admin}}', '', '2099-01-01', 0)"""
STARTED_AT = datetime.now(UTC).replace(microsecond=123_000) - timedelta(hours=3)


class Fed(NamedTuple):
    """An Alerta that was sent alerts, and on which people acted."""

    url: str
    database: str

    def api(self) -> dict[str, str]:
        return {"url": self.url, "api-key": KEY}

    def tables(self) -> dict[str, str]:
        return {"database": self.database}


class Client:
    """Sends to an Alerta as Alertmanager and as a person."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Key {KEY}"}, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        content = document if isinstance(document, bytes) else msgspec.json.encode(document)
        headers = {"Content-Type": "application/json"}
        answer = self._client.request(method, path, content=content, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def send(self, *alerts: dict[str, Any]) -> None:
        self.ask("POST", "/webhooks/prometheus", payloads.webhook(*alerts))

    def act(self, event: str, action: str, text: str = "") -> None:
        self.ask("PUT", f"/alert/{self.id_of(event)}/action", {"action": action, "text": text})

    def note(self, event: str, text: str) -> str:
        note_id: str = self.ask("PUT", f"/alert/{self.id_of(event)}/note", {"text": text})["id"]
        return note_id

    def id_of(self, event: str) -> str:
        (alert,) = self._client.get("/alerts", params={"event": event}).json()["alerts"]
        alert_id: str = alert["id"]
        return alert_id


def sent(alertname: str, *, minutes: int = 0, lasts: int | None = None, **labels: str) -> dict[str, Any]:
    """An alert that began so many minutes after the first, and is over where it is said how long it lasted."""
    all_labels = {"alertname": alertname, "instance": "db-1:9100", "severity": "critical", "empty": "", **labels}
    starts_at = STARTED_AT + timedelta(minutes=minutes)
    ends_at = "0001-01-01T00:00:00Z" if lasts is None else (starts_at + timedelta(minutes=lasts)).isoformat()
    return {
        "status": "firing" if lasts is None else "resolved",
        "labels": all_labels,
        "annotations": {"summary": "{{ literal }} <b>満</b>", "value": "93"},
        "startsAt": starts_at.isoformat(),
        "endsAt": ends_at,
        "generatorURL": "http://prometheus/g",
        "fingerprint": fingerprint({name: value for name, value in all_labels.items() if value}),
    }


def feed(alerta: Client) -> None:
    """Alerts as Alertmanager really sent them, and some more, on which a person acts."""
    for name in FILES:
        alerta.ask("POST", "/webhooks/prometheus", (PAYLOADS / f"{name}.json").read_bytes())
    alerta.send(sent("Taken"))
    alerta.act("Taken", "ack", "I look at it")
    alerta.note("Taken", "disk was\nfull <b>")
    alerta.ask("DELETE", f"/alert/{alerta.id_of('Taken')}/note/{alerta.note('Taken', 'wrong alert')}")
    alerta.act("Taken", "unack", "not mine")
    alerta.act("Taken", "shelve", "until noon")
    alerta.send(sent("ClosedByHand"))
    alerta.act("ClosedByHand", "close", "fixed")
    alerta.send(sent("ClosedByHand"))
    alerta.send(sent("Flapping"))
    alerta.send(sent("Flapping", lasts=5))
    alerta.send(sent("Flapping", minutes=60))
    alerta.send(sent("Flapping", minutes=60))
    alerta.send(sent("Growing", severity="warning"))
    alerta.send(sent("Growing", minutes=30, severity="critical"))
    alerta.send(sent("OnlyItsEnd", lasts=7))
    alerta.send(sent("ManyLabels", environment="Development", service="shop,web", job="node", exported_instance="x"))
    backup: dict[str, Any] = {
        "resource": "db-1",
        "event": "BackupFailed",
        "environment": "Production",
        "severity": "major",
    }
    backup |= {
        "service": ["backup"],
        "text": "no space",
        "value": "3",
        "tags": ["night"],
        "attributes": {"region": "eu"},
    }
    alerta.ask("POST", "/alert", backup)
    alerta.ask("POST", "/alert", {**backup, "event": "AllIsWell", "severity": "normal"})


@pytest.fixture(scope="module")
def fed(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fed]:
    folder = tmp_path_factory.mktemp("alerta")
    try:
        python = install_alerta(folder / "environment")
    except subprocess.CalledProcessError:
        if os.environ.get("CI", "").lower() == "true":
            raise
        pytest.skip("Alerta can't be installed: no package index answers")
    database = postgres_server.create_database()
    with ExitStack() as stack:
        server = stack.enter_context(alerta_server(python, database, folder=folder / "run", settings=SETTINGS))
        stack.callback(postgres_server.drop_database, database)
        subprocess.run([postgres_server.psql, database, "-qX", "-c", ADD_KEY], check=True, timeout=60)
        with Client(server.url) as client:
            feed(client)
        yield Fed(server.url, database)


async def read(given: dict[str, str]) -> Past:
    return await read_past(ALERTA, given, now=datetime.now(UTC))


async def test_both_ways_bring_the_same(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "_ALERTS_A_PAGE", 3)
    by_api, by_tables = await read(fed.api()), await read(fed.tables())
    assert len(by_api.done) > 3
    assert by_api.done[-1] == by_tables.done[-1] == 1
    assert ordered(by_api.firings) == ordered(by_tables.firings)
    assert by_api.refused == by_tables.refused == []


def ordered(firings: list[PastFiring]) -> list[PastFiring]:
    return sorted(firings, key=lambda firing: (firing.place, firing.starts_at))


async def test_labels_times_and_texts_are_those_that_alertmanager_had_sent(fed: Fed) -> None:
    past = await read(fed.api())
    firings = {(firing.fingerprint, firing.starts_at): firing for firing in past.firings}
    last = {}
    for name in FILES:
        for alert in msgspec.json.decode((PAYLOADS / f"{name}.json").read_bytes())["alerts"]:
            last[alert["fingerprint"]] = alert
    assert len(last) > 5
    for alert in last.values():
        firing = firings[alert["fingerprint"], datetime.fromisoformat(alert["startsAt"])]
        assert firing.labels == alert["labels"]
        assert firing.annotations == alert["annotations"]
        assert firing.generator_url == alert["generatorURL"]
        is_over = alert["status"] == "resolved"
        assert firing.ends_at == (datetime.fromisoformat(alert["endsAt"]) if is_over else None)


async def test_what_people_did_comes_with_the_firing(fed: Fed) -> None:
    (taken,) = (await read(fed.tables())).of("Taken")
    assert [(act.kind, act.by, act.text) for act in taken.acts] == [
        ("acknowledged", "ada@example.org", "I look at it"),
        ("noted", "ada@example.org", "disk was\nfull <b>"),
        ("unacknowledged", "ada@example.org", "not mine"),
        ("noted", "ada@example.org", "shelve: until noon"),
    ]
    assert len({act.id for act in taken.acts}) == 4
    assert all(STARTED_AT < act.at <= datetime.now(UTC) for act in taken.acts)
    assert taken.starts_at == STARTED_AT
    assert taken.ends_at is None
    assert taken.fingerprint == sent("Taken")["fingerprint"]


async def test_what_was_closed_by_hand_goes_on_where_it_is_sent_again(fed: Fed) -> None:
    again, before = (await read(fed.tables())).of("ClosedByHand")
    assert again.starts_at == STARTED_AT
    assert again.ends_at is None
    assert before.ends_at is not None
    assert before.ends_at > again.starts_at  # it overlaps: one firing
    assert again.labels == before.labels
    assert [(act.kind, act.text) for firing in (again, before) for act in firing.acts] == [("resolved", "fixed")]


async def test_each_firing_of_a_row_is_one(fed: Fed) -> None:
    firings = (await read(fed.tables())).of("Flapping")
    assert {firing.fingerprint for firing in firings} == {sent("Flapping")["fingerprint"]}
    by_receipt = next(firing for firing in firings if firing.ends_at is not None)
    newest = next(firing for firing in firings if firing.ends_at is None)
    assert newest.starts_at == STARTED_AT + timedelta(minutes=60)
    assert newest.repeats == 1
    assert newest.last_seen_at is not None
    assert newest.last_seen_at > by_receipt.ends_at  # type: ignore[operator]  # looked at above


async def test_another_severity_is_another_alert(fed: Fed) -> None:
    firings = {firing.labels["severity"]: firing for firing in (await read(fed.tables())).of("Growing")}
    for severity, firing in firings.items():
        assert firing.fingerprint == sent("Growing", severity=severity)["fingerprint"]
    assert firings["critical"].starts_at == STARTED_AT + timedelta(minutes=30)
    assert firings["critical"].ends_at is None
    assert firings["warning"].ended_by == "inferred"


async def test_a_firing_of_which_only_the_end_came_is_known_by_that(fed: Fed) -> None:
    (firing,) = (await read(fed.tables())).of("OnlyItsEnd")
    assert (firing.starts_at, firing.ends_at) == (STARTED_AT, STARTED_AT + timedelta(minutes=7))
    assert firing.ended_by == "resolved"


async def test_what_the_webhook_takes_apart_is_put_together_again_where_its_message_is_gone(fed: Fed) -> None:
    (whole,) = (await read(fed.tables())).of("ManyLabels")
    connection = await asyncpg.connect(fed.database)
    raw = await connection.fetchval("SELECT raw_data FROM alerts WHERE event = 'ManyLabels'")
    await connection.execute("UPDATE alerts SET raw_data = NULL WHERE event = 'ManyLabels'")
    try:
        (rebuilt,) = (await read(fed.tables())).of("ManyLabels")
    finally:
        await connection.execute("UPDATE alerts SET raw_data = $1 WHERE event = 'ManyLabels'", raw)
        await connection.close()
    lost = {"exported_instance", "instance"}  # Alerta has one of them as its resource, and does not say which
    assert {name: value for name, value in whole.labels.items() if name not in lost} == {
        name: value for name, value in rebuilt.labels.items() if name not in lost
    }
    assert rebuilt.labels["instance"] == "x"


async def test_an_alert_of_another_sender_gets_the_labels_of_its_identity(fed: Fed) -> None:
    past = await read(fed.tables())
    (backup,) = past.of("BackupFailed")
    assert backup.labels == {
        "alertname": "BackupFailed",
        "instance": "db-1",
        "environment": "Production",
        "service": "backup",
        "severity": "major",
    }
    expected = {"description": "no space", "value": "3", "tags": "night", "region": "eu"}
    assert expected.items() <= backup.annotations.items()
    assert past.of("AllIsWell") == []  # it never fired


async def test_only_firings_of_the_span_are_taken(fed: Fed) -> None:
    half = STARTED_AT + timedelta(minutes=30)
    late = await read_past(ALERTA, fed.api(), start=half, end=half + timedelta(minutes=31), now=datetime.now(UTC))
    assert {firing.labels["alertname"] for firing in late.firings} == {"Growing", "Flapping"}


async def test_a_bad_row_is_refused_by_its_id_and_its_neighbours_go_on(fed: Fed) -> None:
    connection = await asyncpg.connect(fed.database)
    await connection.execute(
        "INSERT INTO alerts (id, resource, event, history, service, tags) VALUES"
        " ('bad-1', 'r', 'e', ARRAY[ROW('i','e','major','open','','','new',NULL,'u',1)::history], '{}', '{}'),"
        " ('bad-2', 'r', 'e2', NULL, '{}', '{}')"
    )
    try:
        past = await read(fed.tables())
    finally:
        await connection.execute("DELETE FROM alerts WHERE id LIKE 'bad-%'")
        await connection.close()
    assert sorted(row.place for row in past.refused) == ["alert bad-1", "alert bad-2"]
    assert b'"bad-1"' in b"".join(row.raw for row in past.refused)
    assert ordered(past.firings) == ordered((await read(fed.tables())).firings)


async def test_what_can_not_be_read_says_what_and_no_key(fed: Fed, postgres_url: str) -> None:
    for given, error, words in (
        ({}, ConfigurationError, "either"),
        ({**fed.api(), **fed.tables()}, ConfigurationError, "either"),
        ({"url": fed.url}, OriginUnavailable, "401: .*Missing authorization"),
        ({"url": fed.url, "api-key": f"{KEY}-wrong"}, OriginUnavailable, "401"),
        ({"url": f"{fed.url}/management/manifest", "api-key": KEY}, OriginUnavailable, "404"),
        ({"database": postgres_url}, ImportFault, "no table alerts of Alerta"),
    ):
        with pytest.raises(error, match=words) as caught:
            await read(given)
        assert KEY not in str(caught.value)


@pytest.mark.migrated
def test_what_one_way_brought_the_other_way_only_joins(fed: Fed, postgres_url: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "database").write_text(fed.database)
    ways = (["--url", fed.url, "--api-key-file", "key"], ["--database-file", "database"])
    env = {"DATABASE_URL": postgres_url, "RETENTION_DAYS": "3650"}
    exports, summaries = [], []
    for words in ways:
        done = run("import", "alerta", *words, env=env, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert KEY.encode() not in done.stdout + done.stderr
        summaries.append(done.stdout)
        exports.append(run("export", "--format", "jsonl", env=env).stdout)
    assert re.search(rb"\b0 taken as new occurrences", summaries[1])
    assert exports[0] == exports[1]
    firings = [msgspec.json.decode(line) for line in exports[0].splitlines()]
    kept = {(each["fingerprint"], each["starts_at"]): each for each in firings}
    assert len(kept) == len(firings)
    (by_hand,) = [each for each in firings if each["alertname"] == "ClosedByHand"]
    assert by_hand["status"] == "firing"
    (end,) = [each for each in firings if each["alertname"] == "OnlyItsEnd"]
    assert datetime.fromisoformat(end["ends_at"]) - datetime.fromisoformat(end["starts_at"]) == timedelta(minutes=7)
    (taken,) = [each for each in firings if each["alertname"] == "Taken"]
    assert (taken["fingerprint"], taken["source"]) == (sent("Taken")["fingerprint"], "alerta")
    assert datetime.fromisoformat(taken["starts_at"]) == STARTED_AT


class Shrinking:
    """An Alerta of which an alert of the first page is deleted after that page was read."""

    def __init__(self) -> None:
        self.ids = ["a", "b", "c", "d", "e"]
        self.pages: list[int] = []

    def answer(self, request: Request) -> Reply:
        size, number = 2, int(httpx.URL(request.path).params["page"])
        self.pages.append(number)
        first = (number - 1) * size
        ids, total = self.ids[first : first + size], len(self.ids)
        if number == 1 and len(self.pages) == 1:
            self.ids.remove("a")
        alerts = [{"id": each, "event": each, "resource": "r", "status": "open", "createTime": TIME} for each in ids]
        return json_reply(200, {"alerts": alerts, "total": total, "pages": -(-total // size)})


TIME = "2026-02-14T10:00:00.000Z"


async def test_an_alert_that_moves_up_to_a_page_that_was_read_is_not_missed() -> None:
    vendor = Shrinking()
    async with serving(vendor) as server:
        past = await read_past(ALERTA, {"url": server.url})
    assert {firing.labels["alertname"] for firing in past.firings} == {"a", "b", "c", "d", "e"}
    assert vendor.pages == [1, 2, 1, 2]


class Garbling:
    """An Alerta behind something that garbles a text."""

    def answer(self, _: Request) -> Reply:
        rest = b'"resource": "r", "status": "open", "createTime": "2026-02-14T10:00:00.000Z"}'
        alerts = b", ".join(b'{"id": "%s", "event": "%s", ' % pair + rest for pair in ((b"a", b"a\xff"), (b"b", b"b")))
        return Reply(200, b'{"alerts": [' + alerts + b'], "total": 2, "pages": 1}')


async def test_a_text_that_is_none_is_refused_as_it_came() -> None:
    async with serving(Garbling()) as server:
        past = await read_past(ALERTA, {"url": server.url})
    assert [firing.labels["alertname"] for firing in past.firings] == ["b"]
    (row,) = past.refused
    assert b"a\xff" in row.raw

"""Entries of the audit: what is digested, what is noted of requests, how refusals are counted, how entries are told.

Holds: `domain.audit`, `engine.refusals`, `web.http.auditing`, `web.pages.audit_words`.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings
from alert_history.domain.audit import AuditEntry, cleaned, digest_of, fault_of, linked
from alert_history.engine.refusals import Refusal, Refusals
from alert_history.web.application import Application
from alert_history.web.http.auditing import EXPORTS, UNCHANGING, is_audited
from alert_history.web.pages.audit_words import WORDS, Change, name_of, tell

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ENTRY = AuditEntry(id="01", at=NOW, actor="ada", action="switched", detail={"b": 1, "a": [None, True]})


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Application:
    folder: Path = tmp_path_factory.mktemp("audit")
    return make_application(make_service(load_settings({"DATABASE_URL": f"sqlite:///{folder}/unopened.db"})))


def test_a_digest_is_the_same_in_every_release() -> None:
    """Else a chain of an older release would seem broken."""
    link = linked(ENTRY, "", replica="host/1", position=1)
    assert link.digest == "20727067eed3eeea8274b349aef0fdcc24ecc62e83d2d32b9e9171c895bcd08a"


def test_a_digest_covers_each_field_and_the_entry_before() -> None:
    link = linked(ENTRY, "f00", replica="host/1", position=1)
    changed = {
        "id": "02",
        "at": NOW + timedelta(microseconds=1),
        "actor": "bob",
        "action": "x",
        "outcome": "failed",
        "from_address": "10.0.0.1",
        "detail": {},
        "day": "2026-11-29",
        "replica": "host/2",
        "position": 2,
    }
    assert changed.keys() == {*AuditEntry.__struct_fields__} - {"digest"}
    for name, value in changed.items():
        other = msgspec.structs.replace(link, **{name: value})
        assert (name, digest_of(other, "f00") == link.digest) == (name, False)
    assert fault_of(link, "f00", position=1) == ""
    assert fault_of(link, "f01", position=1) != ""


def test_the_order_of_the_fields_of_a_detail_does_not_count() -> None:
    other = msgspec.structs.replace(ENTRY, detail={"a": [None, True], "b": 1})
    assert digest_of(other, "") == digest_of(ENTRY, "")


def test_a_detail_is_cut_to_what_both_databases_give_back() -> None:
    deep: object = "x"
    for _ in range(20):
        deep = {"in": deep}
    assert cleaned({"f": 0.1, "n": None, "t": "\0\ud800", "l": "y" * 5_000})["f"] == "0.1"
    assert cleaned({"t": "\0\ud800"}) == {"t": "\ufffd?"}
    assert len(cleaned("y" * 5_000)) == 1_001
    assert len(msgspec.json.encode(cleaned(deep))) < 100
    assert len(cleaned(list(range(1_000)))) == 100


def test_every_call_that_changes_something_is_audited(application: Application) -> None:
    """A new one is, unless it is named here; what reads is not, but for exports."""
    told = {
        name
        for name in application.permissions
        for method, path in [name.split(" ", 1)]
        if is_audited({"method": method, "path": path, "state": {"endpoint": path}})
    }
    ingest = {"POST /api/v2/alerts", "POST /webhook", "POST /webhook/proxy"}  # never asked: it is answered elsewhere
    changing = {name for name in application.permissions if not name.startswith("GET ")}
    assert told - ingest == changing - ingest - UNCHANGING | {f"GET {path}" for path in EXPORTS}
    assert {f"GET {path}" for path in EXPORTS} | UNCHANGING <= application.permissions.keys()
    assert is_audited({"method": "POST", "path": "/no/such/path"})


def test_words_are_for_calls_that_there_are(application: Application) -> None:
    assert {action for action in WORDS if " " in action} <= application.permissions.keys()


def refusal(address: str = "10.0.0.1", *, at: datetime = NOW, request: str = "GET /x") -> Refusal:
    return Refusal(at, address, "", request, 401, "")


def test_few_refusals_are_entries_of_their_own_and_the_others_are_counted() -> None:
    refusals = Refusals()
    assert [refusals.take(refusal()) for _ in range(5)] == [True] * 3 + [False] * 2
    assert refusals.take(refusal("10.0.0.2"))
    assert refusals.counted(NOW + timedelta(seconds=59)) == []
    [count] = refusals.counted(NOW + timedelta(seconds=60))
    assert (count.address, count.count, count.requests) == ("10.0.0.1", 2, ["GET /x 401"])
    assert refusals.take(refusal(at=NOW + timedelta(seconds=61)))
    assert refusals.counted(NOW + timedelta(seconds=200)) == []


def test_a_flood_from_many_addresses_is_thirty_entries_a_minute() -> None:
    refusals = Refusals()
    alone = sum(refusals.take(refusal(f"10.{n // 250}.{n % 250}.{m}")) for n in range(5_000) for m in range(4))
    counts = refusals.counted(NOW, is_last=True)
    assert (alone, len(counts)) == (20, 10)
    assert sum(count.count for count in counts) + alone == 20_000
    assert all(len(count.requests) <= 5 for count in counts)


def test_an_entry_is_told_with_what_changed() -> None:
    made = tell(
        msgspec.structs.replace(
            ENTRY, action="token_created", detail={"token": "t", "from": None, "to": {"scopes": ["read"], "id": "1"}}
        )
    )
    assert (made.words, made.changes, made.facts) == ("made the token t", [Change("scopes", None, "read")], [])
    switched = tell(
        msgspec.structs.replace(
            ENTRY, action="enrichment_mode_switched", detail={"from": "a", "to": "b", "request": "POST /x"}
        )
    )
    assert (switched.changes, switched.facts) == ([Change("", "a", "b")], [("request", "POST /x")])
    plain = tell(msgspec.structs.replace(ENTRY, action="PUT /new/path", detail={"status": 200}))
    assert (plain.words, plain.facts) == ("called PUT /new/path", [("status", "200")])
    assert tell(msgspec.structs.replace(ENTRY, action="token_created", detail={})).words == "token created"
    assert name_of("token_created") == "made the token …"


def test_what_others_wrote_is_no_template() -> None:
    hostile = {"token": "{0.__class__}", "from": "{x}", "to": None}
    told = tell(msgspec.structs.replace(ENTRY, action="token_revoked", detail=hostile))
    assert told.words == "revoked the token {0.__class__}"
    assert told.changes == [Change("", "{x}", None)]

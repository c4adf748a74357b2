"""`alert-history doctor` on what is kept: what older releases left is repaired, contradictions are told.

Holds: `cli.doctor_history`.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from alert_history.domain.alert import Alert, fingerprint
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.storage import open_store
from tests.commands import run
from tests.conformance.samples import SECOND, posted
from tests.conftest import StartService
from tests.legacy import double, forget_claims
from tests.processes import Server, free_port, wait_until

LABELS = {"alertname": "DiskFull", "instance": "db-1"}
STARTS_AT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=9)
SECOND_START = STARTS_AT + timedelta(minutes=1)
FIRING = Alert(fingerprint(LABELS), "firing", LABELS, {}, STARTS_AT)
DOUBLE = occurrence_id(FIRING.fingerprint, to_us(SECOND_START))
SURVIVOR = occurrence_id(FIRING.fingerprint, to_us(STARTS_AT))


def doctor(database_url: str, *args: str) -> tuple[int, str, str]:
    done = run("doctor", *args, env={"DATABASE_URL": database_url, "PORT": str(free_port())})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def post(server: Server, client: str) -> None:
    alert = {"labels": LABELS, "generatorURL": f"http://{client}/graph", "startsAt": STARTS_AT.isoformat()}
    httpx.post(f"{server.url}/api/v2/alerts", json=[alert], trust_env=False).raise_for_status()


@pytest.fixture
def left_over(database_url: str, service: StartService) -> str:
    """The URL of a database in which a release before claims left a double."""
    server = service({"DATABASE_URL": database_url})
    post(server, "prometheus-0:9090")
    server.terminate()
    asyncio.run(double(database_url, FIRING, starts_at=SECOND_START))
    asyncio.run(forget_claims(database_url))
    return database_url


def test_a_dry_run_of_a_repair_shows_doubles_and_leaves_them(left_over: str) -> None:
    for _ in range(2):
        code, output, _ = doctor(left_over, "--repair", "--dry-run")
        assert code == 0, output
        assert "1 doubles would be joined, 1 occurrences would be ended" in output


def test_a_repair_joins_doubles_and_shows_each_event(left_over: str) -> None:
    code, output, _ = doctor(left_over, "--repair")
    assert code == 0, output
    assert "1 doubles were joined, 1 occurrences were ended" in output
    assert f"joined   │ {SURVIVOR}" in output
    assert f"inferred │ {DOUBLE}" in output
    assert "0 doubles were joined" in doctor(left_over, "--repair")[1]


def test_the_id_of_a_double_that_was_joined_leads_to_its_occurrence(left_over: str, service: StartService) -> None:
    server = service({"DATABASE_URL": left_over})
    wait_until(lambda: _get(server, DOUBLE).status_code == httpx.codes.PERMANENT_REDIRECT, "it is joined")
    answer = _get(server, DOUBLE, follow_redirects=True)
    assert (answer.status_code, answer.json()["id"]) == (200, SURVIVOR)


def _get(server: Server, occurrence: str, *, follow_redirects: bool = False) -> httpx.Response:
    url = f"{server.url}/api/v1/alerts/{occurrence}"
    return httpx.get(url, trust_env=False, follow_redirects=follow_redirects)


def test_a_dry_run_without_a_repair_is_wrong_usage(sqlite_url: str) -> None:
    code, _, errors = doctor(sqlite_url, "--dry-run")
    assert (code, "--dry-run is for --repair" in errors) == (2, True)


def test_a_repair_of_a_database_that_is_not_there_is_an_error(sqlite_url: str) -> None:
    code, _, errors = doctor(sqlite_url, "--repair")
    assert code == 1
    assert "unable to open database file" in errors


def test_a_label_set_in_conflict_is_told_with_what_to_do(database_url: str, service: StartService) -> None:
    service({"DATABASE_URL": database_url})
    asyncio.run(_contradict(database_url))
    code, output, _ = doctor(database_url)
    assert code == 0
    assert "two senders contradict each other about {alertname=DiskFull, instance=db-1}" in output
    assert "add a cluster label or a scope" in output


async def _contradict(database_url: str) -> None:
    """One sender ended it eleven minutes ago; the other goes on."""
    before, now = datetime.now(UTC) - timedelta(minutes=11), datetime.now(UTC)
    over = Alert(FIRING.fingerprint, "resolved", LABELS, {}, STARTS_AT, before)
    store = open_store(database_url)
    await store.lifecycle.open()
    for client in ("10.0.0.1", "10.0.0.2"):
        await store.recorder.commit([posted(FIRING, client=client, at=before)])
    await store.recorder.commit([posted(over, client="10.0.0.1", at=before + SECOND)])
    await store.recorder.commit([posted(FIRING, client="10.0.0.2", at=now)])
    await store.lifecycle.close()

"""Passwords in URLs, in real processes and before real servers: any of them works, and none of them shows."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from alert_history.errors import StorageUnavailable
from alert_history.storage import open_store
from tests.commands import run
from tests.conformance.samples import alert, receipt
from tests.integration.test_cli_doctor import diagnose
from tests.payloads import alert as payload_alert
from tests.payloads import webhook
from tests.processes import HOST, free_port, wait_until
from tests.servers import PostgresServer, postgres_server, unstarted_service

LETTERS = "QXZ"  # no text of ours holds three characters with one of these among them
PASSWORD = "Q[X]Z:Q/X?Z#Q@X%Z&Q=X+Z Q℀X'Q\"X\\Zé"  # noqa: S105  # of nothing
WRITTEN = quote(PASSWORD, safe="")


def shown_pieces(text: str) -> list[str]:
    """What the text shows of the password, as it is or percent-encoded: three characters in a row or more."""
    pieces = {written[at : at + 3] for written in (PASSWORD, WRITTEN) for at in range(len(written) - 2)}
    return [piece for piece in pieces if set(piece) & set(LETTERS) and piece in text]


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresServer]:
    """A PostgreSQL that wants the password of everybody but `postgres`."""
    with postgres_server() as server:
        server.execute(
            f"SET standard_conforming_strings = on; CREATE ROLE ada SUPERUSER LOGIN PASSWORD {literal(PASSWORD)}"
        )
        rules = server.folder / "data" / "pg_hba.conf"
        rules.write_text("host all postgres all trust\nhost all all all scram-sha-256\n")
        server.execute("SELECT pg_reload_conf()")
        yield server


_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def url(server: PostgresServer, password: str = WRITTEN) -> str:
    return f"postgresql://ada:{password}@{HOST}:{server.port}/postgres"


def test_any_password_percent_encoded_lets_in(guarded: PostgresServer) -> None:
    diagnosis = diagnose(DATABASE_URL=url(guarded), READ_DATABASE_URL=url(guarded))
    assert (diagnosis.code, diagnosis.states("database")) == (0, ["ok"]), diagnosis.output
    assert run("migrate", env={"DATABASE_URL": url(guarded)}).returncode == 0


def test_a_password_may_be_in_a_file_of_its_own(guarded: PostgresServer, tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    guarded.execute("CREATE ROLE bob SUPERUSER LOGIN PASSWORD 'sesame'")
    file.write_text("*:*:*:bob:sesame\n")
    file.chmod(0o600)
    env = {"DATABASE_URL": f"postgresql://bob@{HOST}:{guarded.port}/postgres?passfile={file}"}
    assert run("migrate", env=env).returncode == 0


def test_a_wrong_password_is_said_by_every_command_and_not_shown(guarded: PostgresServer) -> None:
    wrong = url(guarded, f"{WRITTEN}x")
    for command in ("doctor", "migrate"):
        done = run(command, env={"DATABASE_URL": wrong, "COLUMNS": "300"})
        output = (done.stdout + done.stderr).decode()
        assert done.returncode == 1
        assert 'password authentication failed for user "ada"' in output
        assert shown_pieces(output) == []


@pytest.mark.parametrize("name", ["DATABASE_URL", "READ_DATABASE_URL", "REDIS_URL", "LLM_PROXY_URL"])
@pytest.mark.parametrize("bracket", ["[", "]", "[x]"])
def test_a_bracket_in_a_password_stops_the_start_and_shows_nothing(name: str, bracket: str) -> None:
    scheme = {"REDIS_URL": "redis", "LLM_PROXY_URL": "https"}.get(name, "postgresql")
    env = {"DATABASE_URL": "postgresql://db/alerts", name: f"{scheme}://ada:QXZ{bracket}XQZ@db"}
    done = run("serve", env=env)
    output = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b"")
    assert output.startswith(f"error: {name}='{scheme}://***' is not allowed: a [ or ]")
    assert [piece for piece in ["QXZ", f"XZ{bracket[0]}", f"Z{bracket}X", "XQZ"] if piece in output] == []


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_neither_an_answer_nor_a_log_shows_the_password_of_a_database_that_is_away(log_format: str) -> None:
    env = {
        "DATABASE_URL": f"postgresql://ada:{WRITTEN}@{HOST}:{free_port()}/alerts",
        "REDIS_URL": f"redis://ada:{WRITTEN}@{HOST}:{free_port()}/0",
        "LOG_FORMAT": log_format,
        "LOG_LEVEL": "debug",
    }
    with unstarted_service(env) as server, httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        server.launch()
        wait_until(lambda: _is_listening(client), "it answers")
        body = webhook(payload_alert(1))
        answers = [client.post("/webhook", content=body, headers={"Content-Type": "application/json"})]
        answers += [client.get(path) for path in ("/readyz", "/history", "/publishing/targets", "/enrichment/mode")]
        wait_until(lambda: "database_unavailable" in server.log(), "the log says so")
        text = server.log() + "".join(answer.text for answer in answers)
    assert answers[0].status_code == 503
    assert shown_pieces(_TIME.sub("", text)) == []  # a time may end as a piece of the password does


def _is_listening(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.ConnectError:
        return False


async def test_a_setting_that_the_server_refuses_is_not_blamed_on_the_alerts(postgres_url: str) -> None:
    store = open_store(f"{postgres_url}?options=-c%20statement_timeout%3Dsoon")
    with pytest.raises(StorageUnavailable, match="statement_timeout"):
        await store.recorder.commit([receipt(alert())])
    await store.lifecycle.close()

"""`alert-history doctor` on Redis: a word really goes there and back, and nothing that is secret is shown."""

import socket
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.integration.test_cli_doctor import diagnose
from tests.processes import HOST, Server, free_port
from tests.servers import redis_server

ODD = "p@ss/w0rd#1:%"

pytestmark = pytest.mark.migrated


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    """With a user who may do nothing but connect, and one who may do all."""
    with redis_server() as server, Redis(host=HOST, port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "ada", "on", ">s3cret", "allchannels", "+@all")
        client.execute_command("ACL", "SETUSER", "bob", "on", ">s3cret", "resetchannels", "+@connection", "+subscribe")
        client.execute_command("ACL", "SETUSER", "eve", "on", f">{ODD}", "allchannels", "+@all")
        yield server


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("login", ["", "ada:s3cret@"])
def test_a_redis_that_answers_is_well(sqlite_url: str, redis: Server, login: str) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, REDIS_URL=f"redis://{login}{HOST}:{redis.port}/0")
    assert diagnosis.states("cache") == ["ok"]
    assert diagnosis.code == 0, diagnosis.output
    assert "s3cret" not in diagnosis.output


def test_a_password_apart_from_the_url_may_hold_any_character(sqlite_url: str, redis: Server) -> None:
    url = f"redis://eve@{HOST}:{redis.port}/0"
    assert diagnose(DATABASE_URL=sqlite_url, REDIS_URL=url).states("cache") == ["fault"]
    diagnosis = diagnose(DATABASE_URL=sqlite_url, REDIS_URL=url, REDIS_PASSWORD=ODD)
    assert diagnosis.states("cache") == ["ok"]
    assert ODD not in diagnosis.output


def test_without_redis_nothing_is_said_of_it(sqlite_url: str) -> None:
    assert diagnose(DATABASE_URL=sqlite_url).states("cache") == []


@pytest.mark.parametrize("login, reason", [("ada:wr0ng@", "refuses the user"), ("bob:s3cret@", "may not publish")])
def test_a_redis_that_refuses_us_is_a_fault_and_says_why(
    sqlite_url: str, redis: Server, login: str, reason: str
) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, REDIS_URL=f"redis://{login}{HOST}:{redis.port}/0", COLUMNS="300")
    assert (diagnosis.code, diagnosis.states("cache")) == (1, ["fault"])
    assert reason in diagnosis.output
    assert "wr0ng" not in diagnosis.output
    assert "s3cret" not in diagnosis.output


def test_a_redis_that_is_away_is_a_fault(sqlite_url: str) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, REDIS_URL=f"redis://:s3cret@{HOST}:{free_port()}/0")
    assert (diagnosis.code, diagnosis.states("cache")) == (1, ["fault"])
    assert "s3cret" not in diagnosis.output


def test_a_server_that_says_nothing_is_a_fault_within_seconds(sqlite_url: str, silent: int) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, REDIS_URL=f"redis://{HOST}:{silent}/0", COLUMNS="300")
    assert (diagnosis.code, diagnosis.states("cache")) == (1, ["fault"])
    assert "no answer" in diagnosis.output

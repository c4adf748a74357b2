"""An import that was asked for over HTTP connects to no forbidden address, whatever its name says at first.

Holds: `origins.imports.guard`, and what `origins.imports.postgres` makes of it.
"""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from alert_history.errors import ConfigurationError, OriginUnavailable
from alert_history.origins.imports import guard
from alert_history.origins.imports.http import open_server
from alert_history.origins.imports.postgres import open_postgres
from alert_history.ports.past_origins import ImportRequest
from tests.vendors.server import Reply, Request, serving

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Old:
    """A server that remembers who asked."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, _: Request) -> Reply:
        self.asked += 1
        return Reply(200, b"{}")


def _request(url: str, *, is_guarded: bool = True) -> ImportRequest:
    return ImportRequest({"url": (url,)}, _NOW, is_guarded=is_guarded)


async def test_private_addresses_are_where_a_prometheus_is() -> None:
    old = _Old()
    async with serving(old) as running, open_server(_request(running.url)) as server:
        assert await server.get("/api") == b"{}"
        assert old.asked == 1


@pytest.mark.parametrize("url", ["http://169.254.169.254", "http://2852039166:80", "http://[fd00:ec2::254]"])
async def test_metadata_is_refused_at_once(url: str) -> None:
    async with open_server(_request(url)) as server:
        with pytest.raises(OriginUnavailable, match="a cloud's metadata address, where no import over HTTP may reach"):
            await server.get("/latest")


async def test_a_name_that_leads_elsewhere_the_second_time_is_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    old = _Old()

    def judge(address: object, *, allow_private: bool) -> str | None:
        assert allow_private
        return "forbidden by this test" if address == ip_address("127.0.0.1") else None

    monkeypatch.setattr(guard, "why_forbidden", judge)
    monkeypatch.setattr(guard, "_LOOK_UP_SECONDS", 0)  # the name is not known when it is looked up first
    async with serving(old) as running, open_server(_request(running.url)) as server:
        with pytest.raises(OriginUnavailable, match="forbidden by this test"):
            await server.get("/latest")
    assert old.asked == 0


@pytest.mark.parametrize(
    "url, words",
    [
        ("postgresql://u:p@169.254.169.254/d", "a cloud's metadata address"),
        ("postgresql://u:p@127.0.0.1:1,169.254.1.1:1/d", "a link-local address"),
        ("postgresql:///d", "no file or socket of this machine"),
        ("postgresql://u:p@/d?host=/var/run/postgresql", "no file or socket of this machine"),
        ("postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert=/etc/hosts", "no file or socket of this machine"),
        ("postgresql://u:p@h/d?passfile=/etc/pgpass", "no file or socket of this machine"),
    ],
)
async def test_a_database_is_guarded_too(url: str, words: str) -> None:
    request = ImportRequest({"database": (url,)}, _NOW, is_guarded=True)
    with pytest.raises((OriginUnavailable, ConfigurationError), match=words):
        async with open_postgres(request):
            pass


async def test_the_command_line_may_reach_what_its_machine_reaches() -> None:
    request = _request("http://169.254.169.254", is_guarded=False)
    assert guard.guard_hooks(request) == {}
    await guard.check_url(request, "http://169.254.169.254")


async def test_what_is_no_url_is_left_to_its_origin() -> None:
    for url in ("", "nothing", "http://[", "http://no-such-host.invalid", "http://x:99999"):
        await guard.check_url(_request(url), url)

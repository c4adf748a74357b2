"""Under which names the endpoint is answered, and how they are read. Holds: `mcp.hosts`, `urls.hosts`."""

import pytest

from alert_history.errors import WrongHost
from alert_history.mcp.hosts import AllowedHosts
from alert_history.urls.hosts import host_name, host_of_url, read_host_names


def check(host: str, origin: str | None = None, *, allowed: str = "alerts.example") -> None:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    AllowedHosts(read_host_names(allowed)).check(headers)


@pytest.mark.parametrize(
    "host", ["alerts.example", "ALERTS.example.:80", "localhost", "a.localhost:1", "10.0.0.1:9", "[fe80::1]"]
)
def test_our_names_and_every_address_are_allowed(host: str) -> None:
    check(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "alerts.example.evil.example",
        "evil.example@alerts.example.evil",
        "localhost.evil.example",
        "10.0.0.1.evil.example",
        "xlocalhost",
        "[::1",
        "evil.example/alerts.example",
    ],
)
def test_other_names_are_refused_by_naming_the_setting(host: str) -> None:
    with pytest.raises(WrongHost, match="MCP_ALLOWED_HOSTS"):
        check(host)


def test_a_page_must_be_ours_or_of_this_machine() -> None:
    for origin in ("https://alerts.example", "http://localhost:6274", "http://127.0.0.1:3000", "http://[::1]"):
        check("alerts.example", origin)
    check("10.0.0.1:8080", "http://10.0.0.1:8080")
    for origin in ("null", "", "http://evil.example", "http://10.0.0.2:8080", "https://alerts.example.evil.example"):
        with pytest.raises(WrongHost, match="Origin"):
            check("10.0.0.1:8080", origin)


def test_a_star_allows_all() -> None:
    check("evil.example", "http://evil.example", allowed="*")


def test_without_a_setting_this_machine_and_addresses_are_left() -> None:
    AllowedHosts([]).check([(b"host", b"localhost:8080")])
    with pytest.raises(WrongHost):
        AllowedHosts([]).check([(b"host", b"alerts.example")])
    with pytest.raises(WrongHost, match="nothing"):
        AllowedHosts([]).check([])


@pytest.mark.parametrize("text", ["alerts.example", "Alerts.Example., history_1.svc ,*", "a"])
def test_names_in_a_list_are_read(text: str) -> None:
    assert all(name == name.lower().rstrip(".") for name in read_host_names(text))


@pytest.mark.parametrize("text", ["", "a,,b", "http://a", "a:80", "a b", "-a", "a..b", "ä", "a/b", "x" * 300])
def test_what_is_no_name_of_a_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no name of a host"):
        read_host_names(text)


def test_the_host_of_a_url_is_its_own() -> None:
    assert host_of_url("https://alerts.example:8443/history") == "alerts.example"
    assert host_of_url("https://evil.example@alerts.example/") == "alerts.example"
    assert host_name("a:b:c") in {"a", ""}

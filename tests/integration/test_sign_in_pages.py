"""Browsers: led to the page to sign in and back, signed out, made to wait; tokens made on a page.

Holds: `web.pages.login`, `web.pages.tokens`, `web.http.browser`.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from alert_history.web.http.browser import SESSION_COOKIE
from tests import servers
from tests.commands import lines, run
from tests.processes import Server

_HTML = {"accept": "text/html,application/xhtml+xml"}
_SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sign-in') / 'alert_history.db'}"


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    env = {"DATABASE_URL": url, "AUTH_MODE": "token", "TRUSTED_PROXIES": "127.0.0.1"}
    with servers.service(env) as running:
        yield running


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """It follows no redirect, and keeps cookies."""
    with httpx.Client(base_url=server.url, headers=_HTML, trust_env=False, timeout=20) as client:
        yield client


class Maker:
    """Makes and revokes tokens over HTTP, because a command takes seconds to start."""

    def __init__(self, server: Server, admin: str) -> None:
        self._tokens = f"{server.url}/api/v1/tokens"
        self._headers = _bearer(admin)

    def __call__(self, name: str, scope: str = "read") -> str:
        wish = {"name": name, "scopes": [scope]}
        answer = httpx.post(self._tokens, json=wish, headers=self._headers, trust_env=False, timeout=20)
        return str(answer.raise_for_status().json()["secret"])

    def revoke(self, name: str) -> None:
        httpx.delete(f"{self._tokens}/{name}", headers=self._headers, trust_env=False, timeout=20).raise_for_status()


@pytest.fixture(scope="module")
def make(server: Server, url: str) -> Maker:
    done = run("token", "create", "root", "--scope", "admin", env={"DATABASE_URL": url, "AUTH_MODE": "token"})
    assert done.returncode == 0, done.stderr
    return Maker(server, lines(done.stdout)[-1])


def sign_in(browser: httpx.Client, token: str, back: str = "", **headers: str) -> httpx.Response:
    return browser.post("/login", data={"token": token, "back": back}, headers=_SAME | headers)


def test_a_browser_is_led_to_the_login_and_back_to_the_page_that_was_asked_for(
    make: Maker, browser: httpx.Client
) -> None:
    token = make("reader")
    for path, place in [
        ("/dashboard/history?query=a%20b", "../login?back=dashboard%2Fhistory%3Fquery%3Da%2520b"),
        ("/", "./login"),
        ("/dashboard/no-such-page", "../login?back=dashboard%2Fno-such-page"),
        ("/history", "./login?back=history"),
    ]:
        led = browser.get(path)
        assert (path, led.status_code, led.headers["location"]) == (path, 303, place)
        assert led.headers["cache-control"] == "no-store"
    form = browser.get("/login?back=dashboard%2Fhistory%3Fquery%3Da%2520b")
    assert form.status_code == 200
    back = re.search(r'name="back" value="([^"]*)"', form.text)
    assert back is not None
    signed_in = sign_in(browser, token, back[1])
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "dashboard/history?query=a%20b")
    assert token not in str(signed_in.headers)
    page = browser.get("/dashboard/history?query=a%20b")
    assert page.status_code == 200
    assert "Signed in as</i> <b>reader</b>" in page.text


def test_programs_and_forms_and_parts_are_not_led_anywhere(browser: httpx.Client) -> None:
    assert browser.get("/history", headers={"accept": "application/json"}).status_code == 401
    assert browser.get("/history", headers={"authorization": "Bearer wrong"}).status_code == 401
    form = browser.post("/dashboard/settings/mode", data={"mode": "enriched"}, headers=_SAME)
    assert form.status_code == 401
    assert 'href="../../login"' in form.text
    part = browser.get("/dashboard?part=firing", headers={"hx-request": "true"})
    assert (part.status_code, part.headers["hx-refresh"]) == (401, "true")


def test_who_is_not_signed_in_is_shown_no_navigation_and_no_number(browser: httpx.Client) -> None:
    form = browser.get("/login")
    assert "dashboard/history" not in form.text
    assert "Signed in as" not in form.text
    assert 'name="tz"' not in form.text


@pytest.mark.parametrize(
    "back",
    ["//evil.example/x", "https://evil.example", "javascript:alert(1)", "\\\\evil.example", "/\\evil", "a\nb", "\0"],
)
def test_no_back_leads_to_another_site(make: Maker, browser: httpx.Client, back: str) -> None:
    token = make("back")
    place = sign_in(browser, token, back).headers["location"]
    make.revoke("back")
    assert place in {"dashboard", "evil.example/x"}  # below our own root, in either case


@pytest.mark.parametrize("back", ["", "/"])
def test_who_asked_for_no_page_is_led_to_the_first(make: Maker, browser: httpx.Client, back: str) -> None:
    """A browser follows no redirect without an address: the reader saw an empty page."""
    token = make("no-page")
    place = sign_in(browser, token, back).headers["location"]
    make.revoke("no-page")
    assert place == "dashboard"


def test_the_cookie_is_for_this_host_alone_and_for_no_script(make: Maker, browser: httpx.Client) -> None:
    token = make("cookie")
    plain = sign_in(browser, token).headers["set-cookie"]
    assert plain.startswith(f"{SESSION_COOKIE}=")
    attributes = {part.strip().lower() for part in plain.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= attributes
    [age] = [int(each.removeprefix("max-age=")) for each in attributes if each.startswith("max-age=")]
    assert 12 * 3600 - 10 <= age <= 12 * 3600
    assert not any(each.startswith("domain") or each == "secure" for each in attributes)
    for headers in ({"x-forwarded-proto": "https"}, {"origin": "https://alerts.example"}):
        assert "Secure" in sign_in(browser, token, **headers).headers["set-cookie"]
    assert sign_in(browser, token).headers["set-cookie"] != plain  # each sign-in is a new one


def test_signing_out_ends_it_for_whoever_kept_the_cookie(make: Maker, browser: httpx.Client) -> None:
    sign_in(browser, make("out"))
    kept = {"cookie": f"{SESSION_COOKIE}={browser.cookies[SESSION_COOKIE]}"}
    assert browser.get("/dashboard").status_code == 200
    out = browser.post("/logout", headers=_SAME)
    assert (out.status_code, out.headers["location"]) == (303, "login?out=yes")
    assert SESSION_COOKIE not in browser.cookies
    assert "You are signed out." in browser.get("/login?out=yes").text
    assert browser.get("/dashboard", headers=kept).status_code == 303
    assert browser.post("/logout", headers=_SAME).status_code == 303


def test_revoking_the_token_signs_the_browser_out_within_two_seconds(make: Maker, browser: httpx.Client) -> None:
    sign_in(browser, make("gone"))
    assert browser.get("/dashboard").status_code == 200
    make.revoke("gone")
    time.sleep(2)
    assert browser.get("/dashboard").status_code == 303


def test_what_the_reader_may_not_do_is_not_shown_and_is_refused(make: Maker, browser: httpx.Client) -> None:
    sign_in(browser, make("only-reads"))
    settings = browser.get("/dashboard/settings")
    assert "Switch the mode" not in settings.text
    assert "dashboard/tokens" not in settings.text
    assert browser.post("/dashboard/settings/mode", data={"mode": "enriched"}, headers=_SAME).status_code == 403
    assert browser.get("/dashboard/tokens").status_code == 403
    sign_in(browser, make("operates", "operate"))
    assert "Switch the mode" in browser.get("/dashboard/settings").text


def test_who_may_only_send_alerts_is_told_so(make: Maker, browser: httpx.Client) -> None:
    answer = sign_in(browser, make("sender", "ingest"))
    assert answer.status_code == 403
    assert "see nothing" in answer.text
    assert SESSION_COOKIE not in browser.cookies


def test_who_fails_often_waits_and_others_do_not(make: Maker, browser: httpx.Client) -> None:
    token = make("patient")
    address = {"x-forwarded-for": "192.0.2.7"}
    for _ in range(10):
        assert sign_in(browser, "aht_wrong", **address).status_code == 401
    waits = sign_in(browser, token, **address)
    assert waits.status_code == 429
    assert 0 < int(waits.headers["retry-after"]) <= 60
    assert "Wait" in waits.text
    assert sign_in(browser, token, **{"x-forwarded-for": "192.0.2.8"}).status_code == 303


def test_a_token_is_made_replaced_and_revoked_on_the_page_and_shown_once(make: Maker, browser: httpx.Client) -> None:
    sign_in(browser, make("chief", "admin"))
    assert "dashboard/tokens" in browser.get("/dashboard/settings").text
    wish = {"name": "tv", "scopes": ["read", "operate"], "match": '{team="payments"}', "expires": "7d"}
    made = browser.post("/dashboard/tokens", data=wish, headers=_SAME)
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    secret = _secret(made)
    assert httpx.get(browser.base_url.join("/history"), headers=_bearer(secret), trust_env=False).status_code == 200
    page = browser.get("/dashboard/tokens").text
    assert secret not in page
    assert secret[:10] in page
    again = browser.post("/dashboard/tokens", data=wish, headers=_SAME)
    assert again.status_code == 422
    assert "there is a token tv already" in again.text
    assert "{team=&#34;payments&#34;}" in again.text  # what was typed is still there
    fresh = _secret(browser.post("/dashboard/tokens/rotate", data={"name": "tv", "overlap": "1h"}, headers=_SAME))
    assert fresh != secret
    [old, new] = re.findall(r'name="id" value="(\w+)"[^\n]*Revoke tv<', browser.get("/dashboard/tokens").text)
    assert old != new
    revoked = browser.post("/dashboard/tokens/revoke", data={"id": old}, headers=_SAME)
    assert (revoked.status_code, revoked.headers["location"]) == (303, "../tokens?revoked=tv")
    assert browser.post("/dashboard/tokens/revoke", data={"id": old}, headers=_SAME).status_code == 404


def test_an_admin_signs_somebody_else_out(make: Maker, browser: httpx.Client) -> None:
    with httpx.Client(base_url=browser.base_url, headers=_HTML, trust_env=False) as other:
        sign_in(other, make("other"))
        assert other.get("/dashboard").status_code == 200
        sign_in(browser, make("boss", "admin"))
        page = browser.get("/dashboard/tokens").text
        key = re.search(r'name="key" value="(\w+)"><input type="hidden" name="actor" value="other"', page)
        assert key is not None
        ended = browser.post("/dashboard/tokens/sign-out", data={"key": key[1], "actor": "other"}, headers=_SAME)
        assert ended.headers["location"] == "../tokens?ended=other"
        time.sleep(1.1)
        assert other.get("/dashboard").status_code == 303


def test_the_warning_stands_on_every_page_where_nobody_chose_and_on_none_else(tmp_path: Path) -> None:
    for mode, count in ((None, 1), ("none", 0)):
        env = {"DATABASE_URL": f"sqlite:///{tmp_path / str(mode)}.db", **({"AUTH_MODE": mode} if mode else {})}
        with servers.service(env) as server:
            for path in ("/dashboard", "/dashboard/settings", "/dashboard/no-such-page", "/login", "/docs"):
                page = httpx.get(server.url + path, headers=_HTML, trust_env=False, timeout=20).text
                assert (mode, path, page.count("because <code>AUTH_MODE</code> is unset")) == (mode, path, count)


def _secret(answer: httpx.Response) -> str:
    [secret] = re.findall(r"aht_[\w-]{43}", answer.text)
    assert isinstance(secret, str)
    assert secret not in str(answer.url)
    return secret


def _bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}

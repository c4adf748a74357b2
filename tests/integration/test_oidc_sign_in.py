"""`AUTH_MODE=oidc`: people sign in at a real provider, and what the provider signs wrongly lets nobody in.

Holds: `identity.oidc`, `engine.provider_sign_ins`, `web.pages.oidc`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from alert_history.web.http.browser import SESSION_COOKIE
from tests import identity, servers
from tests.commands import lines, run
from tests.identity import PUBLIC_URL, Browser, Provider
from tests.oidc_provider import CHANGES, CLIENT_ID, NAMED_KEY
from tests.processes import Server, free_port

_ROLES = 'sre=admin; payments=operate {team="payments"}; staff=read'


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with identity.provider() as running:
        running.add_person("1", preferred_username="ada", email="ada@example.com", groups=["sre", "staff"])
        running.add_person("2", preferred_username="grace", groups=["staff"])
        running.add_person("3", preferred_username="eve", groups=["guests"])
        running.add_person("4", email="joan@example.com", groups="payments")
        running.add_person("5", email="mallory@example.com", email_verified=False, groups=["sre"])
        yield running


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('oidc') / 'alert_history.db'}"


@pytest.fixture(scope="module")
def server(provider: Provider, url: str) -> Iterator[Server]:
    with servers.service({"DATABASE_URL": url, "OIDC_ROLE_MAP": _ROLES, **provider.settings()}) as running:
        yield running


@pytest.fixture
def browser(server: Server) -> Iterator[Browser]:
    with Browser(server) as made:
        yield made


def test_a_person_signs_in_and_gets_to_the_page_that_was_asked_for(browser: Browser, provider: Provider) -> None:
    led = browser.get("/dashboard/settings?tz=UTC")
    assert led.headers["location"] == "../login?back=dashboard%2Fsettings%3Ftz%3DUTC"
    form = browser.get("/login?back=dashboard%2Fsettings%3Ftz%3DUTC")
    assert 'href="login/oidc?back=dashboard%2Fsettings%3Ftz%3DUTC"' in form.text
    assert urlsplit(provider.issuer).netloc in form.text
    done = browser.sign_in("1", "dashboard/settings?tz=UTC")
    assert (done.status_code, done.headers["location"]) == (303, "../../dashboard/settings?tz=UTC")
    page = browser.get("/dashboard/settings?tz=UTC")
    assert "Signed in as</i> <b>ada</b>" in page.text
    assert "Switch the mode" in page.text
    assert browser.get("/dashboard/tokens").status_code == 200  # of several groups the strongest role


def test_the_provider_is_asked_with_state_nonce_and_pkce_which_are_new_each_time(browser: Browser) -> None:
    asked = [parse_qs(urlsplit(browser.begin()).query) for _ in range(2)]
    for each in asked:
        assert each["client_id"] == [CLIENT_ID]
        assert each["redirect_uri"] == [f"{PUBLIC_URL}/login/oidc/callback"]
        assert each["code_challenge_method"] == ["S256"]
        assert "openid" in each["scope"][0].split()
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[0][name][0]) >= 43
        assert asked[0][name] != asked[1][name]


def test_groups_and_claims_say_who_it_is_and_what_they_may_do(browser: Browser) -> None:
    browser.sign_in("2")
    page = browser.get("/dashboard/settings").text
    assert "Signed in as</i> <b>grace</b>" in page
    assert "Switch the mode" not in page
    browser.sign_in("4")
    assert "Signed in as</i> <b>joan@example.com</b>" in browser.get("/dashboard/settings").text


@pytest.mark.parametrize("sub, why", [("3", "no group of yours has a role here"), ("5", "is not verified")])
def test_who_has_no_role_and_whose_name_is_not_theirs_is_told_so(browser: Browser, sub: str, why: str) -> None:
    answer = browser.sign_in(sub)
    assert answer.status_code == 403
    assert why in answer.text
    assert SESSION_COOKIE not in browser.client.cookies
    assert browser.get("/dashboard").status_code == 303


@pytest.mark.parametrize("flaw", CHANGES)
def test_an_id_token_that_is_wrong_in_one_way_lets_nobody_in(browser: Browser, provider: Provider, flaw: str) -> None:
    provider.make_wrong(flaw)
    try:
        answer = browser.sign_in("1")
    finally:
        provider.make_wrong("")
    assert answer.status_code == 403
    assert "be believed" in answer.text
    assert SESSION_COOKIE not in browser.client.cookies


@pytest.mark.parametrize("naming", ["", NAMED_KEY])
def test_a_new_key_is_found_and_one_after_the_other_once_a_minute(tmp_path: Path, naming: str) -> None:
    with identity.provider() as provider:
        provider.make_wrong(naming)
        provider.add_person("1", preferred_username="ada", groups=["sre"])
        env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}", "OIDC_ROLE_MAP": _ROLES, **provider.settings()}
        with servers.service(env) as server, Browser(server) as browser:
            assert browser.sign_in("1").status_code == 303
            provider.rotate()
            for _ in range(3):
                assert browser.sign_in("1").status_code == 303
            assert provider.seen()["/jwks"] == 2
            provider.rotate()
            assert browser.sign_in("1").status_code == 403
            assert provider.seen()["/jwks"] == 2


def test_what_one_browser_began_another_does_not_finish_and_nothing_is_finished_twice(
    browser: Browser, server: Server
) -> None:
    place = browser.consent(browser.begin(), "1")
    with Browser(server) as other:
        other.begin()
        assert other.get(place).status_code == 403
        assert SESSION_COOKIE not in other.client.cookies
    assert browser.get(place).status_code == 403  # whoever tried it first has used it up
    again = browser.consent(browser.begin(), "1")
    assert browser.get(again).status_code == 303
    assert browser.get(again).status_code == 403


@pytest.mark.parametrize(
    "query", ["", "code=x", "state=x", "code=x&state=x", "error=access_denied&state=x", "code=x&state=%00"]
)
def test_a_callback_that_nobody_began_is_refused(browser: Browser, query: str) -> None:
    answer = browser.get(f"/login/oidc/callback?{query}")
    assert answer.status_code == 403
    assert "begin anew" in answer.text


def test_what_the_provider_refuses_is_told_without_its_markup(browser: Browser) -> None:
    state = parse_qs(urlsplit(browser.begin()).query)["state"][0]
    answer = browser.get(f"/login/oidc/callback?error=%3Cb%3Eaccess_denied&state={state}")
    assert answer.status_code == 403
    assert "The provider says: &lt;b&gt;access_denied" in answer.text


def test_a_browser_that_another_provider_sent_back_is_refused(browser: Browser) -> None:
    place = browser.consent(browser.begin(), "1")
    assert browser.get(f"{place}&iss=https://evil.example").status_code == 403


def test_the_page_to_go_back_to_is_one_of_ours(browser: Browser) -> None:
    for back in ("https://evil.example", "//evil.example", "\\\\evil.example", "javascript:1"):
        assert browser.sign_in("1", back).headers["location"] in {"../../dashboard", "../../evil.example"}


def test_signing_out_ends_it_here_and_leads_to_the_provider(browser: Browser, provider: Provider) -> None:
    browser.sign_in("1")
    out = browser.post("/logout")
    assert out.status_code == 200
    place = out.headers["refresh"].removeprefix("0; url=")
    assert place.startswith(f"{provider.issuer}/oauth2/end_session?")
    asked = parse_qs(urlsplit(place).query)
    assert asked["post_logout_redirect_uri"] == [f"{PUBLIC_URL}/login?out=yes"]
    assert asked["client_id"] == [CLIENT_ID]
    assert asked["id_token_hint"][0].count(".") == 2
    assert httpx.get(place, trust_env=False).status_code == 200
    assert SESSION_COOKIE not in browser.client.cookies
    assert browser.get("/dashboard").status_code == 303


def test_an_admin_signs_a_person_out_everywhere(browser: Browser, server: Server) -> None:
    with Browser(server) as other:
        other.sign_in("2")
        assert other.get("/dashboard").status_code == 200
        browser.sign_in("1")
        browser.post("/dashboard/tokens/sign-out", key="oidc:2", actor="grace")
        time.sleep(1.1)
        assert other.get("/dashboard").status_code == 303
    assert browser.get("/dashboard").status_code == 200


def test_roles_that_changed_count_for_who_is_signed_in_already(provider: Provider, tmp_path: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}", **provider.settings()}
    with servers.service({**env, "OIDC_ROLE_MAP": "staff=admin"}) as server, Browser(server) as browser:
        browser.sign_in("2")
        assert browser.get("/dashboard/tokens").status_code == 200
        cookie = {"cookie": f"{SESSION_COOKIE}={browser.client.cookies[SESSION_COOKIE]}", "accept": "text/html"}
    for mode, status in (({"OIDC_ROLE_MAP": "staff=read"}, 403), ({"AUTH_MODE": "token"}, 303)):
        with servers.service({**env, "OIDC_ROLE_MAP": "staff=read", **mode}) as server:
            answer = httpx.get(f"{server.url}/dashboard/tokens", headers=cookie, trust_env=False, timeout=20)
            assert (mode, answer.status_code) == (mode, status)


def test_tokens_go_on_working_while_the_provider_is_away_and_the_page_says_so(
    tmp_path: Path, provider: Provider
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    away = {"OIDC_ISSUER": f"http://127.0.0.1:{free_port()}"}
    env = {"DATABASE_URL": url, "OIDC_ROLE_MAP": _ROLES, **provider.settings(), **away}
    with servers.service(env) as server, Browser(server) as browser:
        answer = browser.get("/login/oidc")
        assert answer.status_code == 503
        assert "sign in with a token" in answer.text
        assert answer.headers["retry-after"]
        done = run("token", "create", "spare", "--scope", "read", env={"DATABASE_URL": url})
        assert browser.post("/login", token=lines(done.stdout)[-1]).status_code == 303
        assert browser.get("/dashboard").status_code == 200

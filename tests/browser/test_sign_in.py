"""Signing in and out in a real browser, with a token and at a provider of another site; the warning of an open service.

Holds: `web.pages.login`, `web.pages.oidc`.
"""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests import identity, servers
from tests.browser.looking import PATIENCE_MS, check_axe, check_fit, looking
from tests.commands import lines, run


def test_a_reader_signs_in_with_a_token_on_a_phone_and_out_again(browser: Browser, tmp_path: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'alert_history.db'}", "AUTH_MODE": "token"}
    with servers.service(env) as server:
        token = lines(run("token", "create", "ada", "--scope", "read", env=env).stdout)[-1]
        with looking(browser, f"{server.url}/dashboard/history?query=disk", width=360, scheme="dark") as page:
            check_fit(page)
            check_axe(page)
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/dashboard/history?query=disk")
            expect(page.locator(".who")).to_contain_text("ada")
            check_fit(page)
            check_axe(page)
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("status")).to_have_text("You are signed out.")
            page.go_back()
            expect(page).to_have_title("Sign in · Alert History")  # nothing of the page was kept


def test_a_person_signs_in_at_a_provider_of_another_site_and_out_of_both(browser: Browser, tmp_path: Path) -> None:
    with identity.provider() as provider:
        provider.add_person("1", preferred_username="ada", groups=["sre"])
        issuer = provider.issuer.replace("127.0.0.1", "localhost")  # another site than ours
        env = {
            **provider.settings(),
            "DATABASE_URL": f"sqlite:///{tmp_path / 'alert_history.db'}",
            "OIDC_ISSUER": issuer,
            "OIDC_ROLE_MAP": "sre=admin",
        }
        with servers.unstarted_service(env) as server, browser.new_context() as context:
            server.environment = {**server.environment, "PUBLIC_URL": server.url}
            server.start()
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{server.url}/dashboard/settings")
            page.get_by_role("link", name="Sign in with localhost").click()
            page.locator("input[name=sub]").first.fill("1")
            page.locator("form button").first.click()
            page.wait_for_url(f"{server.url}/dashboard/settings")
            expect(page.locator(".who")).to_contain_text("ada")
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url(f"{issuer}/oauth2/end_session?**")
            page.goto(f"{server.url}/dashboard/settings")
            expect(page).to_have_title("Sign in · Alert History")


def test_the_warning_is_read_and_fits(browser: Browser, tmp_path: Path) -> None:
    with (
        servers.service({"DATABASE_URL": f"sqlite:///{tmp_path / 'alert_history.db'}"}) as server,
        looking(browser, f"{server.url}/dashboard/tokens", width=360, scheme="dark") as page,
    ):
        expect(page.get_by_role("complementary", name="Warning")).to_contain_text("AUTH_MODE is unset")
        check_fit(page)
        check_axe(page)

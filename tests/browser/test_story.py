"""One alert's story in a real browser: who was told is read first, people act on it without script, it fits a phone.

Holds: `web.pages.story`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests import servers
from tests.browser.looking import OPEN_ALL, check_axe, check_fit, looking
from tests.browser.pages import fill_hostile, find_alerts
from tests.processes import Server, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service whose alerts are hostile throughout."""
    folder: Path = tmp_path_factory.mktemp("story")
    with servers.service({"DATABASE_URL": f"sqlite:///{folder / 'alert_history.db'}"}) as made:
        fill_hostile(made)
        yield made


def _story(server: Server, **asked: str) -> str:
    """The story of such an alert, as soon as there is one: the demo is filled while it serves."""
    alerts = wait_until(lambda: find_alerts(server, limit="1", **asked), f"an alert of {asked}")
    return f"{server.url}/dashboard/alerts/{alerts[0]['id']}"


def test_who_was_told_is_read_first_and_people_act_without_script(browser: Browser, server: Server) -> None:
    url = _story(server, status="firing")
    with looking(browser, url, width=360, scheme="dark", java_script_enabled=False) as page:
        first = page.get_by_role("main").locator("p.sentence, h2").first
        assert first.inner_text() == "Nobody was notified: Alert History has no targets."
        form = page.get_by_role("form", name="Acknowledge, or write a note")
        assert page.get_by_label("Your name").count() == 1
        form.get_by_label("Your name").fill("Ada <b>")
        form.get_by_role("button", name="Acknowledge").click()
        assert page.get_by_role("status").inner_text() == "You take care of it now."
        assert page.get_by_text("Ada <b> takes care of it").is_visible()
        assert form.get_by_label("Your name").input_value() == "Ada <b>", "the name is remembered"
        form.get_by_label("Note (optional when acknowledging)").fill("The disk is being grown")
        form.get_by_role("button", name="Add note").click()
        assert page.get_by_role("status").inner_text() == "Your note is kept."
        assert page.locator("#people").get_by_text("The disk is being grown").is_visible()


def test_a_hostile_story_fits_a_phone_at_night_and_nothing_of_it_is_run(browser: Browser, server: Server) -> None:
    with looking(browser, _story(server, status="firing"), width=360, scheme="dark") as page:
        page.evaluate(OPEN_ALL)
        check_fit(page)
        assert not page.evaluate("window.hit")
        assert page.locator('a[href^="javascript:" i], img[src*=evil]').count() == 0
        check_axe(page)


def test_a_story_of_the_demo_has_its_runbook_lanes_and_what_fired_around_it(browser: Browser, demo: Server) -> None:
    with looking(browser, _story(demo, alertname="PostgresReadOnly")) as page:
        assert page.get_by_role("link", name="Runbook", exact=True).get_attribute("href") is not None
        silence = page.get_by_role("link", name="Silence it in Alertmanager").get_attribute("href")
        assert silence is not None
        assert "/#/silences/new?filter=%7Balertname%3D%22PostgresReadOnly%22" in silence
        assert page.get_by_role("group", name="Firing").is_visible()
        assert page.locator("#around").get_by_role("link", name="CheckoutErrorRateHigh").count() == 1
        check_fit(page)
        check_axe(page)

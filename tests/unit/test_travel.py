"""Pages of a past moment: how a reader gets there and back, what the frame says, and that nothing is done there.

Holds: `web.pages.travel`, `web.pages.reader_time`.
"""

import re
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from alert_history.domain.grant import EVERYBODY
from alert_history.domain.permission import Permission
from alert_history.engine.caller import set_caller
from alert_history.web.pages.frame import Firing, Frames
from alert_history.web.pages.page import HOME, Page, page_response
from alert_history.web.pages.travel import PREFIX, TELLINGS, departure, travel_of, without_prefix

NOW = datetime(2026, 11, 27, 22, 30, tzinfo=UTC)
THEN = "2026-11-27T03:00:00Z"


async def seven() -> Firing | None:
    return Firing({"critical": 7})


def page(path: str, current: str) -> Page:
    async def show(request: Request) -> Response:
        frame = await Frames(clock=lambda: NOW, count_firing=seven).of(request, current)
        return page_response(
            frame, "page/message.html.jinja", title="A page", text=str(frame.now), back=HOME, tagline=""
        )

    return Page(path=path, handle=show, needs=Permission.READ)


async def act(_: Request) -> Response:
    return PlainTextResponse("done")


@pytest.fixture
def client() -> TestClient:
    set_caller(EVERYBODY)
    served = [
        page("/dashboard", "dashboard"),
        page("/dashboard/rules", "dashboard/rules"),
        page("/dashboard/settings", "dashboard/settings"),
        Page(path="/dashboard/act", method="POST", handle=act, needs=Permission.OPERATE),
        Page(path="/dashboard/zone", method="POST", handle=act, needs=Permission.READ),
    ]
    router = Starlette(routes=[each.for_router() for each in served])

    async def serve(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await router(without_prefix(dict(scope)), receive, send)

    return TestClient(serve, follow_redirects=False)


def links(client: TestClient, path: str) -> list[str]:
    """Where the links and forms of a page lead."""
    html = client.get(path).text
    return [urljoin(path, unescape(each)) for each in re.findall(r'(?:href|action)="([^"#]+)"', html)]


@pytest.mark.parametrize(
    "asked, place",
    [
        (f"/dashboard?at={THEN}", f"./at/{THEN}/dashboard"),
        (f"/dashboard/rules?query=x%26y&at={THEN}", f"../at/{THEN}/dashboard/rules?query=x%26y"),
        ("/dashboard?at=2026-11-27T03:00&tz=Europe/Berlin", "./at/2026-11-27T02:00:00Z/dashboard?tz=Europe%2FBerlin"),
        (f"/at/2026-11-01T00:00:00Z/dashboard/rules?at={THEN}", f"../../../at/{THEN}/dashboard/rules"),
        (f"/at/{THEN}/dashboard/rules?at=now", "../../../dashboard/rules"),
    ],
)
def test_a_moment_among_the_parameters_leads_to_the_page_of_that_moment(
    client: TestClient, asked: str, place: str
) -> None:
    answer = client.get(asked)
    assert (answer.status_code, answer.headers["location"]) == (303, place)


def test_a_time_that_counts_from_now_is_made_a_moment(client: TestClient) -> None:
    place = client.get("/dashboard?at=-6h").headers["location"]
    assert re.fullmatch(r"\./at/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/dashboard", place)


@pytest.mark.parametrize(
    "text, reason",
    [("soon", "is no time"), ("2999-01-01T00:00:00Z", "has not come yet"), ("1960-01-01", "no history from before")],
)
@pytest.mark.parametrize("form", ["/dashboard?at={}", "/at/{}/dashboard"])
def test_a_wrong_moment_is_said_on_a_page_that_leads_back_to_now(
    client: TestClient, form: str, text: str, reason: str
) -> None:
    path = form.format(text)
    answer = client.get(path)
    assert answer.status_code == 400
    assert reason in unescape(answer.text)
    assert not [link for link in links(client, path) if link.startswith(f"{PREFIX}{text}/")]


def test_all_links_of_a_page_of_the_past_stay_there_but_for_those_to_the_present(client: TestClient) -> None:
    path = f"/at/{THEN}/dashboard/rules"
    kept = [link for link in links(client, path) if link.startswith(f"/at/{THEN}/")]
    left = {link.split("?")[0] for link in links(client, path) if not link.startswith(PREFIX)}
    assert f"/at/{THEN}/dashboard/silences" in kept
    assert {link for link in left if "/assets/" not in link} == {"/docs", "/dashboard/rules"}


def test_the_frame_says_that_this_is_not_now_and_counts_nothing_of_now(client: TestClient) -> None:
    html = client.get(f"/at/{THEN}/dashboard/rules").text
    assert "You look at" in html
    assert "2026-11-27 03:00 UTC</time>, 19 h ago." in html
    assert TELLINGS["dashboard/rules"].words in unescape(html)
    assert "(7)" not in html
    assert "firing-count" not in html
    assert str(datetime(2026, 11, 27, 3, tzinfo=UTC)) in html  # its now is then
    assert "You look at" not in client.get("/dashboard/rules").text


def test_a_page_that_knows_no_past_says_that_it_shows_now(client: TestClient) -> None:
    html = client.get(f"/at/{THEN}/dashboard/settings").text
    assert "it shows what is so now" in html
    assert str(NOW) in html
    assert '<fieldset class="frozen" disabled' in html
    assert '<fieldset class="frozen"' not in client.get("/dashboard/settings").text


def test_nothing_is_done_in_the_past_but_what_changes_the_reader_alone(client: TestClient) -> None:
    refused = client.post(f"/at/{THEN}/dashboard/act")
    assert refused.status_code == 409
    assert "what you do is done now" in refused.text
    assert client.post("/dashboard/act").text == "done"
    assert client.head(f"/at/{THEN}/dashboard/rules").status_code == 200
    assert client.post(f"/at/{THEN}/dashboard/zone").text == "done"


def test_what_is_no_page_is_left_as_it_is() -> None:
    for path in ("/at/x/api/v2/alerts", "/at/x//webhook", "/at/x", "/attic/x/dashboard", "/dashboard"):
        scope = {"type": "http", "path": path}
        assert without_prefix(scope) is scope


@given(st.integers(0, 56 * 365 * 86_400_000_000), st.sampled_from(["/dashboard/rules", "/"]))
def test_any_moment_survives_its_way_through_an_address(before_us: int, path: str) -> None:
    moment = NOW.replace(microsecond=0) - timedelta(microseconds=before_us)
    asked = Request({**_scope(path), "query_string": urlencode({"at": moment.isoformat()}).encode()})
    answer = departure(asked, UTC, now=NOW)
    assert answer is not None
    scope = without_prefix({**_scope(urljoin(path, answer.headers["location"]))})
    travel = travel_of(Request(dict(scope)), UTC, now=NOW)
    assert travel is not None
    assert (travel.at, scope["path"]) == (moment, path)


def _scope(path: str) -> dict[str, object]:
    return {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "state": {}}

"""The frame of the pages: where it leads, whose clocks it shows, and parts that arrive one by one.

Holds: `web.pages.frame`, `web.pages.streaming`, `web.pages.assets`, `web.pages.zone`.
"""

import gzip
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from alert_history.domain.permission import Permission
from alert_history.errors import InvalidQuery, StorageUnavailable
from alert_history.web.pages import page as pages
from alert_history.web.pages.assets import PATH, asset_path, serve_asset
from alert_history.web.pages.frame import ZONE_COOKIE, Firing, Frames, length_words
from alert_history.web.pages.page import Page
from alert_history.web.pages.streaming import streamed
from alert_history.web.pages.travel import root_of
from alert_history.web.pages.zone import zone_page

NOW = datetime(2026, 11, 27, 22, 30, tzinfo=UTC)
TEMPLATE = """{% extends "page/frame.html.jinja" %}
{% block content %}<i>{{ part("one") }}</i><b>{{ part("two") }}</b>{% endblock %}"""


async def nobody() -> Firing | None:
    return None


async def show(request: Request) -> Response:
    async def one() -> str:
        return "<p>first</p>"

    async def two() -> str:
        raise StorageUnavailable("the database is away")

    frames = Frames(clock=lambda: NOW, count_firing=nobody)
    frame = await frames.of(request, "dashboard")
    return await streamed(request, frame, "two_parts.html", {"one": one, "two": two})


async def refuse(_: Request) -> Response:
    raise InvalidQuery("query: there is no label")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    own = DictLoader({"two_parts.html": TEMPLATE})
    loaders = [own, *filter(None, [pages.environment().loader])]
    environment = pages.environment().overlay(loader=ChoiceLoader(loaders))
    monkeypatch.setattr(pages, "environment", lambda: environment)
    served = [
        Page(path="/dashboard/two", handle=show, needs=Permission.READ),
        Page(path="/dashboard/refuse", handle=refuse, needs=Permission.READ),
        zone_page(),
        Page(path=PATH, handle=serve_asset, needs=Permission.PUBLIC),
    ]
    with TestClient(Starlette(routes=[each.for_router() for each in served])) as made:
        yield made


def test_parts_stand_where_the_template_says_and_a_fault_stays_in_its_place(client: TestClient) -> None:
    html = client.get("/dashboard/two").text
    assert "<i><p>first</p></i>" in html
    assert "the database is away" in html.split("<b>")[1].split("</b>")[0]
    assert html.rstrip().endswith("</html>")


def test_a_part_can_be_asked_for_alone(client: TestClient) -> None:
    answer = client.get("/dashboard/two?part=one")
    assert answer.text == "<p>first</p>"
    assert "script-src 'self' 'nonce-" in answer.headers["content-security-policy"]


def test_a_page_is_compressed_for_who_can_read_it(client: TestClient) -> None:
    with client.stream("GET", "/dashboard/two", headers={"accept-encoding": "gzip"}) as answer:
        content = gzip.decompress(b"".join(answer.iter_raw()))
    assert answer.headers["content-encoding"] == "gzip"
    assert b"<p>first</p>" in content
    assert "content-encoding" not in client.get("/dashboard/two", headers={"accept-encoding": "identity"}).headers


def test_nothing_on_it_is_inline_and_every_script_has_the_nonce_of_its_answer(client: TestClient) -> None:
    first, second = client.get("/dashboard/two"), client.get("/dashboard/two")
    assert "<style" not in first.text
    assert " style=" not in first.text
    nonce = first.headers["content-security-policy"].split("'nonce-")[1].split("'")[0]
    assert first.text.count("<script") == first.text.count(f'nonce="{nonce}"')
    assert nonce not in second.headers["content-security-policy"]


def test_htmx_and_its_extensions_come_in_one_file(client: TestClient) -> None:
    """An extension that comes after htmx 4.0.1 has begun is never asked to connect anything."""
    scripts = [
        path for path in re.findall(r'<script src="([^"]+)"', client.get("/dashboard/two").text) if "vendor" in path
    ]
    assert [path.rpartition("/")[2] for path in scripts] == ["htmx.min.js"]
    text = client.get(scripts[0].replace("../", "/")).text
    places = [text.find(part) for part in ("var htmx=", 'registerExtension("hx-csp"', 'registerExtension("sse"')]
    assert places == sorted(places)
    assert -1 not in places


def test_an_error_of_ours_is_a_page_that_says_it(client: TestClient) -> None:
    answer = client.get("/dashboard/refuse")
    assert answer.status_code == 400
    assert "there is no label" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_a_link_names_a_zone_for_its_page_alone(client: TestClient) -> None:
    asked = client.get("/dashboard/two?tz=Europe/Berlin")
    assert "times in Europe/Berlin" in asked.text
    assert "times in UTC" in client.get("/dashboard/two").text
    assert client.get("/dashboard/two?tz=Nowhere/Land").status_code == 400


@pytest.mark.parametrize(
    "back, leads_to",
    [
        ("dashboard/two?since=-1h", "../dashboard/two?since=-1h"),
        ("//evil.example/x", "../evil.example/x"),
        ("https://evil.example/x", "../dashboard"),
        ("", "../dashboard"),
    ],
)
def test_the_form_keeps_a_zone_and_leads_back_to_a_page_of_ours(client: TestClient, back: str, leads_to: str) -> None:
    answer = _set_zone(client, "Asia/Kathmandu", back=back)
    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)
    assert "times in Asia/Kathmandu" in client.get("/dashboard/two").text
    assert "times in Asia/Kathmandu" in client.get("/dashboard/refuse").text, "an error has the same clocks"


def test_no_other_site_and_no_unknown_zone_is_kept(client: TestClient) -> None:
    assert _set_zone(client, "Nowhere/Land").status_code == 400
    assert (
        client.post("/dashboard/zone", data={"tz": "UTC"}, headers={"origin": "http://evil.example"}).status_code == 403
    )
    assert ZONE_COOKIE not in client.cookies


def _set_zone(client: TestClient, tz: str, *, back: str = "") -> Any:
    headers = {"origin": str(client.base_url)}
    return client.post("/dashboard/zone", data={"tz": tz, "back": back}, headers=headers, follow_redirects=False)


def test_the_answer_to_a_form_leads_to_no_address_that_only_forms_have(client: TestClient) -> None:
    assert 'name="back" value="dashboard"' in _set_zone(client, "Nowhere/Land").text


@pytest.mark.parametrize("accepted", ["identity, gzip;q=0", "gzip;q=0.0", "not-gzip", ""])
def test_who_can_not_read_gzip_gets_none(client: TestClient, accepted: str) -> None:
    assert "content-encoding" not in client.get("/dashboard/two", headers={"accept-encoding": accepted}).headers


def test_an_unusable_zone_that_was_kept_is_utc(client: TestClient) -> None:
    client.cookies.set("alert-history-tz", "Nowhere%2FLand")
    assert "times in UTC" in client.get("/dashboard/two").text


def test_files_are_kept_for_good_under_their_digest_only(client: TestClient) -> None:
    current = client.get(f"/{asset_path('frame.css')}")
    assert "immutable" in current.headers["cache-control"]
    assert current.headers["content-type"].startswith("text/css")
    old = client.get("/assets/000000000000/frame.css")
    assert old.headers["cache-control"] == "no-cache"
    assert old.content == current.content


@pytest.mark.parametrize("name", ["nothing.css", "../page.py", "vendor", "vendor/lock.json", "%2e%2e/page.py", "..css"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/assets/000000000000/{name}").status_code == 404


@pytest.mark.parametrize(
    "path, root",
    [("/", "./"), ("/dashboard", "./"), ("/dashboard/history", "../"), ("/dashboard/alerts/x", "../../")],
)
def test_links_lead_to_the_root_from_every_depth(path: str, root: str) -> None:
    assert root_of(path) == root


@pytest.mark.parametrize(
    "length, words",
    [
        (timedelta(seconds=40), "40 s"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(minutes=12, seconds=3), "12 min"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
        (timedelta(days=30, hours=4), "30 d"),
    ],
)
def test_lengths_are_told_in_their_two_largest_units(length: timedelta, words: str) -> None:
    assert length_words(length.total_seconds()) == words

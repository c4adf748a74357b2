"""No page and no call takes a form of a page of another site. The table of permissions says what there is."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings
from alert_history.web.application import Application
from alert_history.web.ingest.paths import PATHS

_PARAMETER = "0123456789abcdef"  # which is a fingerprint, too
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
]
_SIGNED = {"POST /webhook/pagerduty", "POST /webhook/rootly"}
"""What a vendor's signature guards, and no cookie opens."""
_ONLY_READS = {"POST /mcp"}
"""What changes nothing, though it is asked by POST."""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Application:
    url = f"sqlite:///{tmp_path_factory.mktemp('cross') / 'unopened.db'}"
    return make_application(make_service(load_settings({"DATABASE_URL": url, "AUTH_MODE": "none"})))


@pytest.fixture
async def client(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]  # it is one, its messages are dicts
    async with httpx.AsyncClient(transport=transport, base_url="http://alerts.example") as made:
        yield made


async def test_every_path_that_changes_something_refuses_a_form_of_another_site(
    application: Application, client: httpx.AsyncClient
) -> None:
    changing = [name for name in application.permissions if not name.startswith("GET ")]
    changing = [name for name in changing if name.partition(" ")[2] not in PATHS and name not in _SIGNED | _ONLY_READS]
    assert len(changing) > 20
    for name in changing:
        method, _, path = name.partition(" ")
        for headers in _FOREIGN:
            answer = await client.request(
                method, re.sub(r"\{\w+\}", _PARAMETER, path), content="token=x", headers=_FORM | headers
            )
            assert (name, headers, answer.status_code) in [(name, headers, 403), (name, headers, 415)]


async def test_a_form_without_the_marks_of_a_browser_is_no_page_of_ours(
    application: Application, client: httpx.AsyncClient
) -> None:
    pages = [name for name in application.permissions if re.match(r"POST /(dashboard|classifications|log)", name)]
    assert len(pages) > 15
    for name in pages:
        answer = await client.post(re.sub(r"\{\w+\}", _PARAMETER, name.partition(" ")[2]), content="", headers=_FORM)
        assert (name, answer.status_code) == (name, 403)

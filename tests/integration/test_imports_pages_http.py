"""The page of imports as a browser without script sees it: a form, a dry run, the same for real, and back.

Holds: `web.pages.imports`, `web.pages.import_forms`; what a story and the quarantine say of an import.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import servers
from tests.gated_origin import Gate
from tests.processes import Server, wait_until

_SECRET = "s3cret-of-nobody"  # noqa: S105  # made up
_OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    made = Gate(tmp_path_factory.mktemp("plugin"))
    made.open()
    return made


@pytest.fixture(scope="module")
def server(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("pages")
    env = {"DATABASE_URL": f"sqlite:///{folder}/alert_history.db", "AUTH_MODE": "none", **gate.environment}
    with servers.service(env) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30, follow_redirects=True) as made:
        yield made


def send(client: httpx.Client, origin: str = "gated", **fields: Any) -> httpx.Response:
    named = {
        name if name in {"start", "end", "scope", "dry_run"} else f"option.{name}": fields[name] for name in fields
    }
    files = {name: (None, value) for name, value in named.items()}
    return client.post(f"/dashboard/imports/{origin}", files=files or {"x": (None, "y")}, headers=_OURS)


def settled(client: httpx.Client, answer: httpx.Response) -> str:
    """The page of an import when it is over."""
    path = answer.url.path
    wait_until(lambda: 'id="running"' not in client.get(path).text, "it is over")
    return client.get(path).text


def test_a_dry_run_leads_to_the_real_one_without_its_secret(client: httpx.Client) -> None:
    answer = send(client, url="http://old:9", key=_SECRET, scope="dry", dry_run="yes")
    assert answer.status_code == 200
    assert re.fullmatch(r"/dashboard/imports/gated/[\w-]{36}", answer.url.path)
    page = settled(client, answer)
    assert "<strong>Nothing was written.</strong>" in page
    assert "Would be taken" in page
    assert 'name="option.url" value="http://old:9"' in page
    assert 'name="scope" value="dry"' in page
    assert "Give again: key." in page
    assert _SECRET not in page
    done = settled(client, send(client, url="http://old:9", key=_SECRET, scope="dry", dry_run=""))
    assert '<dd>400</dd><dd class="hint">new occurrences</dd>' in done
    assert _SECRET not in done


def test_a_dry_run_without_a_secret_is_done_for_real_by_one_button(client: httpx.Client) -> None:
    page = settled(client, send(client, url="http://old:9", scope="one", dry_run="yes"))
    hidden = dict(
        re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.split("Bring it in</h2>")[1])
    )
    assert hidden == {"option.url": "http://old:9", "scope": "one"}


def test_what_is_wrong_stands_in_the_form_again_without_the_secret(client: httpx.Client) -> None:
    answer = send(client, url="http://169.254.169.254/", key=_SECRET, header="X", start="long ago")
    assert answer.status_code == 422
    assert "Nothing was started." in answer.text
    for words in ("header: it is not NAME=VALUE", "a cloud&#39;s metadata address", "is no time"):
        assert words in answer.text
    assert 'value="http://169.254.169.254/"' in answer.text
    assert 'value="long ago"' in answer.text
    assert _SECRET not in answer.text


def test_a_failed_one_says_why_and_offers_to_go_on(client: httpx.Client) -> None:
    page = settled(client, send(client, url="http://old:9", mood="bad", scope="bad"))
    assert "http://old: it answers 500: broken" in page
    assert ">Go on</button>" in page
    assert '<input type="hidden" name="option.mood" value="bad">' in page
    assert "it answers 500" in client.get("/dashboard/imports").text


def test_what_it_refused_and_what_it_brought_in_lead_back_to_it(client: httpx.Client) -> None:
    answer = send(client, url="http://old:9", scope="back")
    path = answer.url.path
    page = settled(client, answer)
    quarantine = re.search(r'href="([^"]*dashboard/quarantine\?source=gated&amp;reason=[^"]+)"', page)
    assert quarantine is not None
    listed = client.get(str(httpx.URL(f"{client.base_url}{path}").join(quarantine[1].replace("&amp;", "&")))).text
    assert "row 7: it has no start" in listed
    assert re.search(r'dashboard/imports/gated/[\w-]+">an import from Gated system</a>', listed), (
        "the first that saw it"
    )
    one = re.search(r'href="[./]*(dashboard/quarantine/[\w-]+)"', listed)
    assert one is not None
    assert re.search(r'dashboard/imports/gated/[\w-]+">from Gated system</a>', client.get(f"/{one[1]}").text)
    alerts = client.get("/history", params={"query": '{alertname="Past"}', "since": "-60d"}).json()["alerts"]
    (alert, *_) = [each for each in alerts if each["scope"] == "back"]
    story = client.get(f"/dashboard/alerts/{alert['id']}").text
    assert "Brought in by an import from <b>Gated system</b> on " in story
    assert f'{path.removeprefix("/")}">See the import</a>' in story
    assert "Nobody was notified, because it was brought in by an import." in story
    assert "by an import; nobody sent it here" in story
    assert "received first" not in story


def test_one_click_and_one_more_take_it_back(client: httpx.Client) -> None:
    answer = send(client, url="http://old:9", scope="away")
    path = answer.url.path
    assert "Yes, take it back" in settled(client, answer)
    assert client.post(f"{path}/undo").status_code == 403, "no page of ours sent it"
    undone = client.post(f"{path}/undo", headers=_OURS)
    assert (undone.status_code, undone.url.path) == (200, path)
    assert "It was taken back: 400 occurrences were removed" in settled(client, undone)
    assert client.post(f"{path}/undo", headers=_OURS).status_code == 400


def test_while_it_runs_the_part_renews_itself_and_then_the_page(client: httpx.Client, gate: Gate) -> None:
    gate.close()
    answer = send(client, url="http://old:9", scope="slow")
    path = answer.url.path
    try:
        wait_until(lambda: "Reading 50 %" in client.get(path).text, "half of it is read")
        page = client.get(path).text
        again = re.search(r'hx-get="(\?part=running[^"]+)"', page)
        assert again is not None
        assert re.search(r'<noscript><meta http-equiv="refresh" content="5;url=\?seen=[^"]+"></noscript>', page)
        part = client.get(f"{path}{again[1].replace('&amp;', '&')}")
        assert (part.headers.get("hx-refresh"), "<html" in part.text) == (None, False)
        assert "201 read" in part.text
        assert path.removeprefix("/dashboard/") in client.get("/dashboard/imports").text.split("Bring in from")[0]
    finally:
        gate.open()
    settled(client, answer)
    over = client.get(f"{path}{again[1].replace('&amp;', '&')}")
    assert over.headers["hx-refresh"] == "true"


def test_what_is_not_there_is_told_as_that(client: httpx.Client) -> None:
    for path in ("/dashboard/imports/nix", "/dashboard/imports/gated/nix"):
        assert client.get(path).status_code == 404


def test_the_history_of_a_new_installation_tells_of_imports(client: httpx.Client) -> None:
    html = client.get("/dashboard/history?since=2020-01-01&until=2020-01-02").text
    assert 'dashboard/imports">Bring your past</a>' in html

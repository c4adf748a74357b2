"""Each route × each role × the alerts of another team: who is let in, what is shown, and what is counted.

The examples are one for each route that is served: a new route without one fails here. Whoever is narrowed to a team
must get the very answers of a service that holds this team's alerts alone.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import msgspec
import pytest

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings
from alert_history.domain.grant import check_scopes, permissions_of
from alert_history.domain.permission import Permission
from tests import servers, two_teams
from tests.payloads import alert, webhook
from tests.processes import Server
from tests.servers import PostgresServer
from tests.streams import read_stream
from tests.two_teams import MARK, OTHER, OWN, ROLES, Place, Team


class Example(NamedTuple):
    """A request for a route. Its places are filled with the ids of a team."""

    target: str
    json: Any = None
    form: Mapping[str, str] | None = None


_SPAN = "since={since}&until={until}"
_STATISTICS = f"?{_SPAN}&compare=previous"
_WEBHOOK = msgspec.json.decode(webhook(alert(1, alertname="Sent")))

_NO_SILENCE = "00000000-0000-4000-8000-000000000000"

_ALERTMANAGERS = {
    f"GET {prefix}/api/v2/{path}": Example(f"{place}/api/v2/{path}".replace("{silenceID}", _NO_SILENCE))
    for prefix, place in {
        "": "",
        "/am/{name}": "/am/no-such",
        "/at/{moment}": "/at/{until}",
        "/at/{moment}/am/{name}": "/at/{until}/am/no-such",
    }.items()
    for path in ("alerts", "alerts/groups", "receivers", "silence/{silenceID}", "silences", "status")
}

EXAMPLES: dict[str, Example] = {
    # --- public
    "GET /assets/{digest}/{name:path}": Example("/assets/0/page.css"),
    "GET /docs": Example("/docs"),
    "GET /healthz": Example("/healthz"),
    "GET /metrics": Example("/metrics"),
    "GET /openapi.json": Example("/openapi.json"),
    "GET /readyz": Example("/readyz"),
    "GET /login": Example("/login"),
    "POST /login": Example("/login", form={"token": "wrong"}),
    "POST /logout": Example("/logout", form={"x": "y"}),
    "POST /webhook/pagerduty": Example("/webhook/pagerduty", json={}),
    "POST /webhook/rootly": Example("/webhook/rootly", json={}),
    # --- ingest
    "POST /api/v2/alerts": Example("/api/v2/alerts", json=[]),
    "POST /webhook": Example("/webhook", json=_WEBHOOK),
    "POST /webhook/proxy": Example("/webhook/proxy", json=_WEBHOOK),
    # --- read
    "GET /": Example(f"/?{_SPAN}"),
    "GET /api/v1/alerts": Example("/api/v1/alerts?limit=1000"),
    "GET /api/v1/alerts/{id}": Example("/api/v1/alerts/{alert}"),
    "GET /api/v1/alerts/{id}/around": Example("/api/v1/alerts/{alert}/around"),
    "GET /api/v1/alerts/{id}/similar": Example("/api/v1/alerts/{alert}/similar"),
    "GET /api/v1/alerts/{id}/timeline": Example("/api/v1/alerts/{alert}/timeline"),
    "GET /api/v1/alerts/{id}/why": Example("/api/v1/alerts/{alert}/why"),
    "GET /api/v1/deliveries": Example("/api/v1/deliveries?limit=1000"),
    "GET /api/v1/labels": Example("/api/v1/labels"),
    "GET /api/v1/labels/{name}/values": Example("/api/v1/labels/pod/values"),
    "GET /api/v1/notifications": Example("/api/v1/notifications?limit=200"),
    "GET /api/v1/quarantine": Example("/api/v1/quarantine"),
    "GET /api/v1/report/night": Example("/api/v1/report/night?since={since}&until={until}"),
    "GET /api/v1/silences": Example("/api/v1/silences"),
    "GET /api/v1/silences/{id}": Example("/api/v1/silences/no-such-silence"),
    "GET /api/v1/stats/durations": Example(f"/api/v1/stats/durations{_STATISTICS}&by=alertname"),
    "GET /api/v1/stats/facets": Example(f"/api/v1/stats/facets{_STATISTICS}"),
    "GET /api/v1/stats/flapping": Example(f"/api/v1/stats/flapping{_STATISTICS}"),
    "GET /api/v1/stats/heatmap": Example(f"/api/v1/stats/heatmap{_STATISTICS}"),
    "GET /api/v1/stats/noise": Example(f"/api/v1/stats/noise{_STATISTICS}"),
    "GET /api/v1/stats/response": Example(f"/api/v1/stats/response{_STATISTICS}"),
    "GET /api/v1/stats/rules": Example(f"/api/v1/stats/rules{_STATISTICS}"),
    "GET /api/v1/stats/series": Example(f"/api/v1/stats/series{_STATISTICS}&by=alertname"),
    "GET /api/v1/stats/together": Example(f"/api/v1/stats/together{_STATISTICS}"),
    "GET /api/v1/stream": Example("/api/v1/stream"),
    **_ALERTMANAGERS,
    "GET /classification/models": Example("/classification/models"),
    "GET /classification/stats": Example("/classification/stats"),
    "GET /classification/{fingerprint}": Example("/classification/{fingerprint}"),
    "GET /classifications": Example("/classifications"),
    "GET /dashboard": Example(f"/dashboard?{_SPAN}"),
    "GET /dashboard/alerts/{id}": Example("/dashboard/alerts/{alert}"),
    "GET /dashboard/history": Example(f"/dashboard/history?{_SPAN}"),
    "GET /dashboard/history/export": Example(f"/dashboard/history/export?{_SPAN}"),
    "GET /dashboard/history/live": Example("/dashboard/history/live"),
    "GET /dashboard/night": Example("/dashboard/night"),
    "GET /dashboard/night/{date}": Example("/dashboard/night/{date}"),
    "GET /dashboard/notifications": Example(f"/dashboard/notifications?{_SPAN}"),
    "GET /dashboard/quarantine": Example("/dashboard/quarantine"),
    "GET /dashboard/quarantine/{id}": Example("/dashboard/quarantine/{quarantined}"),
    "GET /dashboard/rules": Example(f"/dashboard/rules?{_SPAN}"),
    "GET /dashboard/settings": Example("/dashboard/settings"),
    "GET /dashboard/silences": Example("/dashboard/silences"),
    "GET /dashboard/sources": Example("/dashboard/sources"),
    "GET /dashboard/targets": Example("/dashboard/targets"),
    "GET /enrichment/mode": Example("/enrichment/mode"),
    "GET /history": Example("/history?limit=1000"),
    "GET /publishing/explain": Example("/publishing/explain?labels=%7Balertname%3D%22A%22%7D"),
    "GET /publishing/mode": Example("/publishing/mode"),
    "GET /publishing/routes": Example("/publishing/routes"),
    "GET /publishing/stats": Example("/publishing/stats"),
    "GET /publishing/targets": Example("/publishing/targets"),
    "GET /report": Example(f"/report{_STATISTICS}"),
    "POST /dashboard/zone": Example("/dashboard/zone", form={"tz": "UTC"}),
    "POST /mcp": Example("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    # --- operate
    "DELETE /am/{name}/api/v2/silence/{silenceID}": Example(f"/am/no-such/api/v2/silence/{_NO_SILENCE}"),
    "DELETE /api/v2/silence/{silenceID}": Example(f"/api/v2/silence/{_NO_SILENCE}"),
    "POST /am/{name}/api/v2/silences": Example("/am/no-such/api/v2/silences", json={}),
    "POST /api/v2/silences": Example("/api/v2/silences", json={}),
    "POST /api/v1/alerts/{id}/acknowledge": Example("/api/v1/alerts/{alert}/acknowledge", json={"text": "mine"}),
    "POST /api/v1/alerts/{id}/notes": Example("/api/v1/alerts/{alert}/notes", json={"text": "a note"}),
    "POST /api/v1/deliveries/{id}/replay": Example("/api/v1/deliveries/{delivery}/replay"),
    "POST /classification/classify": Example("/classification/classify", json={"fingerprint": "{fingerprint}"}),
    "POST /classification/{fingerprint}/correction": Example(
        "/classification/{fingerprint}/correction", json={"severity": "info"}
    ),
    "POST /classifications/{fingerprint}/correction": Example(
        "/classifications/{fingerprint}/correction", form={"severity": "info"}
    ),
    "POST /dashboard/alerts/{id}/acknowledge": Example("/dashboard/alerts/{alert}/acknowledge", form={"text": "x"}),
    "POST /dashboard/alerts/{id}/notes": Example("/dashboard/alerts/{alert}/notes", form={"text": "x"}),
    "POST /dashboard/history/views": Example("/dashboard/history/views", form={"name": "mine", "state": "query=a"}),
    "POST /dashboard/history/views/{id}/delete": Example("/dashboard/history/views/{view}/delete", form={"x": "y"}),
    "POST /dashboard/history/views/{id}/rename": Example(
        "/dashboard/history/views/{view}/rename", form={"name": "other"}
    ),
    "POST /dashboard/notifications/replay": Example("/dashboard/notifications/replay", form={"delivery": "{delivery}"}),
    "POST /dashboard/settings/mode": Example("/dashboard/settings/mode", form={"mode": "transparent"}),
    "POST /dashboard/targets/refresh": Example("/dashboard/targets/refresh", form={"x": "y"}),
    "POST /dashboard/targets/replay": Example("/dashboard/targets/replay", form={"target": f"{MARK}-pager"}),
    "POST /dashboard/targets/test": Example("/dashboard/targets/test", form={"target": f"{MARK}-pager"}),
    "POST /enrichment/mode": Example("/enrichment/mode", json={"mode": "transparent"}),
    "POST /publishing/targets/refresh": Example("/publishing/targets/refresh"),
    "POST /publishing/test/{target}": Example(f"/publishing/test/{MARK}-pager"),
    # --- admin
    "DELETE /api/v1/tokens/{name}": Example("/api/v1/tokens/no-such-token"),
    "GET /api/v1/audit": Example("/api/v1/audit"),
    "GET /api/v1/audit/chains": Example("/api/v1/audit/chains"),
    "GET /api/v1/imports": Example("/api/v1/imports"),
    "GET /api/v1/imports/{id}": Example("/api/v1/imports/no-such-import"),
    "GET /api/v1/tokens": Example("/api/v1/tokens"),
    "GET /dashboard/audit": Example("/dashboard/audit"),
    "GET /dashboard/imports": Example("/dashboard/imports"),
    "GET /dashboard/imports/{origin}": Example("/dashboard/imports/jsonl"),
    "GET /dashboard/imports/{origin}/{id}": Example("/dashboard/imports/jsonl/no-such-import"),
    "GET /dashboard/tokens": Example("/dashboard/tokens"),
    "POST /api/v1/imports": Example("/api/v1/imports", json={"origin": "no-such-origin"}),
    "POST /api/v1/imports/{id}/undo": Example("/api/v1/imports/no-such-import/undo"),
    "POST /dashboard/imports/{origin}": Example("/dashboard/imports/jsonl", form={"x": "y"}),
    "POST /dashboard/imports/{origin}/{id}/undo": Example("/dashboard/imports/jsonl/no-such-import/undo"),
    "POST /dashboard/tokens": Example("/dashboard/tokens", form={"name": "y", "scope": "read"}),
    "POST /dashboard/tokens/revoke": Example("/dashboard/tokens/revoke", form={"name": "no-such-token"}),
    "POST /dashboard/tokens/rotate": Example("/dashboard/tokens/rotate", form={"name": "no-such-token"}),
    "POST /dashboard/tokens/sign-out": Example("/dashboard/tokens/sign-out", form={"key": "nobody"}),
    "POST /api/v1/tokens": Example("/api/v1/tokens", json={"name": "x", "scopes": ["read"]}),
    "POST /api/v1/tokens/{name}/rotate": Example("/api/v1/tokens/no-such-token/rotate", json={}),
}

ABOUT_ALL = {
    "DELETE /am/{name}/api/v2/silence/{silenceID}",
    "DELETE /api/v2/silence/{silenceID}",
    "GET /api/v1/quarantine",
    "GET /api/v1/silences",
    "GET /api/v1/silences/{id}",
    "GET /classification/stats",
    "GET /classifications",
    "GET /dashboard/quarantine",
    "GET /dashboard/quarantine/{id}",
    "GET /dashboard/settings",
    "GET /dashboard/silences",
    "GET /dashboard/sources",
    "GET /dashboard/targets",
    "GET /publishing/explain",
    "GET /publishing/mode",
    "GET /publishing/routes",
    "GET /publishing/stats",
    "GET /publishing/targets",
    "POST /am/{name}/api/v2/silences",
    "POST /api/v2/silences",
    "POST /dashboard/history/views",
    "POST /dashboard/history/views/{id}/delete",
    "POST /dashboard/history/views/{id}/rename",
    "POST /dashboard/settings/mode",
    "POST /dashboard/targets/refresh",
    "POST /dashboard/targets/replay",
    "POST /dashboard/targets/test",
    "POST /enrichment/mode",
    "POST /publishing/targets/refresh",
    "POST /publishing/test/{target}",
}
"""What is about all alerts: nobody who is narrowed is let to it."""

NAMES_AN_ALERT = {name for name, each in EXAMPLES.items() if re.search(r"\{(alert|fingerprint|delivery)\}", repr(each))}

_NOT_OURS = {"POST /login", "POST /webhook/pagerduty", "POST /webhook/rootly"}
"""They are refused for another reason: the token is wrong, or nobody signed."""

_STREAMS = {"GET /api/v1/stream"}
_PATIENCE_SECONDS = 10.0  # more than a beat would take to come: the stream ends by itself
_ORIGIN = {"sec-fetch-site": "same-origin"}


class Service(NamedTuple):
    """A running service, with a history that was written before."""

    server: Server
    client: httpx.Client
    place: Place
    now: datetime

    def ask(self, name: str, role: str, *, team: Team = "own", **options: Any) -> httpx.Response:
        """Ask for the example of a route in a role; nobody has no token."""
        method, example = name.partition(" ")[0], EXAMPLES[name]
        token = self.place.tokens.get(role)
        headers = {**_ORIGIN, **({} if token is None else {"authorization": f"Bearer {token}"})}
        body: dict[str, Any] = {}
        if example.json is not None:
            body["json"] = self._filled_all(example.json, team)
        if example.form is not None:
            body["data"] = self._filled_all(example.form, team)
        url = self.server.url + self._filled(example.target, team)
        with self.client.stream(method, url, headers=headers, **body, **options) as answer:
            if name not in _STREAMS or answer.status_code >= 400:
                answer.read()
            return answer

    def get(self, target: str, role: str) -> httpx.Response:
        """Ask for a target in a role."""
        headers = {"authorization": f"Bearer {self.place.tokens[role]}"}
        return self.client.get(self.server.url + self._filled(target, "own"), headers=headers)

    def _filled(self, text: str, team: Team) -> str:
        places = {
            "alert": self.place.alerts[team],
            "fingerprint": self.place.fingerprints[team],
            "delivery": self.place.deliveries[team],
            "quarantined": self.place.quarantined,
            "view": self.place.view,
            "since": f"{self.now - timedelta(hours=30):%Y-%m-%dT%H:%M:%SZ}",
            "until": f"{self.now - timedelta(minutes=20):%Y-%m-%dT%H:%M:%SZ}",
            "date": f"{self.now - timedelta(days=1):%Y-%m-%d}",
        }
        return re.sub(r"\{(\w+)\}", lambda match: places[match[1]], text)

    def _filled_all(self, body: Any, team: Team) -> Any:
        if not isinstance(body, Mapping):
            return body
        return {name: self._filled(text, team) if isinstance(text, str) else text for name, text in body.items()}


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def _service(url: str, place: Place, now: datetime) -> Iterator[Service]:
    env = {"DATABASE_URL": url, "AUTH_MODE": "token", "LOG_LEVEL": "warning", "SILENCE_WRITES": "true"}
    with servers.service(env) as server, httpx.Client(trust_env=False, timeout=30) as client:
        yield Service(server, client, place, now)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[Service]:
    """A service with the alerts of two teams."""
    url = f"sqlite:///{tmp_path_factory.mktemp('both') / 'alert_history.db'}"
    yield from _service(url, two_teams.fill(url, now=now), now)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[Service]:
    """A service with the alerts of the own team alone."""
    url = f"sqlite:///{tmp_path_factory.mktemp('alone') / 'alert_history.db'}"
    yield from _service(url, two_teams.fill(url, now=now, teams=("own",)), now)


@pytest.fixture(scope="module")
def needs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Permission]:
    """What each route needs, as it is served."""
    folder = tmp_path_factory.mktemp("served")
    settings = load_settings({"DATABASE_URL": f"sqlite:///{folder}/unopened.db"})
    return make_application(make_service(settings)).permissions


def test_every_route_has_an_example(needs: Mapping[str, Permission]) -> None:
    assert sorted(EXAMPLES) == sorted(needs)


_COMPARED = sorted(
    name for name in EXAMPLES if name.startswith("GET ") and name not in {*ABOUT_ALL, *_STREAMS, "GET /metrics"}
)
"""`/metrics` is open to all by `METRICS_AUTH`, and about the process."""

_BY_CHANCE: Mapping[str, str] = {
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "id",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|\+00:00)": "now",
    r"until=[\w%.-]+": "until",
    r"(\d+ (d|h|min|s) )+ago": "ago",
    r"\d+(\.\d+)?%(?!\d)": "place on an axis that ends now",
    r'nonce(="|&#34;:&#34;)[\w-]+': "nonce",
    r'_seconds":\d+\.\d{4,6}\b': '_seconds":0',  # until now
    r"live\?after=\d+": "number of the last news",
}
"""What differs between two answers that tell the same."""


def _same(answer: httpx.Response) -> str:
    """The answer without what is made by chance, or of the moment at which it was given."""
    text = answer.text
    for pattern, word in _BY_CHANCE.items():
        text = re.sub(pattern, word, text)
    return text


@pytest.mark.parametrize("name", _COMPARED)
def test_who_is_narrowed_is_answered_as_if_there_were_no_other_alerts(both: Service, alone: Service, name: str) -> None:
    shown = both.ask(name, "read narrowed")
    assert MARK not in shown.text
    assert "The service made a mistake" not in shown.text  # as a part of a page would say
    lines = zip_longest(_same(shown).split("\n"), _same(alone.ask(name, "read narrowed")).split("\n"))
    assert [(line, expected) for line, expected in lines if line != expected] == []


_VARIANTS = [
    "/api/v2/alerts?at={until}&receiver=team",
    "/api/v2/alerts/groups?filter=pod%3Dpod-0",
    "/api/v2/silences?at={until}",
    "/api/v1/alerts/{alert}/why?target=pager",
    "/api/v1/deliveries?limit=1&state=dead",
    "/api/v1/labels/pod/values?query=SharedDown",
    f"/api/v1/labels/{MARK}_name/values",
    "/api/v1/notifications?outcome=dead&limit=1",
    "/api/v1/notifications?outcome=not_told",
    f"/api/v1/stats/durations?{_SPAN}",
    f"/api/v1/stats/facets?{_SPAN}&by=pod",
    "/api/v1/stats/flapping?since=-2d&until={until}&definition=nagios",
    f"/api/v1/stats/series?{_SPAN}&count=open&by=severity",
    f"/api/v1/stats/series?{_SPAN}&by=pod&query=%7Balertname%3D~%22.%2B%22%7D",
    f"/api/v1/stats/together?{_SPAN}&rule=SharedDown",
    "/at/{until}/dashboard",
    "/at/{until}/dashboard?part=firing",
    "/at/{until}/dashboard/alerts/{alert}",
    "/at/{until}/dashboard/history?status=firing",
    "/at/{until}/dashboard/rules",
    f"/dashboard/history/export?{_SPAN}&format=csv",
    f"/dashboard/history?{_SPAN}&group=rule&open=SharedDown",
    f"/dashboard/history?{_SPAN}&view=lanes&facet=pod",
    "/dashboard/history?since=1971-01-01&until={until}",
    f"/dashboard/rules?{_SPAN}&rule=SharedDown",
    f"/dashboard/rules?{_SPAN}&rule={MARK}-DiskFull",
    "/history?fingerprint={fingerprint}&sort=timestamp&limit=1",
    "/report?since=-2d&until={until}&min_flap=2",
]
"""More requests for the same routes: what a parameter leads to."""


@pytest.mark.parametrize("target", _VARIANTS)
def test_no_parameter_leads_to_other_alerts(both: Service, alone: Service, target: str) -> None:
    shown, expected = both.get(target, "read narrowed"), alone.get(target, "read narrowed")
    assert (shown.status_code, expected.status_code) == (200, 200)
    given = MARK in target  # a page repeats what it was asked for
    assert given or MARK not in shown.text
    lines = zip_longest(_same(shown).split("\n"), _same(expected).split("\n"))
    assert [(line, other) for line, other in lines if line != other] == []


def test_the_answers_to_who_sees_all_hold_what_is_hidden_from_others(both: Service) -> None:
    hidden = {
        name for name in [*_COMPARED, *ABOUT_ALL] if name.startswith("GET ") and MARK in both.ask(name, "read").text
    }
    assert len(hidden) > 30
    assert {"GET /history", "GET /api/v1/labels", "GET /dashboard/history", "GET /api/v1/deliveries"} <= hidden


@pytest.mark.parametrize("name", sorted(NAMES_AN_ALERT))
def test_an_alert_of_another_team_is_not_there_for_who_is_narrowed(both: Service, name: str) -> None:
    answer = both.ask(name, "operate narrowed", team="other")
    assert answer.status_code == 404
    assert "shop" not in answer.text
    assert answer.text.replace(MARK, "") == answer.text


@pytest.mark.parametrize("role", ["nobody", *ROLES])
def test_each_route_lets_in_whom_it_says(both: Service, needs: Mapping[str, Permission], role: str) -> None:
    granted = permissions_of(check_scopes(ROLES[role].scopes)) if role in ROLES else {Permission.PUBLIC}
    for name, needed in needs.items():
        answer = both.ask(name, role)
        refusal = 401 if role == "nobody" else 403
        may = needed in granted and not ("narrowed" in role and name in ABOUT_ALL)
        if may and name not in _NOT_OURS:
            assert (name, answer.status_code) not in {(name, 401), (name, 403)}
            assert answer.status_code < 500, name
        elif not may:
            assert (name, answer.status_code) == (name, refusal)
        assert role == "admin" or "narrowed" not in role or MARK not in _text(answer, name), name


def _text(answer: httpx.Response, name: str) -> str:
    return "" if name in _STREAMS and answer.status_code < 400 else answer.text


@pytest.fixture
def on_postgres(postgres_server: PostgresServer, now: datetime) -> Iterator[Service]:
    """The same two teams, on PostgreSQL."""
    url = postgres_server.create_database()
    yield from _service(url, two_teams.fill(url, now=now), now)
    postgres_server.drop_database(url)


def test_calls_answer_the_same_on_postgres(on_postgres: Service, alone: Service) -> None:
    for name in _COMPARED:
        if name.startswith(("GET /api", "GET /history", "GET /report")):
            shown, expected = on_postgres.ask(name, "read narrowed"), alone.ask(name, "read narrowed")
            assert MARK not in shown.text
            assert (name, _decoded(shown)) == (name, _decoded(expected))


def _decoded(answer: httpx.Response) -> Any:
    """As `_same`; the databases keep labels in different orders."""
    return msgspec.json.decode(_same(answer))


@pytest.mark.parametrize("given", [{}, {"by": "mallory"}])
def test_acts_are_kept_under_the_name_of_who_is_let_in(both: Service, given: dict[str, str]) -> None:
    for path, text in (("acknowledge", {}), ("notes", {"text": "mine"})):
        url = f"{both.server.url}/api/v1/alerts/{both.place.alerts['own']}/{path}"
        headers = {"authorization": f"Bearer {both.place.tokens['operate narrowed']}"}
        answer = both.client.post(url, json={**given, **text}, headers=headers)
        assert (answer.status_code, answer.json()["act"]["by"]) == (200, "own-operate")
    url = f"{both.server.url}/classification/{both.place.fingerprints['own']}/correction"
    headers = {"authorization": f"Bearer {both.place.tokens['operate']}"}
    corrected = both.client.post(url, json={**given, "severity": "info"}, headers=headers).json()
    assert corrected["classification"]["model"] == "operate"


# --- what follows -----------------------------------------------------------------------------------------------------

_STREAM_PATHS = {"/api/v1/stream": "*/*", "/dashboard/history/live": "text/event-stream"}


def _send(service: Service) -> str:
    """An alert of each team begins now, that of the own team last; the name of its rule."""
    own = f"Sent{uuid4().hex}"
    alerts = [alert(1, alertname=f"{MARK}{own}", team=OTHER), alert(2, alertname=own, team=OWN)]
    headers = {"authorization": f"Bearer {service.place.tokens['ingest']}", "content-type": "application/json"}
    service.client.post(f"{service.server.url}/webhook", content=webhook(*alerts), headers=headers).raise_for_status()
    return own


@pytest.mark.parametrize("path", _STREAM_PATHS)
def test_a_stream_tells_who_is_narrowed_of_their_own_alerts_alone_from_any_number_on(both: Service, path: str) -> None:
    url, token = both.server.url + path, both.place.tokens["read narrowed"]
    for last in (None, 0, 20):
        stream = read_stream(url, last=last, token=token, accept=_STREAM_PATHS[path], query='{team=~".+"}')
        seen = [next(stream)]
        own = _send(both)
        while own not in (seen[-1].data or ""):
            seen.append(next(stream))
        stream.close()
        assert MARK not in "".join(event.data or "" for event in seen)


@pytest.mark.parametrize("path", _STREAM_PATHS)
def test_a_stream_ends_when_its_token_is_revoked(both: Service, path: str) -> None:
    admin = {"authorization": f"Bearer {both.place.tokens['admin']}"}
    tokens = f"{both.server.url}/api/v1/tokens"
    made = both.client.post(tokens, json={"name": "follower", "scopes": ["read"]}, headers=admin).json()
    stream = read_stream(both.server.url + path, token=made["secret"], accept=_STREAM_PATHS[path])
    next(stream)
    both.client.delete(f"{tokens}/follower", headers=admin).raise_for_status()
    begin = monotonic()
    assert [event.data for event in stream if event.data] == []
    assert monotonic() - begin < _PATIENCE_SECONDS

"""What each path needs, in one table; nothing is served without a need."""

from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings
from alert_history.domain.permission import Permission
from alert_history.web.application import Application
from alert_history.web.http.operation import Operation
from alert_history.web.http.permission import permissions
from alert_history.web.ingest.paths import PATHS, IngestPath
from alert_history.web.pages.page import Page

ALERTMANAGERS = [
    f"{prefix}/api/v2/{path}"
    for prefix in ("", "/am/{name}", "/at/{moment}", "/at/{moment}/am/{name}")
    for path in ("alerts", "alerts/groups", "receivers", "silence/{silenceID}", "silences", "status")
]
"""Alertmanager's API: plainly, of one Alertmanager, at a moment, and both."""

NEEDS = {
    "public": [
        "GET /assets/{digest}/{name:path}",
        "GET /docs",
        "GET /healthz",
        "GET /login",
        "GET /metrics",
        "GET /openapi.json",
        "GET /readyz",
        "POST /login",
        "POST /logout",
        "POST /webhook/pagerduty",
        "POST /webhook/rootly",
    ],
    "ingest": [
        "POST /api/v2/alerts",
        "POST /webhook",
        "POST /webhook/proxy",
    ],
    "read": [
        "GET /",
        "GET /api/v1/alerts",
        "GET /api/v1/alerts/{id}",
        "GET /api/v1/alerts/{id}/around",
        "GET /api/v1/alerts/{id}/similar",
        "GET /api/v1/alerts/{id}/timeline",
        "GET /api/v1/alerts/{id}/why",
        "GET /api/v1/deliveries",
        "GET /api/v1/labels",
        "GET /api/v1/labels/{name}/values",
        "GET /api/v1/notifications",
        "GET /api/v1/quarantine",
        "GET /api/v1/report/night",
        "GET /api/v1/silences",
        "GET /api/v1/silences/{id}",
        "GET /api/v1/stats/durations",
        "GET /api/v1/stats/facets",
        "GET /api/v1/stats/flapping",
        "GET /api/v1/stats/heatmap",
        "GET /api/v1/stats/noise",
        "GET /api/v1/stats/response",
        "GET /api/v1/stats/rules",
        "GET /api/v1/stats/series",
        "GET /api/v1/stats/together",
        "GET /api/v1/stream",
        *(f"GET {path}" for path in ALERTMANAGERS),
        "GET /classification/models",
        "GET /classification/stats",
        "GET /classification/{fingerprint}",
        "GET /classifications",
        "GET /dashboard",
        "GET /dashboard/alerts/{id}",
        "GET /dashboard/history",
        "GET /dashboard/history/export",
        "GET /dashboard/history/live",
        "GET /dashboard/night",
        "GET /dashboard/night/{date}",
        "GET /dashboard/notifications",
        "GET /dashboard/quarantine",
        "GET /dashboard/quarantine/{id}",
        "GET /dashboard/rules",
        "GET /dashboard/settings",
        "GET /dashboard/silences",
        "GET /dashboard/sources",
        "GET /dashboard/targets",
        "GET /enrichment/mode",
        "GET /history",
        "GET /publishing/explain",
        "GET /publishing/mode",
        "GET /publishing/routes",
        "GET /publishing/stats",
        "GET /publishing/targets",
        "GET /report",
        "POST /dashboard/zone",
        "POST /mcp",
    ],
    "operate": [
        "DELETE /am/{name}/api/v2/silence/{silenceID}",
        "DELETE /api/v2/silence/{silenceID}",
        "POST /am/{name}/api/v2/silences",
        "POST /api/v1/alerts/{id}/acknowledge",
        "POST /api/v1/alerts/{id}/notes",
        "POST /api/v1/deliveries/{id}/replay",
        "POST /api/v2/silences",
        "POST /classification/classify",
        "POST /classification/{fingerprint}/correction",
        "POST /classifications/{fingerprint}/correction",
        "POST /dashboard/alerts/{id}/acknowledge",
        "POST /dashboard/alerts/{id}/notes",
        "POST /dashboard/history/views",
        "POST /dashboard/history/views/{id}/delete",
        "POST /dashboard/history/views/{id}/rename",
        "POST /dashboard/notifications/replay",
        "POST /dashboard/settings/mode",
        "POST /dashboard/targets/refresh",
        "POST /dashboard/targets/replay",
        "POST /dashboard/targets/test",
        "POST /enrichment/mode",
        "POST /publishing/targets/refresh",
        "POST /publishing/test/{target}",
    ],
    "admin": [
        "DELETE /api/v1/tokens/{name}",
        "GET /api/v1/audit",
        "GET /api/v1/audit/chains",
        "GET /api/v1/imports",
        "GET /api/v1/imports/{id}",
        "GET /api/v1/tokens",
        "GET /dashboard/audit",
        "GET /dashboard/imports",
        "GET /dashboard/imports/{origin}",
        "GET /dashboard/imports/{origin}/{id}",
        "GET /dashboard/tokens",
        "POST /api/v1/imports",
        "POST /api/v1/imports/{id}/undo",
        "POST /api/v1/tokens",
        "POST /api/v1/tokens/{name}/rotate",
        "POST /dashboard/imports/{origin}",
        "POST /dashboard/imports/{origin}/{id}/undo",
        "POST /dashboard/tokens",
        "POST /dashboard/tokens/revoke",
        "POST /dashboard/tokens/rotate",
        "POST /dashboard/tokens/sign-out",
    ],
}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Application:
    folder: Path = tmp_path_factory.mktemp("permissions")
    return make_application(make_service(load_settings({"DATABASE_URL": f"sqlite:///{folder}/unopened.db"})))


def test_every_path_needs_what_this_table_says(application: Application) -> None:
    needs: dict[str, list[str]] = {permission.value: [] for permission in Permission}
    for name, permission in sorted(application.permissions.items()):
        needs[permission].append(name)
    assert needs == {permission: sorted(paths) for permission, paths in NEEDS.items()}


def test_a_provider_adds_the_pages_that_lead_to_it_and_back(application: Application, tmp_path: Path) -> None:
    settings = {
        "AUTH_MODE": "oidc",
        "OIDC_ISSUER": "https://id.example",
        "OIDC_CLIENT_ID": "x",
        "OIDC_ROLE_MAP": "*=read",
        "PUBLIC_URL": "https://alerts.example",
    }
    made = make_application(make_service(load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/a.db", **settings})))
    assert dict(made.permissions.items() - application.permissions.items()) == {
        "GET /login/oidc": Permission.PUBLIC,
        "GET /login/oidc/callback": Permission.PUBLIC,
    }


def test_every_operation_of_the_openapi_document_has_a_need(application: Application) -> None:
    documented = {f"{method.upper()} {path}" for path, item in application.schema["paths"].items() for method in item}
    assert documented <= application.permissions.keys()


def test_everything_that_is_served_has_a_need(application: Application) -> None:
    served = {
        f"{method} {each.path}"
        for each in application._router.routes  # noqa: SLF001  # what is served, not what is said of it
        if isinstance(each, Route)
        for method in (each.methods or ())
        if method != "HEAD"  # the same as GET, without the body
    }
    assert len(served) > len(PATHS)
    assert all(isinstance(each, Route) for each in application._router.routes)  # noqa: SLF001  # as above
    assert served == application.permissions.keys()


async def _handle(_: Request) -> Response:
    return Response()


def test_nothing_is_made_without_a_need() -> None:
    with pytest.raises(TypeError, match="needs"):
        Operation(path="/x", summary="X", handle=_handle, answer=None, tag="X")  # type: ignore[arg-type, call-arg]  # it is what must not work
    with pytest.raises(TypeError, match="needs"):
        Page(path="/x", handle=_handle)  # type: ignore[call-arg]  # as above
    with pytest.raises(TypeError, match="needs"):
        IngestPath("/x")  # type: ignore[call-arg]  # as above


def test_a_path_that_is_served_twice_is_a_fault() -> None:
    page = Page(path="/x", handle=_handle, needs=Permission.READ)
    with pytest.raises(ValueError, match="GET /x is served twice"):
        permissions([page, page])

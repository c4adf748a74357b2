"""Whether it lives, whether it is ready, and its metrics."""

from typing import Literal, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.permission import Permission
from alert_history.telemetry.metrics import Exposition
from alert_history.web.http.operation import Operation, json_response

_TAG = "Health"
NEEDED = frozenset({"database", "schema", "startup"})
"""Checks without which no request can be kept."""


class Readiness(Protocol):
    """Knows whether the service can do its work: `service.Readiness`. `ports.Lifecycle` words the database's checks."""

    async def checks(self) -> dict[str, str]:
        """A word for each thing it needs: `ok`, or what is wrong. Answers within 3 s."""
        ...


class Alive(msgspec.Struct, frozen=True):
    """It answers, so it lives."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """`unavailable` if requests can't be kept, `degraded` if something else is wrong, else `ok`."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, str]


class HealthApi:
    """Probes and metrics."""

    def __init__(self, readiness: Readiness, *, exposition: Exposition, are_metrics_public: bool = True) -> None:
        self._readiness = readiness
        self._metrics_need = Permission.PUBLIC if are_metrics_public else Permission.READ
        self._exposition = exposition

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/healthz",
                summary="Liveness",
                handle=self.healthz,
                answer=Alive,
                tag=_TAG,
                needs=Permission.PUBLIC,
                description="200 as long as the process answers; says nothing of the database.",
            ),
            Operation(
                path="/readyz",
                summary="Readiness",
                handle=self.readyz,
                answer=Ready,
                tag=_TAG,
                needs=Permission.PUBLIC,
                same_answers=(503,),
                description="200 if requests can be kept, else 503 with the same body; the checks say what is wrong.",
            ),
            Operation(
                path="/metrics",
                summary="Prometheus metrics",
                handle=self.metrics,
                answer=None,
                tag=_TAG,
                needs=self._metrics_need,
                media_type="text/plain",
                description="The Prometheus text format, or OpenMetrics where `Accept` asks for it.",
            ),
        ]

    async def healthz(self, _: Request, __: None) -> Alive:
        """`GET /healthz`."""
        return Alive()

    async def readyz(self, _: Request, __: None) -> Response:
        """`GET /readyz`."""
        checks = await self._readiness.checks()
        wrong = {name for name, word in checks.items() if word != "ok"}
        if wrong & NEEDED:
            return json_response(Ready("unavailable", checks), status=503)
        return json_response(Ready("degraded" if wrong else "ok", checks))

    async def metrics(self, request: Request, _: None) -> Response:
        """`GET /metrics`."""
        content_type, text = self._exposition.text(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

"""An OpenAPI document as the service writes one, and with what no operation of it has yet: for tests of `/docs`."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.web.http.operation import Operation, openapi, problem_response
from alert_history.web.ingest.documentation import ingest_paths, ingest_types


class PageParameters(msgspec.Struct, frozen=True):
    query: Annotated[str, Meta(description='Matchers: `{pod!=""}`', examples=['{severity="critical"}'])] = ""
    status: Literal["firing", "resolved"] | None = None
    since: Annotated[str, Meta(description="First received at or after")] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


class PodParameters(msgspec.Struct, frozen=True):
    id: Annotated[str, Meta(description="`id` of a pod")]


class Container(msgspec.Struct, frozen=True):
    image: str
    restart_count: int
    started_at: Annotated[datetime, Meta(tz=True)] | None = None


class Pod(msgspec.Struct, frozen=True):
    """A pod and all that runs in it."""

    id: str
    labels: dict[str, str]
    containers: list[Container]
    parent: "Pod | None" = None


class PodPage(msgspec.Struct, frozen=True):
    pods: list[Pod]
    total: int


async def unanswered(_: Request, __: Any) -> None:
    """Nothing is served: only the document is read."""


def reference_document() -> dict[str, Any]:
    """Reads made by `operation.openapi`, the real ingest paths, and writes by hand."""
    operations = [
        Operation(
            path="/pods",
            summary="Search pods",
            handle=unanswered,
            answer=PodPage,
            tag="Pods",
            needs=Permission.READ,
            parameters=PageParameters,
            failures=(400, 503),
            description="Newest first.\n\nNothing is left out.",
        ),
        Operation(
            path="/pods/{id}",
            summary="One pod",
            handle=unanswered,
            answer=Pod,
            tag="Pods",
            needs=Permission.READ,
            parameters=PodParameters,
        ),
    ]
    return openapi(
        operations,
        title="Alert History",
        version="1.2.3",
        description="The flight recorder of alerting.",
        extra_paths={**ingest_paths(), "/enrichment/mode": {"post": _mode()}},
        extra_types=ingest_types(),
    )


def _mode() -> dict[str, Any]:
    modes = ["transparent", "enriched"]
    schema = {"type": "object", "required": ["mode"], "properties": {"mode": {"type": "string", "enum": modes}}}
    return {
        "operationId": "set_enrichment_mode",
        "summary": "Change the mode",
        "tags": ["Enrichment"],
        "deprecated": True,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"204": {"description": "Changed"}, "422": problem_response(422)},
    }

"""`POST /api/v2/silences` and `DELETE /api/v2/silence/{silenceID}`: passed on to an Alertmanager, where that is on."""

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.permission import Permission
from alert_history.engine.silence_writes import SilenceWrites
from alert_history.errors import InvalidBody, InvalidRequest, UnsupportedMedia
from alert_history.origins.alertmanager_silences import Passed
from alert_history.web.alertmanager.answers import JSON
from alert_history.web.alertmanager.forms import SilenceMatcher
from alert_history.web.alertmanager.paths import API, NAMED
from alert_history.web.alertmanager.silences import is_uuid
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import read_small

_TAG = "Alertmanager API v2"
_PREFIXES = ("", NAMED)


class PostableSilence(msgspec.Struct, frozen=True, rename="camel"):
    """A silence. With an `id` it replaces that one."""

    matchers: Sequence[SilenceMatcher]
    starts_at: str
    ends_at: str
    created_by: str
    comment: str
    id: str = ""


class SilenceMade(msgspec.Struct, frozen=True):
    """The id of the silence."""

    silence_id: str = msgspec.field(default="", name="silenceID")


class SilencesApi:
    """Makes and ends silences."""

    def __init__(self, writes: SilenceWrites) -> None:
        self._writes = writes

    def operations(self) -> list[Operation]:
        """The operations, plain and for one of several Alertmanagers."""
        return [each for prefix in _PREFIXES for each in self._operations(prefix)]

    def _operations(self, prefix: str) -> list[Operation]:
        return [
            Operation(
                path=f"{prefix}{API}/silences",
                method="POST",
                summary="Make or replace a silence",
                handle=self.make,
                answer=SilenceMade,
                body=PostableSilence,
                tag=_TAG,
                needs=Permission.OPERATE,
                is_listed=not prefix,
                text_failures=(400, 403, 404, 422, 503),
                description="The Alertmanager gets it as it came, and its answer is handed on; `/am/{name}` before the "
                "path chooses one of several. 403 unless SILENCE_WRITES is true.",
            ),
            Operation(
                path=f"{prefix}{API}/silence/{{silenceID}}",
                method="DELETE",
                summary="End a silence",
                handle=self.end,
                answer=None,
                tag=_TAG,
                needs=Permission.OPERATE,
                is_listed=not prefix,
                text_failures=(403, 404, 422, 503),
                description="As for making one.",
            ),
        ]

    async def make(self, request: Request, _: None) -> Response:
        """`POST /api/v2/silences`."""
        _check_is_now(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise UnsupportedMedia("the body must be application/json")
        body = await read_small(request)
        return _handed_on(await self._writes.make(body, cluster=request.path_params.get("name")))

    async def end(self, request: Request, _: None) -> Response:
        """`DELETE /api/v2/silence/{silenceID}`."""
        _check_is_now(request)
        silence_id = request.path_params["silenceID"]
        if not is_uuid(silence_id):
            raise InvalidBody(f'silenceID in path must be of type uuid: "{silence_id}"')
        return _handed_on(await self._writes.end(silence_id, cluster=request.path_params.get("name")))


def _check_is_now(request: Request) -> None:
    if "at" in request.query_params:
        raise InvalidRequest("at: silences are changed now; what was so in the past can only be asked")


def _handed_on(passed: Passed) -> Response:
    return Response(passed.body, status_code=passed.status, media_type=passed.media_type or None)

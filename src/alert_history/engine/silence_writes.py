"""Silences that callers make and end: an Alertmanager decides, and what it then has is kept at once."""

from collections.abc import Sequence

import httpx
import msgspec
import structlog

from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.origin import Origin
from alert_history.errors import AlertHistoryError, Forbidden, InvalidQuery, NotFound, OriginUnavailable
from alert_history.origins.alertmanager_silences import Passed, end_silence, find_silence, make_silence
from alert_history.origins.asking import origin_client
from alert_history.ports import Clock, Reconciling
from alert_history.ports.moments import SilenceVersions

OFF = (
    "silences are not changed through Alert History, because SILENCE_WRITES is false; "
    "set it to true, or ask the Alertmanager itself"
)

_log = structlog.get_logger()


class _Made(msgspec.Struct):
    silence_id: str = msgspec.field(default="", name="silenceID")


class SilenceWrites:
    """Passes silences on to one of the Alertmanagers. `is_on` is the operator's word that it may be done."""

    def __init__(
        self,
        origins: Sequence[Origin],
        versions: SilenceVersions,
        reconciling: Reconciling,
        *,
        is_on: bool,
        clock: Clock,
    ) -> None:
        self._origins = {origin.name: origin for origin in origins}
        self._versions = versions
        self._reconciling = reconciling
        self._is_on = is_on
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    async def make(self, body: bytes, *, cluster: str | None) -> Passed:
        """Post a silence as it came to that Alertmanager, or to the only one; its answer, as it is.

        Raises: Forbidden where it is not on; NotFound, InvalidQuery where nobody can say which Alertmanager is meant;
        OriginUnavailable.
        """
        origin = self._chosen(cluster)
        passed = await make_silence(origin, self._http(), body)
        if passed.status == httpx.codes.OK:
            await self._keep(_made_id(passed.body), passed, origin)
        return passed

    async def end(self, silence_id: str, *, cluster: str | None) -> Passed:
        """End a silence. Raises as `make`."""
        origin = self._chosen(cluster)
        passed = await end_silence(origin, self._http(), silence_id)
        if passed.status == httpx.codes.OK:
            await self._keep(silence_id, passed, origin)
        return passed

    def _chosen(self, cluster: str | None) -> Origin:
        if not self._is_on:
            raise Forbidden(OFF)
        names = ", ".join(self._origins)
        if not self._origins:
            raise NotFound("no Alertmanager is known that could take the silence: ALERTMANAGER_URLS names them")
        if cluster is None:
            if len(self._origins) > 1:
                raise InvalidQuery(f"say which Alertmanager is meant by /am/NAME before the path; there are {names}")
            return next(iter(self._origins.values()))
        if cluster not in self._origins:
            raise NotFound(f"no Alertmanager is called {cluster!r}; there are {names}")
        return self._origins[cluster]

    async def _keep(self, silence_id: str, passed: Passed, origin: Origin) -> None:
        """Keep the silence as it is now, so that the next answer shows it; else the next poll keeps it."""
        try:
            silence = await find_silence(passed.server, self._http(), silence_id)
            if silence is not None:
                await self._reconciling.keep_silences([silence])
                await self._versions.keep([SilenceVersion(silence, origin.name, self._clock())])
        except AlertHistoryError as error:
            _log.warning("silence_not_kept", silence=silence_id, reason=str(error))

    def _http(self) -> httpx.AsyncClient:
        self._client = self._client or origin_client()
        return self._client


def _made_id(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Made).silence_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise OriginUnavailable("the Alertmanager took the silence, but its answer can't be read") from None

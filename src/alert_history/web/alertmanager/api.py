"""The operations of Alertmanager's API v2: each path plainly, for one Alertmanager, at a moment, and both."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import cleandoc
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.permission import Permission
from alert_history.engine.moment_state import MomentState
from alert_history.engine.moments import MomentStates
from alert_history.errors import InvalidBody, NotFound
from alert_history.ports import Clock
from alert_history.web.alertmanager.alerts import (
    AlertsParameters,
    GroupsParameters,
    alerts_answer,
    check_parameters,
    groups_answer,
)
from alert_history.web.alertmanager.answers import answer
from alert_history.web.alertmanager.forms import GettableAlert, GettableGroup, GettableReceiver, GettableSilence
from alert_history.web.alertmanager.parameters import read_alertmanager_parameters, read_matchers
from alert_history.web.alertmanager.paths import API, PREFIXES, place_of
from alert_history.web.alertmanager.receivers import ReceiversParameters, receivers_answer
from alert_history.web.alertmanager.silences import (
    SilenceParameters,
    SilencesParameters,
    is_uuid,
    silence_answer,
    silences_answer,
)
from alert_history.web.alertmanager.status import AlertmanagerStatus, StatusParameters, status_answer
from alert_history.web.http.operation import Operation

_TAG = "Alertmanager API v2"
_PLACES = """
`/am/{name}` before the path chooses one of several Alertmanagers, and `/at/{time}` before that answers as it would have
been answered then, as `at` does. The header `x-alert-history-unknown` says what can't be known of then. Errors are JSON
strings.
"""

Make = Callable[[MomentState, Any], Any]


class AlertmanagerApi:
    """Answers as an Alertmanager would."""

    def __init__(self, moments: MomentStates, *, clock: Clock) -> None:
        self._moments = moments
        self._clock = clock
        self._started_at = clock()

    def operations(self) -> list[Operation]:
        """All operations of this API, those with a prefix after the plain ones."""
        return [each for prefix in PREFIXES for each in self._operations(prefix)]

    def _operations(self, prefix: str) -> list[Operation]:
        return [
            self._operation(
                prefix,
                "/status",
                "Version, cluster and configuration",
                AlertmanagerStatus,
                StatusParameters,
                self.status,
            ),
            self._operation(
                prefix, "/receivers", "Receivers", list[GettableReceiver], ReceiversParameters, self.receivers
            ),
            self._operation(prefix, "/alerts", "What fires", list[GettableAlert], AlertsParameters, self.alerts),
            self._operation(
                prefix, "/alerts/groups", "What fires, in groups", list[GettableGroup], GroupsParameters, self.groups
            ),
            self._operation(prefix, "/silences", "Silences", list[GettableSilence], SilencesParameters, self.silences),
            self._operation(
                prefix, "/silence/{silenceID}", "A silence", GettableSilence, SilenceParameters, self.silence
            ),
        ]

    def _operation(
        self,
        prefix: str,
        path: str,
        summary: str,
        kind: Any,
        parameters: type[msgspec.Struct],
        handle: Callable[[Request, Any], Awaitable[Response]],
    ) -> Operation:
        return Operation(
            path=f"{prefix}{API}{path}",
            summary=summary,
            handle=handle,
            answer=kind,
            tag=_TAG,
            needs=Permission.READ,
            keeps_to_reach=True,
            parameters=parameters,
            read=read_alertmanager_parameters,
            is_listed=not prefix,
            text_failures=(400, 404, 422, 503) if "{" in path else (400, 404, 503),
            description=f"{cleandoc(parameters.__doc__ or '')}\n{_PLACES}",
        )

    async def status(self, request: Request, _: StatusParameters) -> Response:
        """`GET /api/v2/status`."""
        started_at = self._started_at
        return await self._answered(
            request, None, lambda state, _: status_answer(state, started_at=started_at), has_alerts=False
        )

    async def receivers(self, request: Request, asked: ReceiversParameters) -> Response:
        """`GET /api/v2/receivers`."""
        return await self._answered(request, asked, receivers_answer)

    async def alerts(self, request: Request, asked: AlertsParameters) -> Response:
        """`GET /api/v2/alerts`."""
        check_parameters(asked)
        return await self._answered(request, asked, alerts_answer)

    async def groups(self, request: Request, asked: GroupsParameters) -> Response:
        """`GET /api/v2/alerts/groups`."""
        check_parameters(asked)
        return await self._answered(request, asked, groups_answer)

    async def silences(self, request: Request, asked: SilencesParameters) -> Response:
        """`GET /api/v2/silences`."""
        read_matchers(asked.filter)
        return await self._answered(request, asked, silences_answer, has_alerts=False)

    async def silence(self, request: Request, _: SilenceParameters) -> Response:
        """`GET /api/v2/silence/{silenceID}`."""
        silence_id = request.path_params["silenceID"]
        place = place_of(request, clock=self._clock)
        version, state = await self._moments.silence(silence_id, place.at, cluster=place.cluster)
        if version is None:
            if not is_uuid(silence_id):
                raise InvalidBody(f'silenceID in path must be of type uuid: "{silence_id}"')
            raise NotFound(
                f"no silence {silence_id} was known then" if place.at else f"there is no silence {silence_id}"
            )
        return answer(silence_answer(version.silence, state.at), state)

    async def _answered(self, request: Request, asked: Any, make: Make, *, has_alerts: bool = True) -> Response:
        """The answer made of the state that the request asks for, in a thread: a thousand alerts take milliseconds."""
        place = place_of(request, clock=self._clock)
        state = await self._moments.state(place.at, cluster=place.cluster, has_alerts=has_alerts)
        return await asyncio.to_thread(lambda: answer(make(state, asked), state))

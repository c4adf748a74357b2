"""Flapping alerts, by a definition that has a name. Holds the parameters; `engine.flapping_alerts` answers."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import asdict
from starlette.requests import Request

from alert_history.domain.flap_rules import Definition, FlapRule, flap_rule
from alert_history.domain.permission import Permission
from alert_history.engine.flapping_alerts import FlappingAlerts, FlappingAnswer
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Until, Zone, asked_of
from alert_history.web.http.operation import Operation

_RULE = (
    "window_seconds",
    "limit",
    "high_share",
    "low_share",
    "check_interval_seconds",
    "look_back_window",
    "status_change_threshold",
    "seconds",
    "share",
    "least_ended",
    "restart_seconds",
)
_DEFINITION = (
    "Whose definition: our own, or that of Nagios, Icinga 2, Kibana or New Relic. Without it: that of the settings"
)


class FlappingParameters(msgspec.Struct, frozen=True):
    """What the call takes. A parameter of a definition that is not given is that of the settings, or its default.

    `tz` changes nothing here; all statistics take it.
    """

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    definition: Annotated[Definition, Meta(description=_DEFINITION)] | None = None
    top: Annotated[int, Meta(ge=1, le=1000, description="So many alerts, and so many rules, are shown")] = 100
    window_seconds: Annotated[float, Meta(description="ours: how long the window is")] | None = None
    limit: Annotated[int, Meta(description="ours: more changes than that within the window")] | None = None
    high_share: Annotated[float, Meta(description="nagios, icinga: from this share on, 0 to 1")] | None = None
    low_share: Annotated[float, Meta(description="nagios, icinga: until the share is down to that")] | None = None
    check_interval_seconds: (
        Annotated[float, Meta(description="nagios, icinga, kibana: how often the state is looked at")] | None
    ) = None
    look_back_window: Annotated[int, Meta(description="kibana: so many of the last runs")] | None = None
    status_change_threshold: Annotated[int, Meta(description="kibana: at least so many changes in them")] | None = None
    seconds: Annotated[float, Meta(description="newrelic: a firing that lasts no longer is brief")] | None = None
    share: Annotated[float, Meta(description="newrelic: at least this share of them is brief, 0 to 1")] | None = None
    least_ended: Annotated[int, Meta(description="newrelic: of at least so many that ended")] | None = None
    restart_seconds: (
        Annotated[float, Meta(description="A start so soon after an end that no sender reported is no change")] | None
    ) = None


class FlappingApi:
    """The handler. `rules` has a rule for each definition; `default` counts where a call names none."""

    def __init__(
        self, alerts: FlappingAlerts, *, rules: Mapping[Definition, FlapRule], default: Definition, clock: Clock
    ) -> None:
        self._alerts = alerts
        self._rules = rules
        self._default = default
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/flapping",
                summary="Which alerts flap",
                handle=self.flapping,
                answer=FlappingAnswer,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=FlappingParameters,
                failures=FAILURES,
                description="The alerts that changed so often that no single change means anything, by the definition "
                "that is asked for: most changes first, with the times in which each flapped; and the rules that they "
                "are of.",
            )
        ]

    async def flapping(self, _: Request, asked: FlappingParameters) -> FlappingAnswer:
        """`GET /api/v1/stats/flapping`."""
        span = asked_of(asked, self._clock())
        return await self._alerts.flapping(
            span, self._rule(asked), top=asked.top, is_compared=asked.compare is not None
        )

    def _rule(self, asked: FlappingParameters) -> FlapRule:
        definition = asked.definition or self._default
        given = {name: value for name, value in asdict(asked).items() if name in _RULE and value is not None}
        return flap_rule(definition, asdict(self._rules[definition]) | given)

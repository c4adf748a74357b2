"""What rules did, and which never fired or never stop. Holds the parameters; `engine.rule_table` answers."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.calendar import parse_zone
from alert_history.domain.interruptions import Hours
from alert_history.domain.permission import Permission
from alert_history.engine.rule_table import RulesAnswer, RuleSort, RuleTable
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Until, Zone, asked_of
from alert_history.web.http.operation import Operation


class RulesParameters(msgspec.Struct, frozen=True):
    """What the call takes. `tz` decides when people sleep, which is a part of the score."""

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    sort: Annotated[RuleSort, Meta(description="By what; with a `-` before it, descending")] = "-begun"
    top: Annotated[int, Meta(ge=1, le=1000, description="So many rules are shown")] = 100


class RulesApi:
    """The handler."""

    def __init__(self, rules: RuleTable, *, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/rules",
                summary="What each rule did",
                handle=self.rules,
                answer=RulesAnswer,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=RulesParameters,
                failures=FAILURES,
                description="Of each rule how many alerts began, are open, were short, began again, how long they "
                "fire, when the last began, and how noisy the rule is; the rules that never stop; and those that a "
                "Prometheus evaluates and that never fired.",
            )
        ]

    async def rules(self, _: Request, asked: RulesParameters) -> RulesAnswer:
        """`GET /api/v1/stats/rules`."""
        span, hours = asked_of(asked, self._clock()), Hours(parse_zone(asked.tz))
        is_compared = asked.compare is not None
        return await self._rules.table(
            span, hours, tz=asked.tz, sort=asked.sort, top=asked.top, is_compared=is_compared
        )

"""A firing as it was posted: its labels, its annotations, its link; and the value that its rule had at its start.

What nobody knows any more is left out, and counted: no text is made up.
"""

from alert_history.domain.past_firing import PastFiring
from alert_history.errors import OriginUnavailable
from alert_history.origins.imports.go_template import Context
from alert_history.origins.imports.prometheus_asking import Questions
from alert_history.origins.imports.prometheus_knowledge import Knowledge
from alert_history.origins.imports.prometheus_rules import AlertRule, link_of
from alert_history.origins.imports.prometheus_runs import Firing
from alert_history.origins.imports.prometheus_wire import OWN_LABELS, time_of
from alert_history.ports.past_origins import ImportRequest

MAX_VALUES = 10_000
"""How many evaluations are asked again at most in one import."""

_REMEMBERED = 200

_Values = list[tuple[dict[str, str], float]]


class Posts:
    """Makes what an import takes of the firings of one reading, and counts what it could not make."""

    def __init__(self, questions: Questions, knowledge: Knowledge, *, request: ImportRequest) -> None:
        self._questions = questions
        self._knowledge = knowledge
        self._request = request
        self._values: dict[tuple[str, int], _Values] = {}
        self._asked = 0
        self.made = self.dropped = self.annotations_left_out = 0

    async def post(self, firing: Firing) -> PastFiring | None:
        """The firing as it was posted; None where nobody asked for it, or where relabelling dropped it."""
        began_at = time_of(firing.began_ms)
        if not self._request.wants(began_at):
            return None
        labels = self._knowledge.sent(firing.labels)
        if not labels:
            self.dropped += 1
            return None
        self.made += 1
        rule, external_url = self._knowledge.rules.find(firing.labels), self._knowledge.external_url
        return PastFiring(
            labels=labels,
            starts_at=began_at,
            ends_at=None if firing.ended_ms is None else time_of(max(firing.ended_ms, firing.began_ms)),
            last_seen_at=time_of(firing.last_ms),
            ended_by=firing.ended_by,
            annotations=await self._annotations(rule, firing) if rule else {},
            generator_url=link_of(rule, external_url) if rule and external_url else "",
            place=f"ALERTS of {firing.labels.get('alertname', '')} at {began_at.isoformat()}",
        )

    async def _annotations(self, rule: AlertRule, firing: Firing) -> dict[str, str]:
        own = {name: value for name, value in firing.labels.items() if name not in OWN_LABELS}
        context = Context(
            labels=own,
            external_labels=self._knowledge.external_labels,
            external_url=self._knowledge.external_url,
            value=await self._value(rule, own, began_ms=firing.began_ms),
            unknown={"__name__", "alertname", *rule.labels, *self._knowledge.added_labels},
        )
        annotations = self._knowledge.rules.annotations(rule, context)
        self.annotations_left_out += annotations.left_out
        return annotations.rendered

    async def _value(self, rule: AlertRule, own: dict[str, str], *, began_ms: int) -> float | None:
        """What the rule's expression had for the alert when it began, if that was asked for; None is unknown."""
        if not self._request.is_set("values") or not rule.says_value:
            return None
        set_by_rule = {"alertname", *rule.labels}
        matching = [
            value
            for metric, value in await self._evaluated(rule.query, began_ms)
            if all(own.get(name, "") == text for name, text in metric.items() if name not in set_by_rule)
        ]
        return matching[0] if len(matching) == 1 else None

    async def _evaluated(self, query: str, time_ms: int) -> _Values:
        """The expression at that time, asked once for all alerts of that evaluation."""
        values = self._values.get((query, time_ms))
        if values is None:
            values = await self._ask(query, time_ms) if self._asked < MAX_VALUES else []
            if len(self._values) >= _REMEMBERED:
                self._values.pop(next(iter(self._values)))
            self._values[query, time_ms] = values
        return values

    async def _ask(self, query: str, time_ms: int) -> _Values:
        self._asked += 1
        try:
            vector = await self._questions.vector(query, time_ms)
        except OriginUnavailable:  # a rule of today may ask for what the server no longer has
            return []
        return [
            ({name: text for name, text in instant.metric.items() if name != "__name__"}, float(instant.value[1]))
            for instant in vector.result
        ]

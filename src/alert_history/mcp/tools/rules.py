"""Tools about rules: how much of what one does is noise, and which alerts flap."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

from msgspec import Meta
from msgspec.structs import asdict

from alert_history.domain.calendar import parse_zone
from alert_history.domain.flap_rules import Definition, FlapRule
from alert_history.domain.interruptions import Hours
from alert_history.domain.noise import RuleNoise
from alert_history.engine.flapping_alerts import FlappingAlert, FlappingAlerts, FlappingAnswer
from alert_history.engine.noise_scores import NoiseAnswer, NoiseScores
from alert_history.mcp.tool import Answer, Parameters, Tool
from alert_history.mcp.tools.asking import Query, Rule, Since, Until, Zone, span_of
from alert_history.mcp.tools.neighbours import left_out_of
from alert_history.mcp.writing import counted, named, quoted, time_text, written
from alert_history.ports import Clock


class RuleParameters(Parameters, frozen=True, kw_only=True):
    """Which rules, in which span of time."""

    rule: Rule | None = None
    query: Query = ""
    since: Since | None = None
    until: Until | None = None


class NoiseParameters(RuleParameters, frozen=True, kw_only=True):
    """Which rules, in which span of time, by whose clocks."""

    tz: Zone = "UTC"
    top: Annotated[int, Meta(ge=1, le=100, description="So many of the noisiest rules")] = 20


class NoisyRulesAnswer(Answer, frozen=True, kw_only=True):
    """The noisiest rules, each with a score from 0 to 100 whose parts add up to it."""

    noise: NoiseAnswer


class FlappingParameters(RuleParameters, frozen=True, kw_only=True):
    """Which rules, in which span of time, by whose definition."""

    definition: (
        Annotated[Definition, Meta(description="Whose definition of flapping. Without it: that of the settings")] | None
    ) = None
    top: Annotated[int, Meta(ge=1, le=500, description="So many alerts, and so many rules")] = 50


class FlappingAlertsAnswer(Answer, frozen=True, kw_only=True):
    """The alerts that flap, those with most changes first, and the rules that they are of."""

    flapping: FlappingAnswer


class RuleTools:
    """The tools. `rules` has a rule of flapping for each definition; `default` counts where none is named."""

    def __init__(
        self,
        scores: NoiseScores,
        alerts: FlappingAlerts,
        *,
        rules: Mapping[Definition, FlapRule],
        default: Definition,
        clock: Clock,
    ) -> None:
        self._scores = scores
        self._alerts = alerts
        self._rules = rules
        self._default = default
        self._clock = clock

    def tools(self) -> list[Tool]:
        """All of them."""
        return [
            Tool(
                name="noisy_rules",
                title="Find which alerting rules are noise, or how noisy one is",
                description="Alerting rules by how much of what they do is noise: a score from 0 to 100 with its "
                "parts: ends by itself, flaps, repeats, nobody acted, always on, said better by another rule, wakes "
                "people. With rule: of that rule alone.",
                parameters=NoiseParameters,
                answer=NoisyRulesAnswer,
                handle=self.noise,
                write=_noise_text,
            ),
            Tool(
                name="flapping_alerts",
                title="Find which alerts flap",
                description="Alerts that changed between firing and resolved so often that no single change means "
                "anything, by a definition that has a name. With rule: of that rule alone.",
                parameters=FlappingParameters,
                answer=FlappingAlertsAnswer,
                handle=self.flapping,
                write=_flapping_text,
            ),
        ]

    async def noise(self, asked: NoiseParameters) -> NoisyRulesAnswer:
        """`noisy_rules`."""
        span = span_of(asked.query, asked.since, asked.until, rule=asked.rule, now=self._clock())
        answer = await self._scores.noise(span, Hours(parse_zone(asked.tz)), tz=asked.tz, top=asked.top)
        return NoisyRulesAnswer(
            summary=f"{counted(answer.seen, 'rule')} began or fired; listed are the noisiest, {len(answer.rules)}.",
            left_out=left_out_of(answer.covers),
            noise=answer,
        )

    async def flapping(self, asked: FlappingParameters) -> FlappingAlertsAnswer:
        """`flapping_alerts`."""
        definition = asked.definition or self._default
        span = span_of(asked.query, asked.since, asked.until, rule=asked.rule, now=self._clock())
        answer = await self._alerts.flapping(span, self._rules[definition], top=asked.top)
        return FlappingAlertsAnswer(
            summary=f"{answer.flapping} of {answer.judged} alerts that could flap do, by the definition {definition}.",
            left_out=left_out_of(answer.covers),
            flapping=answer,
        )


def _noise_text(answer: NoisyRulesAnswer) -> Iterator[str]:
    return written(answer, map(_rule, answer.noise.rules))


def _rule(rule: RuleNoise) -> str:
    parts = ", ".join(f"{part.name} {part.points:g} of {part.weight}" for part in rule.parts if part.points)
    score = f"{rule.score:g} ({rule.low:g} to {rule.high:g})"
    interruptions = f"{rule.interruptions.total} interruptions, {rule.interruptions.asleep} of sleep"
    return (
        f"- {quoted(rule.rule)}: {score}; {rule.begun} began, {rule.open} open; {interruptions}; {parts or 'nothing'}"
    )


def _flapping_text(answer: FlappingAlertsAnswer) -> Iterator[str]:
    flapping = answer.flapping
    rules = (f"- {quoted(each.alertname)}: {each.flapping} of {each.judged} alerts" for each in flapping.rules)
    return written(answer, ["Rules:", *rules, "Alerts:", *map(_alert, flapping.alerts)])


def _alert(alert: FlappingAlert) -> str:
    worst = {name: value for name, value in asdict(alert).items() if name.startswith("worst_") and value is not None}
    details = ", ".join(
        f"{name} {time_text(value) if isinstance(value, datetime) else value}" for name, value in worst.items()
    )
    name = f"{quoted(alert.alertname)} {quoted(alert.severity)} {quoted(alert.namespace)}"
    return f"- {named(alert.last_id)}: {name}: {counted(alert.changes, 'change')}{f', {details}' if details else ''}"

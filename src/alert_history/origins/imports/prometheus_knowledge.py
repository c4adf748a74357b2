"""What is to be known of a Prometheus to name its past alerts: labels they were sent with, rules, and their links.

A server that does not show its configuration (Thanos, Mimir, VictoriaMetrics) holds series with external labels in
them, of one Prometheus or of many; what it does not tell, options do.
"""

from collections.abc import Mapping

import msgspec

from alert_history.domain.relabelling import sent_labels
from alert_history.domain.times import parse_duration
from alert_history.errors import ConfigurationError
from alert_history.origins.imports.prometheus_asking import Questions
from alert_history.origins.imports.prometheus_rules import AlertRule, RuleBook, rules_of_file, rules_of_groups
from alert_history.origins.imports.prometheus_runs import Rule
from alert_history.origins.imports.prometheus_wire import OWN_LABELS, Build, Config, Flags, Groups
from alert_history.origins.prometheus_config import Naming, read_config
from alert_history.ports.past_origins import ImportRequest

_SERVER_LABELS = frozenset({"prometheus", "prometheus_replica", "replica", "__replica__", "cluster", "monitor"})
"""Labels that by custom name the Prometheus that a series is of, where one server holds the series of many."""


class Knowledge(msgspec.Struct, frozen=True):
    """What the server and the options tell. `is_one` where all series are of one Prometheus, whose labels are known."""

    rules: RuleBook
    naming: Naming
    is_one: bool
    external_labels: Mapping[str, str]
    replica_labels: frozenset[str] = frozenset()
    external_url: str = ""
    evaluation_ms: int | None = None

    @property
    def added_labels(self) -> frozenset[str]:
        """Labels of a series that its sample at the rule may not have had: whoever stored the series added them."""
        return frozenset() if self.is_one else _SERVER_LABELS | self.replica_labels | self.external_labels.keys()

    @property
    def longest_interval_ms(self) -> int:
        """The longest interval of a rule that is known."""
        return max(self.rules.longest_interval_ms, self.evaluation_ms or 0)

    def sent(self, metric: Mapping[str, str]) -> dict[str, str] | None:
        """The labels that an alert was sent with, by those of its series; None where it was dropped, not sent."""
        own = {
            name: value
            for name, value in metric.items()
            if value and name not in OWN_LABELS and name not in self.replica_labels
        }
        return sent_labels(own, external_labels=self.external_labels, relabel_configs=self.naming.relabel_configs)

    def server_of(self, metric: Mapping[str, str]) -> tuple[str, ...]:
        """Names the Prometheus that a series is of."""
        if self.is_one:
            return ()
        named = _SERVER_LABELS | self.replica_labels
        return tuple(f"{name}={value}" for name, value in sorted(metric.items()) if name in named)

    def rule(self, metric: Mapping[str, str]) -> Rule:
        """What is known of how the rule of an alert is evaluated."""
        rule = self.rules.find(metric)
        if rule is None:
            return Rule(self.evaluation_ms, None)
        return Rule(rule.interval_ms or self.evaluation_ms, rule.hold_ms)


async def learn(questions: Questions, request: ImportRequest) -> Knowledge:
    """Ask the server what it shows, and read the files of rules.

    Raises: ConfigurationError for a file that can't be read, and where the labels that were sent can't be known.
    """
    rules = [rule for path in request.texts("rules") for rule in rules_of_file(path)]
    rules = rules or await _shown_rules(questions)
    config = await _config(questions)
    flags = await questions.shown("/api/v1/status/flags", Flags) or {}
    naming = await _naming(questions, config, flags=flags)
    if config is not None and naming.unnamed_because and not request.is_set("as-recorded"):
        raise ConfigurationError(
            [f"{naming.unnamed_because}, so the fingerprints of its alerts are unknown; --as-recorded takes the labels"]
        )
    given = request.pairs("external-label")
    is_relabelled = not request.is_set("as-recorded")
    return Knowledge(
        rules=RuleBook(rules),
        naming=naming if is_relabelled else Naming({}, [], None),
        is_one=config is not None,
        external_labels={**(naming.external_labels or {} if is_relabelled else {}), **given},
        replica_labels=frozenset(request.texts("replica-label")),
        external_url=str(flags.get("web.external-url") or "").rstrip("/"),
        evaluation_ms=_evaluation_ms(config),
    )


async def _config(questions: Questions) -> Config | None:
    """The configuration of a real Prometheus; VictoriaMetrics shows an empty one."""
    config = await questions.shown("/api/v1/status/config", Config)
    return config if config is not None and config.yaml.strip() else None


async def _shown_rules(questions: Questions) -> list[AlertRule]:
    groups = await questions.shown("/api/v1/rules?type=alert", Groups)
    return rules_of_groups(groups.groups) if groups else []


async def _naming(questions: Questions, config: Config | None, *, flags: Flags) -> Naming:
    if config is None:
        return Naming({}, [], None)
    build = await questions.shown("/api/v1/status/buildinfo", Build)
    features = str(flags.get("enable-feature", "")).split(",")
    return read_config(config.yaml, version=build.version if build else "", features=features)


def _evaluation_ms(config: Config | None) -> int | None:
    """The interval of groups that name none; a shown configuration always has it."""
    for line in (config.yaml if config else "").splitlines():
        name, _, text = line.strip().partition(": ")
        if name == "evaluation_interval":
            try:
                return round(parse_duration(text).total_seconds() * 1000) or None
            except ValueError:
                return None
    return None

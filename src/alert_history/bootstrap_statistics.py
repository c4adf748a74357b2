"""The part of the composition root that makes what counts and judges the history, and its calls over HTTP.

Must not open, start or wait for anything.
"""

from datetime import timedelta
from typing import NamedTuple

from alert_history.config import Settings
from alert_history.domain.flap_rules import Definition, FlapRule, flap_rule, read_flap_rule
from alert_history.domain.origin import parse_origins
from alert_history.engine.alertmanager_explaining import AlertmanagerExplaining
from alert_history.engine.alertmanager_past import AlertmanagerPast
from alert_history.engine.analysis import Analysis
from alert_history.engine.begun_series import BegunSeries
from alert_history.engine.companions import Companions
from alert_history.engine.delivery_counts import DeliveryCounting
from alert_history.engine.durations import DurationCounting
from alert_history.engine.explaining import Explaining
from alert_history.engine.facets import FacetCounting
from alert_history.engine.firing_now import FiringNow
from alert_history.engine.flapping_alerts import FlappingAlerts
from alert_history.engine.heatmap import HeatmapCounting
from alert_history.engine.history import Tracing
from alert_history.engine.labels import Labels
from alert_history.engine.neighbours import Neighbours
from alert_history.engine.night import Nights
from alert_history.engine.noise_scores import NoiseScores
from alert_history.engine.open_series import OpenSeries
from alert_history.engine.people_response import PeopleResponse
from alert_history.engine.report import Reporting
from alert_history.engine.rule_facts import RuleCounting
from alert_history.engine.rule_groups import RuleGrouping
from alert_history.engine.rule_table import RuleNames, RuleTable
from alert_history.engine.series import SeriesCounting
from alert_history.engine.span_changes import ChangeCounting
from alert_history.engine.story import Stories
from alert_history.engine.value_counts import ValueCounting
from alert_history.engine.why import Explaining as WhyExplaining
from alert_history.ports import Clock, Store
from alert_history.web.api.durations import DurationsApi
from alert_history.web.api.facets import FacetsApi
from alert_history.web.api.flapping import FlappingApi
from alert_history.web.api.heatmap import HeatmapApi
from alert_history.web.api.labels import LabelsApi
from alert_history.web.api.neighbours import NeighboursApi
from alert_history.web.api.night import NightApi
from alert_history.web.api.noise import NoiseApi
from alert_history.web.api.report import ReportApi
from alert_history.web.api.response import ResponseApi
from alert_history.web.api.rules import RulesApi
from alert_history.web.api.series import SeriesApi
from alert_history.web.api.together import TogetherApi
from alert_history.web.http.operation import Operation

_PATIENCE_ROUNDS = 5
_SHORTEST_ROUND = timedelta(minutes=1)
"""How often it is noted that an Alertmanager's configuration is still the same (`engine.alertmanager_memory`)."""


class Statistics(NamedTuple):
    """What counts and judges the history: calls and pages ask the same objects."""

    analysis: Analysis
    labels: Labels
    firing: FiringNow
    nights: Nights
    series: SeriesCounting
    facets: FacetCounting
    heatmap: HeatmapCounting
    durations: DurationCounting
    report: Reporting
    flapping: FlappingAlerts
    flap_rules: dict[Definition, FlapRule]
    flap_default: Definition
    noise: NoiseScores
    neighbours: Neighbours
    response: PeopleResponse
    rules: RuleTable
    groups: RuleGrouping
    together: Companions
    changes: ChangeCounting
    deliveries: DeliveryCounting


def make_statistics(settings: Settings, store: Store, *, clock: Clock) -> Statistics:
    """All of them, on one store."""
    analysis = Analysis(store.analytics, store.rollups, clock=clock)
    values = ValueCounting(analysis, store.statistics)
    activity = RuleCounting(analysis, store.rule_activities, explaining=Explaining(store.analytics), acts=store.acts)
    noise = NoiseScores(activity)
    return Statistics(
        analysis=analysis,
        labels=Labels(store.label_counts, store.history, store.rollups, clock=clock),
        firing=FiringNow(store.firing, clock=clock),
        nights=Nights(store.night, store.silences, acts=store.acts, clock=clock),
        series=SeriesCounting(BegunSeries(analysis, values), OpenSeries(analysis, store.statistics)),
        facets=FacetCounting(values),
        heatmap=HeatmapCounting(analysis),
        durations=DurationCounting(analysis),
        report=Reporting(analysis, store.statistics),
        flapping=FlappingAlerts(analysis),
        flap_rules=flap_rules_of(settings),
        flap_default=settings.flap_definition,
        noise=noise,
        neighbours=Neighbours(store.history, store.surroundings, clock=clock, acts=store.acts),
        response=PeopleResponse(store.analytics, acts=store.acts),
        rules=RuleTable(analysis, activity, noise, names=_make_rule_names(settings, clock)),
        groups=RuleGrouping(analysis, values),
        together=Companions(store.surroundings),
        changes=ChangeCounting(values),
        deliveries=DeliveryCounting(analysis, store.delivery_log),
    )


def make_tracing(store: Store, *, clock: Clock) -> Tracing:
    """What traces an occurrence, for calls, pages and commands."""
    return Tracing(
        store.history,
        acts=store.acts,
        deliveries=store.delivery_log,
        classifications=store.classification_history,
        archived=store.archived_records,
        clock=clock,
    )


def make_stories(store: Store, *, clock: Clock) -> Stories:
    """What tells the story of an occurrence, for pages and programs."""
    return Stories(
        make_tracing(store, clock=clock),
        store.history,
        surroundings=store.surroundings,
        silences=store.silences,
        receipt_urls=store.receipt_urls,
        imports=store.imports,
        clock=clock,
    )


def make_explaining(settings: Settings, store: Store, *, whole: Store, clock: Clock) -> WhyExplaining:
    """What says why an occurrence was notified or not, for calls and commands; `whole` is the store without a reach."""
    tracing = make_tracing(store, clock=clock)
    return WhyExplaining(tracing, alertmanagers=make_alertmanager_explaining(settings, whole), clock=clock)


def make_alertmanager_explaining(settings: Settings, whole: Store) -> AlertmanagerExplaining:
    """What says what became of an occurrence in Alertmanagers, for calls, pages and commands."""
    return AlertmanagerExplaining(
        AlertmanagerPast(whole.moments, whole.history),
        configurations=whole.configurations,
        silence_versions=whole.silence_versions,
        patience=_PATIENCE_ROUNDS * max(timedelta(seconds=settings.reconcile_interval_seconds), _SHORTEST_ROUND),
    )


def statistics_operations(statistics: Statistics, *, clock: Clock) -> list[Operation]:
    """All calls that count or judge the history."""
    flapping = FlappingApi(
        statistics.flapping, rules=statistics.flap_rules, default=statistics.flap_default, clock=clock
    )
    return [
        *LabelsApi(statistics.labels).operations(),
        *NightApi(statistics.nights).operations(),
        *SeriesApi(statistics.series, clock=clock).operations(),
        *FacetsApi(statistics.facets, clock=clock).operations(),
        *HeatmapApi(statistics.heatmap, clock=clock).operations(),
        *DurationsApi(statistics.durations, clock=clock).operations(),
        *ReportApi(statistics.report, clock=clock).operations(),
        *flapping.operations(),
        *NoiseApi(statistics.noise, clock=clock).operations(),
        *NeighboursApi(statistics.neighbours).operations(),
        *ResponseApi(statistics.response, clock=clock).operations(),
        *RulesApi(statistics.rules, clock=clock).operations(),
        *TogetherApi(statistics.together, clock=clock).operations(),
    ]


def _make_rule_names(settings: Settings, clock: Clock) -> "RuleNames | None":
    """Who knows the names of all rules; None where there is no Prometheus. Imported when needed."""
    if settings.prometheus_urls is None:
        return None
    from alert_history.engine.prometheus_rules import PrometheusRules

    return PrometheusRules(parse_origins(settings.prometheus_urls.reveal()), clock=clock)


def flap_rules_of(settings: Settings) -> dict[Definition, FlapRule]:
    """What counts as flapping, by each definition."""
    parameters: dict[Definition, str | None] = {
        "ours": settings.flap_ours,
        "nagios": settings.flap_nagios,
        "icinga": settings.flap_icinga,
        "kibana": settings.flap_kibana,
        "newrelic": settings.flap_newrelic,
    }
    return {name: flap_rule(name) if text is None else read_flap_rule(name, text) for name, text in parameters.items()}

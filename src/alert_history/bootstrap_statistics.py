"""The part of the composition root that makes what counts and judges the history, and its calls over HTTP.

Must not open, start or wait for anything.
"""

from alert_history.config import Settings
from alert_history.domain.flap_rules import Definition, FlapRule, flap_rule, read_flap_rule
from alert_history.domain.origin import parse_origins
from alert_history.engine.analysis import Analysis
from alert_history.engine.begun_series import BegunSeries
from alert_history.engine.companions import Companions
from alert_history.engine.durations import DurationCounting
from alert_history.engine.explaining import Explaining
from alert_history.engine.facets import FacetCounting
from alert_history.engine.flapping_alerts import FlappingAlerts
from alert_history.engine.heatmap import HeatmapCounting
from alert_history.engine.labels import Labels
from alert_history.engine.neighbours import Neighbours
from alert_history.engine.night import Nights
from alert_history.engine.noise_scores import NoiseScores
from alert_history.engine.open_series import OpenSeries
from alert_history.engine.people_response import PeopleResponse
from alert_history.engine.report import Reporting
from alert_history.engine.rule_facts import RuleCounting
from alert_history.engine.rule_table import RuleNames, RuleTable
from alert_history.engine.series import SeriesCounting
from alert_history.engine.value_counts import ValueCounting
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


def statistics_operations(settings: Settings, store: Store, *, clock: Clock) -> list[Operation]:
    """All calls that count or judge the history."""
    labels = Labels(store.label_counts, store.history, store.rollups, clock=clock)
    return [
        *LabelsApi(labels).operations(),
        *NightApi(Nights(store.night, store.silences, clock=clock)).operations(),
        *_counting(store, clock),
        *_judging(settings, store, clock),
    ]


def _counting(store: Store, clock: Clock) -> list[Operation]:
    analysis = Analysis(store.analytics, store.rollups, clock=clock)
    counting = ValueCounting(analysis, store.statistics)
    series = SeriesCounting(BegunSeries(analysis, counting), OpenSeries(analysis, store.statistics))
    return [
        *SeriesApi(series, clock=clock).operations(),
        *FacetsApi(FacetCounting(counting), clock=clock).operations(),
        *HeatmapApi(HeatmapCounting(analysis), clock=clock).operations(),
        *DurationsApi(DurationCounting(analysis), clock=clock).operations(),
        *ReportApi(Reporting(analysis, store.statistics), clock=clock).operations(),
    ]


def _judging(settings: Settings, store: Store, clock: Clock) -> list[Operation]:
    analysis = Analysis(store.analytics, store.rollups, clock=clock)
    counting = RuleCounting(analysis, store.rule_activities, explaining=Explaining(store.analytics), acts=store.acts)
    scores = NoiseScores(counting)
    table = RuleTable(analysis, counting, scores, names=_make_rule_names(settings, clock))
    rules, default = flap_rules_of(settings), settings.flap_definition
    return [
        *FlappingApi(FlappingAlerts(analysis), rules=rules, default=default, clock=clock).operations(),
        *NoiseApi(scores, clock=clock).operations(),
        *NeighboursApi(Neighbours(store.history, store.surroundings, clock=clock, acts=store.acts)).operations(),
        *ResponseApi(PeopleResponse(store.analytics, acts=store.acts), clock=clock).operations(),
        *RulesApi(table, clock=clock).operations(),
        *TogetherApi(Companions(store.surroundings), clock=clock).operations(),
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

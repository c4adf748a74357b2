"""Enrichment over HTTP: the mode, classifications, corrections, figures."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.classification import MAX_RECOMMENDATIONS, Classification, Mode
from alert_history.domain.permission import Permission
from alert_history.domain.severity import Severity
from alert_history.engine.caller import signed_as
from alert_history.engine.classify import ClassifiedAlert, Classifying, Correction
from alert_history.engine.modes import Modes
from alert_history.errors import InvalidQuery, Rejected, Retryable
from alert_history.ports import Accuracy, ClassifiedCount, Clock, Enricher, KeptVerdict, Spent
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import read_body

_TAG = "Enrichment"
_DEFAULT_SPAN = timedelta(days=30)
_LONGEST_SPAN = timedelta(days=366)
_LIST_SECONDS = 2.0
_MOST_LISTED = 1_000
_NAME = 128
_ANONYMOUS = "anonymous"

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""Of a person or a program: on one line."""
Line = Annotated[str, Meta(max_length=300)]
Fingerprint = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", description="16 hexadecimal digits")]


class EnrichmentModeAnswer(msgspec.Struct, frozen=True):
    """`source` is `default` (ENRICHMENT_MODE) until a person switches the mode, then `database`."""

    mode: Mode
    source: Literal["default", "database"]
    switched_at: datetime | None
    switched_by: str | None


class EnrichmentModeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mode to switch to, on all replicas, until the next switch."""

    mode: Mode
    by: Name = _ANONYMOUS


class ClassificationEntry(msgspec.Struct, frozen=True):
    """One thing that was said of a shape. `sent` is the redacted text that left for the proxy, if any did."""

    id: str
    classification: Classification
    tokens: int
    cost_usd: float
    sent: str | None


class AlikeAnswer(msgspec.Struct, frozen=True):
    """An alert of the same shape, by its newest occurrence, whose id is `id`."""

    id: str
    fingerprint: str
    status: str
    labels: dict[str, str]
    starts_at: datetime


class ClassificationAnswer(msgspec.Struct, frozen=True):
    """What an alert means: null if it was never classified. `history` holds all that was said, newest first.

    `alike` are the alerts that share it, newest first, among the newest hundred occurrences of that alertname; there
    may be more unless `is_alike_whole`.
    """

    fingerprint: str
    alertname: str
    shape: str
    classification: Classification | None
    history: list[ClassificationEntry]
    alike: list[AlikeAnswer]
    is_alike_whole: bool


class FingerprintParameters(msgspec.Struct, frozen=True):
    """An alert by its fingerprint."""

    fingerprint: Fingerprint


class ClassifyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alert; `force` asks anew although something is known, unless a person said it."""

    fingerprint: Fingerprint
    force: bool = False


class CorrectionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says instead. What is left out stays as it was."""

    severity: Severity
    by: Name = _ANONYMOUS
    summary: Line | None = None
    recommendations: Annotated[list[Line], Meta(max_length=MAX_RECOMMENDATIONS)] | None = None
    comment: Annotated[str, Meta(max_length=1000)] = ""


class SpanParameters(msgspec.Struct, frozen=True):
    """From when to when; the last 30 days if nothing is said."""

    since: datetime | None = None
    until: datetime | None = None


class ClassificationStatsAnswer(msgspec.Struct, frozen=True):
    """Classifications by model and severity, what they used, and how often people agreed, by day.

    `spent` is of the span up to now, `spent_today` since midnight UTC; `waiting` counts shapes without an answer yet.
    """

    since: datetime
    until: datetime
    total: int
    counts: list[ClassifiedCount]
    spent: Spent
    spent_today: Spent
    accuracy: list[Accuracy]
    waiting: int


class ModelAnswer(msgspec.Struct, frozen=True):
    """A model, whether it is the one that is asked, and why it can't be at the moment."""

    name: str
    kind: Literal["llm", "rules"]
    is_used: bool
    fault: str | None


class ModelsAnswer(msgspec.Struct, frozen=True):
    """Who classifies, and which names the proxy would take for LLM_MODEL.

    `offered` is the proxy's own list, at most 1000 names of it; null if there is no proxy, it has no list, or it gave
    none just now: then `offered_fault` says why.
    """

    models: list[ModelAnswer]
    offered: list[str] | None = None
    offered_fault: str | None = None


class EnrichmentState(Protocol):
    """What of the engine is shown."""

    enricher: Enricher

    def fault(self) -> str | None:
        """Why nobody is asked at the moment."""
        ...

    def waiting(self) -> int:
        """Shapes that wait for an answer."""
        ...


class EnrichmentApi:
    """The handlers."""

    def __init__(self, modes: Modes, classifying: Classifying, *, state: EnrichmentState, clock: Clock) -> None:
        self._modes = modes
        self._classifying = classifying
        self._state = state
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [*self._mode_operations(), *self._figure_operations(), *self._classification_operations()]

    def _mode_operations(self) -> list[Operation]:
        return [
            Operation(
                path="/enrichment/mode",
                summary="The enrichment mode",
                handle=self.mode,
                answer=EnrichmentModeAnswer,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                description="What becomes of alerts before targets are notified.",
            ),
            Operation(
                method="POST",
                path="/enrichment/mode",
                summary="Switch the enrichment mode",
                handle=self.switch,
                body=EnrichmentModeBody,
                answer=EnrichmentModeAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                failures=(400, 413, 422, 503),
                description="For all replicas within two seconds; kept in the database and in the audit.",
            ),
        ]

    def _figure_operations(self) -> list[Operation]:
        return [
            Operation(
                path="/classification/stats",
                summary="What was classified",
                handle=self.stats,
                parameters=SpanParameters,
                answer=ClassificationStatsAnswer,
                tag=_TAG,
                needs=Permission.READ,
                failures=(400, 503),
                description="Counts, tokens, cost, and how often people agreed.",
            ),
            Operation(
                path="/classification/models",
                summary="Who classifies",
                handle=self.models,
                answer=ModelsAnswer,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                description="The model behind the proxy, the rules, which need no network, and what the proxy offers.",
            ),
        ]

    def _classification_operations(self) -> list[Operation]:
        return [
            Operation(
                method="POST",
                path="/classification/classify",
                summary="Classify an alert now",
                handle=self.classify,
                body=ClassifyBody,
                answer=ClassificationAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                keeps_to_reach=True,
                failures=(400, 404, 413, 422, 502, 503),
                description="Its newest occurrence; what is known and fresh is not asked for again unless forced.",
            ),
            Operation(
                path="/classification/{fingerprint}",
                summary="What an alert means",
                handle=self.find,
                parameters=FingerprintParameters,
                answer=ClassificationAnswer,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                failures=(400, 404, 503),
                description="The newest word on its shape, and all before it, with what was sent to the proxy.",
            ),
            Operation(
                method="POST",
                path="/classification/{fingerprint}/correction",
                summary="Correct a classification",
                handle=self.correct,
                parameters=FingerprintParameters,
                body=CorrectionBody,
                answer=ClassificationAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                keeps_to_reach=True,
                failures=(400, 404, 413, 422, 503),
                description="Serves all alerts of the same shape from now on, and never ages.",
            ),
        ]

    async def mode(self, _: Request, __: None) -> EnrichmentModeAnswer:
        """`GET /enrichment/mode`."""
        return self._mode()

    async def switch(self, request: Request, _: None) -> EnrichmentModeAnswer:
        """`POST /enrichment/mode`."""
        asked = await read_body(request, EnrichmentModeBody)
        await self._modes.switch(asked.mode, by=signed_as(asked.by))
        return self._mode()

    async def find(self, _: Request, asked: FingerprintParameters) -> ClassificationAnswer:
        """`GET /classification/{fingerprint}`."""
        return await self._answer(await self._classifying.find(asked.fingerprint))

    async def classify(self, request: Request, _: None) -> ClassificationAnswer:
        """`POST /classification/classify`."""
        asked = await read_body(request, ClassifyBody)
        return await self._answer(await self._classifying.classify(asked.fingerprint, force=asked.force))

    async def correct(self, request: Request, asked: FingerprintParameters) -> ClassificationAnswer:
        """`POST /classification/{fingerprint}/correction`."""
        body = await read_body(request, CorrectionBody)
        recommendations = None if body.recommendations is None else tuple(body.recommendations)
        correction = Correction(body.severity, signed_as(body.by), body.summary, recommendations, body.comment)
        return await self._answer(await self._classifying.correct(asked.fingerprint, correction))

    async def stats(self, _: Request, asked: SpanParameters) -> ClassificationStatsAnswer:
        """`GET /classification/stats`."""
        until = asked.until or self._clock()
        since = asked.since or until - _DEFAULT_SPAN
        if not timedelta() <= until - since <= _LONGEST_SPAN:
            raise InvalidQuery("since and until: the span is from 0 to 366 days")
        figures = await self._classifying.figures(since=since, until=until)
        total = sum(counted.count for counted in figures.counts)
        totals = (figures.counts, figures.spent, figures.spent_today, figures.accuracy)
        return ClassificationStatsAnswer(since, until, total, *totals, self._state.waiting())

    async def models(self, _: Request, __: None) -> ModelsAnswer:
        """`GET /classification/models`."""
        used = self._state.enricher.name
        rules = ModelAnswer("rules", "rules", used == "rules", None)
        if used == "rules":
            return ModelsAnswer([rules])
        models = [ModelAnswer(used, "llm", is_used=True, fault=self._state.fault()), rules]
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                offered = await self._state.enricher.offered()
        except TimeoutError:
            return ModelsAnswer(models, offered_fault=f"no answer within {_LIST_SECONDS:g} s")
        except (Retryable, Rejected) as error:
            return ModelsAnswer(models, offered_fault=str(error))
        return ModelsAnswer(models, None if offered is None else [name[:_NAME] for name in offered[:_MOST_LISTED]])

    async def _answer(self, classified: ClassifiedAlert) -> ClassificationAnswer:
        entries = [_entry(verdict) for verdict in classified.verdicts]
        newest = entries[0].classification if entries else None
        alike = await self._classifying.alike(classified.alert)
        return ClassificationAnswer(
            classified.alert.fingerprint,
            classified.alert.alertname,
            classified.shape,
            newest,
            entries,
            [
                AlikeAnswer(alert.id, alert.fingerprint, alert.status, alert.labels, alert.starts_at)
                for alert in alike.alerts
            ],
            alike.is_whole,
        )

    def _mode(self) -> EnrichmentModeAnswer:
        state = self._modes.state
        return EnrichmentModeAnswer(state.mode, state.source, state.switched_at, state.switched_by)


def _entry(stored: KeptVerdict) -> ClassificationEntry:
    usage = stored.verdict.usage
    tokens = usage.prompt_tokens + usage.completion_tokens
    return ClassificationEntry(stored.id, stored.verdict.classification, tokens, usage.cost_usd, stored.verdict.sent)

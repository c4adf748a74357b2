"""Classifications as people ask for them: an alert's verdicts, a new answer now, a correction, the figures."""

from datetime import UTC, datetime

import msgspec

from alert_history.domain.classification import Case, Classification, Verdict, capped, shape_of
from alert_history.domain.severity import Severity
from alert_history.engine.enrich import Enrichment
from alert_history.engine.intake import MakeId
from alert_history.engine.reach import as_shown, is_shape_within
from alert_history.errors import Forbidden, NotFound
from alert_history.ports import (
    Accuracy,
    ClassifiedCount,
    Clock,
    HistoryFilter,
    KeptVerdict,
    PageRequest,
    Spent,
    Store,
    StoredAlert,
)

_HISTORY = 50
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKED_AT = 100  # occurrences of one alertname, to find the alerts of a shape among them


class ClassifiedAlert(msgspec.Struct, frozen=True):
    """An alert (its newest occurrence), its shape, and all verdicts on that shape, newest first."""

    alert: StoredAlert
    shape: str
    verdicts: list[KeptVerdict]


class Alike(msgspec.Struct, frozen=True):
    """The alerts of a shape, each by its newest occurrence, newest first.

    They come from the newest hundred occurrences of their alertname; where `is_whole` is false, there may be more.
    """

    alerts: list[StoredAlert]
    is_whole: bool


class Entry(msgspec.Struct, frozen=True):
    """The newest verdict on a shape, and its alerts: none if history has forgotten the alert that was classified."""

    verdict: KeptVerdict
    alert: StoredAlert | None
    alike: Alike


class Correction(msgspec.Struct, frozen=True):
    """What a person says instead; a field that is None stays as it was."""

    severity: Severity
    by: str
    summary: str | None = None
    recommendations: tuple[str, ...] | None = None
    comment: str = ""


class Figures(msgspec.Struct, frozen=True):
    """How much was classified in a span, what that used, and how often people agreed."""

    counts: list[ClassifiedCount]
    spent: Spent
    spent_today: Spent
    accuracy: list[Accuracy]


class Classifying:
    """Classifies on demand. Every call may raise StorageUnavailable; a call that names an alert may raise NotFound."""

    def __init__(
        self,
        enrichment: Enrichment,
        store: Store,
        *,
        clock: Clock,
        make_id: MakeId,
    ) -> None:
        self._enrichment = enrichment
        self._make_id = make_id
        self._history = store.history
        self._store = store
        self._clock = clock

    async def find(self, fingerprint: str) -> ClassifiedAlert:
        """An alert with the verdicts on its shape; `verdicts` is empty if the shape was never classified."""
        alert = await self._alert(fingerprint)
        shape = shape_of(alert.labels)
        return ClassifiedAlert(alert, shape, await self._store.classification_history.history(shape, limit=_HISTORY))

    async def alike(self, alert: StoredAlert) -> Alike:
        """The alerts of the same shape as this one, itself among them."""
        shape = shape_of(alert.labels)
        page = await self._history.page(HistoryFilter(alertname=alert.alertname), PageRequest(limit=_LOOKED_AT))
        newest = {alert.fingerprint: alert}
        for occurrence in page.alerts:
            if shape_of(occurrence.labels) == shape:
                newest.setdefault(occurrence.fingerprint, occurrence)
        newest_first = sorted(newest.values(), key=lambda occurrence: occurrence.timestamp, reverse=True)
        return Alike(newest_first, is_whole=page.next_cursor is None)

    async def newest(self, *, limit: int, severity: Severity | None = None) -> list[Entry]:
        """The newest classifications of any shape, newest first, one a shape."""
        verdicts = await self._store.classification_history.recent(limit=limit, severity=severity)
        return [await self._entry(verdict) for verdict in verdicts]

    async def _entry(self, verdict: KeptVerdict) -> Entry:
        try:
            alert = await self._alert(verdict.fingerprint)
        except NotFound:
            return Entry(verdict, None, Alike([], is_whole=True))
        return Entry(verdict, alert, await self.alike(alert))

    async def classify(self, fingerprint: str, *, force: bool) -> ClassifiedAlert:
        """Classify an alert now. Without `force`, a recent verdict is enough; a person's verdict is enough always.

        Raises Retryable: the enricher is away, over its rate or over budget. Raises Rejected: no sensible answer.
        """
        classified = await self.find(fingerprint)
        alert, shape = classified.alert, classified.shape
        _check_shape(alert)
        since = self._clock() - self._enrichment.policy.serves_for
        known = await self._store.classifications.newest([shape], since=since)
        if shape in known and (not force or known[shape].verdict.classification.source == "person"):
            return classified
        case = Case(shape, fingerprint, alert.labels, alert.annotations, alert.starts_at)
        newest = await self._enrichment.classify(case)
        earlier = (verdict for verdict in classified.verdicts if verdict.id != newest.id)
        return msgspec.structs.replace(classified, verdicts=[as_shown(newest), *earlier])

    async def correct(self, fingerprint: str, correction: Correction) -> ClassifiedAlert:
        """Store a person's correction; it serves all alerts of the shape from now on, and never ages."""
        classified = await self.find(fingerprint)
        _check_shape(classified.alert)
        now = self._clock()
        before = await self._newest_of(classified.shape)
        classification = _corrected(before, correction, now=now)
        verdict = KeptVerdict(self._make_id(now), classified.shape, fingerprint, Verdict(classification))
        await self._store.classifications.keep([verdict], now=now)
        self._enrichment.learn(verdict)
        detail = {
            "fingerprint": fingerprint,
            "shape": classified.shape,
            "classification": verdict.id,
            "from": None if before is None else before.severity,
            "to": correction.severity,
            "comment": correction.comment,
        }
        await self._store.audit.note("classification_corrected", actor=correction.by, detail=detail, now=now)
        return msgspec.structs.replace(classified, verdicts=[as_shown(verdict), *classified.verdicts])

    async def _newest_of(self, shape: str) -> Classification | None:
        """What the newest verdict on a shape says, with all its words; None where there is none."""
        newest = await self._store.classifications.newest([shape], since=_EARLIEST)
        return newest[shape].verdict.classification if shape in newest else None

    async def figures(self, *, since: datetime, until: datetime) -> Figures:
        """How much was classified in that span, and what was spent since its begin and today (UTC)."""
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        return Figures(
            await self._store.classification_history.counts(since=since, until=until),
            await self._store.spending.spent(since=since),
            await self._store.spending.spent(since=today),
            await self._store.classification_history.accuracy(since=since, until=until),
        )

    async def _alert(self, fingerprint: str) -> StoredAlert:
        page = await self._history.page(HistoryFilter(fingerprint=fingerprint), PageRequest(limit=1))
        if not page.alerts:
            raise NotFound(f"no alert has the fingerprint {fingerprint!r}")
        return page.alerts[0]


def _check_shape(alert: StoredAlert) -> None:
    """Raises Forbidden where alerts that who calls may not see are of the same shape, as far as labels tell."""
    if not is_shape_within(alert.labels):
        raise Forbidden("a classification serves all alerts that are alike, and who calls may see some of them only")


def _corrected(before: Classification | None, correction: Correction, *, now: datetime) -> Classification:
    if before is None:
        before = Classification(correction.severity, 1.0, "", "", "", (), "", (), "person", correction.by, now)
    changed = msgspec.structs.replace(
        before,
        severity=correction.severity,
        confidence=1.0,
        summary=before.summary if correction.summary is None else correction.summary,
        recommendations=before.recommendations if correction.recommendations is None else correction.recommendations,
        reasoning=correction.comment or f"Corrected by {correction.by}.",
        source="person",
        model=correction.by,
        at=now,
    )
    return capped(changed)

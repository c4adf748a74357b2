"""One alert's story: what is on record of an occurrence, how it was the last time, and where its sender's pages are.

Must not decide how it looks; `web.pages.story` shows it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alert import Silence
from alert_history.engine.as_of import records_as_of
from alert_history.engine.history import Moved, Records, Tracing, key_of
from alert_history.engine.inhibitions import Inhibition, inhibitions_of
from alert_history.engine.ledger import Ledger
from alert_history.errors import AlertHistoryError, NotFound
from alert_history.origins.imports.registry import title_of
from alert_history.ports import Clock, History, ReceiptUrls, Silences, StoredAlert, Surroundings
from alert_history.ports.imports import Imports


class BroughtIn(msgspec.Struct, frozen=True):
    """That an import brought an occurrence in, when, and from where. `origin` is empty where its record can't be read.

    `id` is the import's.
    """

    id: str
    at: datetime
    title: str
    origin: str = ""


class Story(msgspec.Struct, frozen=True):
    """What a page tells of an occurrence.

    `before` is the last episode of the same label set, None where none is known. `silences` are those that muted it, by
    id, as far as they are known. `external_url` leads to the pages of the Alertmanager that sent it. `brought_in` is
    None for what was sent here. `later` events and acts came behind the moment that the story is told of, and are left
    out. `inhibitions` are by which alerts it was inhibited, the newest first.
    """

    records: Records
    ledger: Ledger
    before: StoredAlert | None = None
    silences: Mapping[str, Silence] = {}
    external_url: str = ""
    brought_in: BroughtIn | None = None
    later: int = 0
    inhibitions: Sequence[Inhibition] = ()

    @property
    def alert(self) -> StoredAlert:
        """The occurrence."""
        return self.records.alert


class Stories:
    """Reads stories by the ids of occurrences. Every call may raise StorageUnavailable or QueryTimeout."""

    def __init__(
        self,
        tracing: Tracing,
        history: History,
        *,
        surroundings: Surroundings,
        silences: Silences,
        receipt_urls: ReceiptUrls,
        imports: Imports,
        clock: Clock,
    ) -> None:
        self._imports = imports
        self._tracing = tracing
        self._history = history
        self._surroundings = surroundings
        self._silences = silences
        self._receipt_urls = receipt_urls
        self._clock = clock

    async def story(self, occurrence_id: str, *, at: datetime | None = None) -> Story | Moved:
        """The story of one occurrence, with `at` as far as it had gone by then. Raises NotFound."""
        records = await self._tracing.records(occurrence_id)
        if isinstance(records, Moved):
            return records
        later = 0
        if at is not None:
            events = await self._history.timeline(records.alert.id)
            later = sum(event.at > at for event in events) + sum(act.at > at for act in records.acts)
            records = records_as_of(msgspec.structs.replace(records, events=events), at)
        before, silences, external_url, brought_in, inhibitions = await asyncio.gather(
            self._before(records.alert),
            self._silences_of(records),
            self._external_url(records),
            self._brought_in(records.alert),
            inhibitions_of(records.events, self._history),
        )
        return Story(
            records,
            records.ledger(at or self._clock()),
            before,
            silences,
            external_url,
            brought_in,
            later=later,
            inhibitions=inhibitions,
        )

    async def _before(self, alert: StoredAlert) -> StoredAlert | None:
        fingerprint, key = key_of(alert.id)
        episodes = await self._surroundings.earlier(fingerprint, before=key, most=1)
        try:
            return await self._history.find(episodes[0].id) if episodes else None
        except NotFound:  # retention took it meanwhile
            return None

    async def _silences_of(self, records: Records) -> dict[str, Silence]:
        ids = {str((event.detail or {}).get("silence_id", "")) for event in records.events if event.kind == "silenced"}
        silences = await self._silences.named(ids - {""}) if ids - {""} else []
        return {silence.id: silence for silence in silences}

    async def _brought_in(self, alert: StoredAlert) -> BroughtIn | None:
        if alert.import_id is None or alert.imported_at is None:
            return None
        try:
            record = await self._imports.find(alert.import_id)
        except AlertHistoryError:  # also for who sees some alerts only: an import is about others, too
            record = None
        if record is None:
            return BroughtIn(alert.import_id, alert.imported_at, title_of(alert.source))
        return BroughtIn(record.id, alert.imported_at, title_of(record.origin), record.origin)

    async def _external_url(self, records: Records) -> str:
        ids = {event.receipt_id for event in records.events if event.receipt_id is not None}
        return (await self._receipt_urls.external_url(ids) if ids else None) or ""

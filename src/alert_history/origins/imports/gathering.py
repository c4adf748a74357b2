"""What is read of a file, gathered into batches of bounded size."""

from collections.abc import Iterator
from datetime import datetime

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.origins.imports.files import ReadFiles
from alert_history.origins.imports.rows import Row, RowFault, firing_of
from alert_history.ports.past_origins import ImportRequest, PastBatch

BATCH_ROWS = 4000


class Gathered:
    """The firings and refused rows that wait to be handed on. Not for two threads at once."""

    def __init__(self, request: ImportRequest, files: ReadFiles) -> None:
        self._now: datetime = request.now
        self._wants = None if request.start is None and request.end is None else request.wants
        self._files = files
        self._firings: list[PastFiring] = []
        self._refused: list[RefusedRow] = []

    @property
    def is_full(self) -> bool:
        """Whether a batch is to be handed on before anything more is read."""
        return len(self._firings) + len(self._refused) >= BATCH_ROWS

    def add(self, row: Row, *, place: str) -> None:
        """Keep the firing of a row, if its start is wanted. Raises: RowFault."""
        firing = firing_of(row, place=place, now=self._now)
        if self._wants is None or self._wants(firing.starts_at):
            self._firings.append(firing)

    def refuse(self, fault: RowFault | str, *, place: str, raw: bytes) -> None:
        """Keep a row that can't be a firing, and why."""
        self._refused.append(RefusedRow(place, str(fault), raw))

    def batch(self) -> PastBatch:
        """What waits, which does not wait any more, and how far the files are read."""
        batch = PastBatch(self._firings, self._refused, done=self._files.done)
        self._firings, self._refused = [], []
        return batch

    def full(self) -> Iterator[PastBatch]:
        """A batch, if one is full."""
        if self.is_full:
            yield self.batch()

"""The quarantine: each refused alert once over the pages, by source and reason, and one by itself."""

import pytest

from alert_history.domain.alert import Refused
from alert_history.errors import NotFound
from alert_history.ports import QuarantinedAlert, QuarantineFilter, Store
from alert_history.storage.shared import quarantine
from tests.conformance.samples import NOW, SECOND, alert, receipt


@pytest.fixture
async def populated(store: Store) -> Store:
    """Twelve refused alerts: every third of another source, every second for another reason."""
    for number in range(12):
        refused = Refused(number, "its time is odd" if number % 2 else "label 'x' is a number", b'{"x": 3}')
        source = "grafana" if number % 3 == 0 else "alertmanager"
        sent = receipt(alert(), at=NOW + number * SECOND, refused=[refused], source=source)  # type: ignore[arg-type]
        await store.recorder.commit([sent])
    return store


async def _all(store: Store, wanted: QuarantineFilter) -> list[QuarantinedAlert]:
    refused: list[QuarantinedAlert] = []
    cursor = None
    while True:
        page = await store.history.quarantine(limit=2, cursor=cursor, wanted=wanted)
        refused += page.quarantine
        cursor = page.next_cursor
        if cursor is None:
            return refused


@pytest.mark.parametrize("looked_at", [3, 5_000])
@pytest.mark.parametrize(
    "wanted, positions",
    [
        (QuarantineFilter(), range(11, -1, -1)),
        (QuarantineFilter(source="grafana"), (9, 6, 3, 0)),
        (QuarantineFilter(reason="is a number"), (10, 8, 6, 4, 2, 0)),
        (QuarantineFilter(source="grafana", reason="is a number"), (6, 0)),
        (QuarantineFilter(reason="%"), ()),
    ],
)
async def test_each_is_there_once_and_newest_first(
    populated: Store,
    wanted: QuarantineFilter,
    positions: range | tuple[int, ...],
    looked_at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quarantine, "MOST_LOOKED_AT", looked_at)
    assert [refused.position for refused in await _all(populated, wanted)] == list(positions)


async def test_one_is_found_by_its_id(populated: Store) -> None:
    newest = (await _all(populated, QuarantineFilter()))[0]
    assert await populated.history.quarantined(newest.id) == newest
    with pytest.raises(NotFound):
        await populated.history.quarantined("01a21f44-d327-7fd1-a093-589acd607d31")

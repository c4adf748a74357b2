"""The numbers of a history: as they were added up, and as a recount of its occurrences gives them."""

from collections.abc import Iterable, Mapping
from typing import Any

from alert_history.domain.tally import DIMENSIONS, OUTCOMES, Dimension, Tally, empty_tally
from alert_history.ports import Store, Sums
from alert_history.storage import is_sqlite
from tests.conformance import raw

_FIRST_DAY, _LAST_DAY = -(10**6), 10**6

_MOST_VALUES = 100_000

_TALLIES = """SELECT dimension, day, value, begun, repeats, ended, short, length_us, minutes, moves, lengths
    FROM rollups ORDER BY dimension, day, value"""
_VALUES = """SELECT v.name, v.value, v.occurrences FROM label_value_counts v JOIN label_name_counts n ON n.name = v.name
    WHERE v.occurrences <> 0 AND n.other_occurrences = 0 ORDER BY v.name, v.value"""
_EMPTY = (b"\x80", b"\x80", b"\x90")
"""The packed maps of an empty tally."""

Labels = dict[str, tuple[int, dict[str, int] | None]]
"""By name: how many occurrences have it, and how many by value; None where some values are beyond the bound.

Then the first values that come have a name, and a recount may come to others first.
"""

Numbers = dict[Dimension, dict[tuple[int, str], Tally]]


async def fold_all(store: Store) -> None:
    """Add up all that waits."""
    while await store.rollups.fold():
        pass


async def numbers_of(store: Store) -> Numbers:
    """All tallies that are not empty, by dimension, day and value."""
    return {
        name: _filled(await store.analytics.tallies(name, first_day=_FIRST_DAY, last_day=_LAST_DAY))
        for name in (*DIMENSIONS, *OUTCOMES)
    }


def _filled(tallies: Mapping[tuple[int, str], Tally]) -> dict[tuple[int, str], Tally]:
    return {place: tally for place, tally in sorted(tallies.items()) if not tally.is_empty}


async def labels_of(store: Store) -> Labels:
    """How many occurrences have each label with each value."""
    labels: Labels = {}
    for label in await store.label_counts.names():
        label_values = await store.label_counts.values(label.name, prefix="", limit=_MOST_VALUES)
        values = {each.value: each.occurrences for each in label_values.values}
        occurrences, others = label_values.label.occurrences, label_values.label.other_occurrences
        assert label.occurrences == occurrences == others + sum(values.values())
        if occurrences:
            labels[label.name] = (occurrences, None if others else values)
    return labels


async def minute_passes(url: str) -> None:
    """So much time passes that who counted the history, and died, counts no more."""
    ago = "updated_at - 61000000" if is_sqlite(url) else "updated_at - interval '61 s'"
    await raw.fetch(url, f"UPDATE settings SET updated_at = {ago} WHERE name = 'rollups'")


async def check_sums(store: Store) -> None:
    """Check that what waits and what is added up give the same numbers, and that a recount gives them, too.

    But `again`: whether a firing began soon after the last one is decided when it begins, and ends may move later.
    """
    before, labels = await numbers_of(store), await labels_of(store)
    await fold_all(store)
    added_up = await numbers_of(store)
    assert added_up == before
    assert await labels_of(store) == labels
    await store.rollups.count_anew(progress=lambda _: None)
    recounted = await numbers_of(store)
    assert _without_again(recounted) == _without_again(added_up)
    assert await labels_of(store) == labels


async def check_recount(store: Store, url: str) -> None:
    """Check, in few statements, that what is added up is what a recount gives; see `check_sums`."""
    await fold_all(store)
    added_up = await _stored(url)
    await store.rollups.count_anew(progress=lambda _: None)
    assert await _stored(url) == added_up


async def _stored(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """The tables of the numbers, without rows of nothing, and without `again`."""
    rows = await raw.fetch(url, _TALLIES)
    names = await raw.fetch(url, "SELECT name, occurrences FROM label_name_counts WHERE occurrences <> 0 ORDER BY name")
    return {
        "tallies": [row for row in rows if any(row[3:8]) or row[8:] != _EMPTY],
        "names": names,
        "values": await raw.fetch(url, _VALUES),
    }


def _without_again(numbers: Numbers) -> Numbers:
    for tallies in numbers.values():
        for tally in tallies.values():
            tally.again = 0
    return {name: _filled(tallies) for name, tallies in numbers.items()}


async def seal_all(store: Store) -> int:
    """Seal all blocks of days that are over; how many."""
    number = 0
    while await store.rollups.seal():
        number += 1
    return number


async def check_blocks(store: Store, spans: Iterable[tuple[int, int]]) -> None:
    """Check that the sums of spans, from one day to another, are those of the tallies of their days."""
    spans = list(spans)
    numbers = await numbers_of(store)
    for dimension, tallies in numbers.items():
        for first_day, last_day in spans:
            by_value: dict[str, Tally] = {}
            for (day, value), tally in tallies.items():
                if first_day <= day <= last_day:
                    by_value.setdefault(value, empty_tally()).add(tally)
            sums = await store.analytics.sums(dimension, first_day=first_day, last_day=last_day)
            expected = {value: _plain(tally) for value, tally in by_value.items()}
            assert {value: of_value for value, of_value in sums.items() if of_value != Sums()} == {
                value: of_value for value, of_value in expected.items() if of_value != Sums()
            }, (dimension, first_day, last_day)


def _plain(tally: Tally) -> Sums:
    return Sums(tally.begun, tally.repeats, tally.ended, tally.short, tally.again, tally.length_us)

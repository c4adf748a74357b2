"""Pasts to bring in, and an origin that remembers them."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from random import Random

from alert_history.domain.alert import Silence
from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.engine.importing import Importing, ImportNeeds, ImportPlan
from alert_history.ports import Store
from alert_history.ports.past_origins import ImportRequest, PastBatch, PastOrigin
from alert_history.storage.spool import open_spool
from tests.conformance.samples import DAY, MINUTE, NOW

LABELS = {"alertname": "DiskFull", "namespace": "shop", "severity": "critical"}


def past(
    begins: int,
    ends: int | None = None,
    *,
    seen: int | None = None,
    name: str = "DiskFull",
    **fields: object,
) -> PastFiring:
    """A firing from some minutes before NOW to others, which fires still where `ends` is None."""
    ends_at = None if ends is None else NOW - ends * MINUTE
    seen_at = None if seen is None else NOW - seen * MINUTE
    return PastFiring({**LABELS, "alertname": name}, NOW - begins * MINUTE, ends_at, seen_at, **fields)  # type: ignore[arg-type]


def origin_of(
    firings: Sequence[PastFiring],
    *,
    refused: Sequence[RefusedRow] = (),
    silences: Sequence[Silence] = (),
    name: str = "elsewhere",
    batch: int = 3,
    after_batch: Callable[[int], None] = lambda _: None,
) -> PastOrigin:
    """An origin that says these, a few at a time; `after_batch` is called when one is taken."""

    async def read(_: ImportRequest) -> AsyncIterator[PastBatch]:
        yield PastBatch((), refused, silences)
        for begin in range(0, len(firings), batch):
            yield PastBatch(firings[begin : begin + batch], done=begin / len(firings))
            after_batch(begin)

    return PastOrigin(name, name.title(), "It remembers.", (), read)


def plan_of(
    origin: PastOrigin, *, now: datetime = NOW, what: str = "elsewhere http://old", **fields: object
) -> ImportPlan:
    """An import of all of an origin."""
    return ImportPlan(origin, ImportRequest({}, now), what, **fields)  # type: ignore[arg-type]


def importing_into(store: Store, *, now: datetime = NOW, retention: timedelta = 3650 * DAY) -> Importing:
    """What runs imports into that store."""
    return Importing(needs_of(store, now=now, retention=retention))


def needs_of(store: Store, *, now: datetime = NOW, retention: timedelta = 3650 * DAY) -> ImportNeeds:
    """What imports into that store work with."""
    clock, files = (lambda: now), store.import_files
    return ImportNeeds(
        store.imports,
        store.settings,
        store.reconciling,
        open_spool,
        clock,
        retention,
        files=files,
        alone=store.archivable.alone,
    )


def some_past(random: Random, *, most: int = 12) -> list[PastFiring]:
    """Firings of two label sets in the last day, in pieces, in any order."""
    firings = []
    for _ in range(random.randint(1, most)):
        begins = random.randint(1, 400)
        length = random.choice([0, 1, 5, 30, 120])
        name = random.choice(["DiskFull", "Slow"])
        fires_still = begins < 60 and random.random() < 0.3
        ends = None if fires_still else max(begins - length, 0)
        how = random.choice(["resolved", "inferred"])
        firings.append(past(begins, ends, seen=0 if fires_still else None, name=name, ended_by=how))
    random.shuffle(firings)
    return firings

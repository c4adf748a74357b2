"""Reads what fired at a past moment. Each way to find it reads in the order of an index, see migration 0019."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.domain.alertmanager.recorded import NEEDED_KINDS, Change, Recorded, alert_at, listed
from alert_history.domain.firing_spans import LATE, LENGTHS, SHORT, earliest
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Key
from alert_history.domain.query import ALL, Query
from alert_history.ports.moments import Post
from alert_history.storage.shared.elements import given_keys, is_among
from alert_history.storage.shared.moments_forgotten import forget_moments
from alert_history.storage.shared.posts import read_posts, unpacked
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import UtcTime, alert_texts, alerts, events, late_ends, receipts

_MOST_FOUND = 50_000
"""So many occurrences are looked at in each of the four ways: a bound for the memory, far above what fires at once."""

_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)

_TICK = timedelta(microseconds=1)

_MOVED = timedelta(days=7)
"""An occurrence lies so far from its key, or less. PostgreSQL has its partitions by the key."""

_T = TypeVar("_T")

KEYS = given_keys("keys")
"""The occurrences whose events are read."""

_A, _E, _L = alerts.c, events.c, late_ends.c


def _time(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=UtcTime())


class MomentWays(NamedTuple):
    """What each database does in its own way.

    `received` is the column in the order of receipts, `received_after` and `received_until` are its bounds. `length` is
    the class of a long firing, and `is_long` tells those, as `idx_alerts_long` has both. `of_keys` joins `KEYS` and
    their events, of keys from `keys_since` until `keys_until`. `key` is the key of an occurrence, as what partitions
    are chosen by; `partition` is how long these are, so that what is in one partition is read together.
    """

    received: ColumnElement[Any]
    received_after: ColumnElement[Any]
    received_until: ColumnElement[Any]
    length: ColumnElement[int]
    is_long: ColumnElement[bool]
    of_keys: FromClause
    key: ColumnElement[Any]
    partition: timedelta | None = None


_COLUMNS = (
    _A.fingerprint,
    _A.starts_at,
    _A.began_at,
    _A.timestamp,
    _A.status,
    func.coalesce(_A.ends_at, _A.last_received_at).label("ends_at"),
    _A.ended_by,
    _A.expires_at,
    _A.unconfirmed,
    _A.last_received_at,
    _A.confirmed_at,
    _A.imported_at,
    *alert_texts,
    _A.generator_url,
    _A.source,
    _A.receiver,
)
_SHOWN: ColumnElement[Any] = func.coalesce(_A.began_at, _A.starts_at)
_IS_OVER: ColumnElement[bool] = _A.status == literal_column("'resolved'", Text)
_IS_OPEN: ColumnElement[bool] = _A.status == literal_column("'firing'", Text)
_IS_OWN = _A.joined_into.is_(None)
_ENDS: ColumnElement[Any] = func.coalesce(_A.ends_at, _A.last_received_at)
_ENDED_LATER = and_(
    _time("ends_after") < _ENDS,
    or_(  # what an Alertmanager told to be over was over then
        _A.source == literal_column("'prometheus'", Text),
        _time("at") < _ENDS,
        _A.ended_by != literal_column("'resolved'", Text),
    ),
)
_HAD_BEGUN = or_(_A.timestamp <= _time("at"), _time("at") >= _SHOWN)
_MOST: ColumnElement[int] = literal_column(str(_MOST_FOUND), Integer)


def is_near(ways: MomentWays) -> ColumnElement[bool]:
    """Whether it was received around the moment. What is over and did not take long is found by this."""
    return and_(
        ways.received > ways.received_after,
        ways.received <= ways.received_until,
        ways.key > _time("key_after"),
        ways.key <= _time("key_until"),
    )


def is_of_length(ways: MomentWays, length: int) -> ColumnElement[bool]:
    """Whether it took long, about as long as the class says, and began so long before the moment at most."""
    return and_(
        ways.is_long,
        ways.length == literal_column(str(length), Integer),
        _time(f"began_after_{length}") < _SHOWN,
        _time("at") >= _SHOWN,
        ways.key > _time(f"key_after_{length}"),
        ways.key <= _time("key_until"),
    )


def short_firings(ways: MomentWays) -> Select[Any]:
    """What was received around the moment."""
    return select(*_COLUMNS).where(is_near(ways), _IS_OVER, _IS_OWN, _ENDED_LATER, _HAD_BEGUN).limit(_MOST)


def long_firings(ways: MomentWays) -> Executable:
    """What took long, of each class the starts within its length."""
    of_lengths = [select(*_COLUMNS).where(is_of_length(ways, length), _IS_OWN, _ENDED_LATER) for length in LENGTHS[1:]]
    return union_all(*of_lengths).limit(_MOST)


OPEN_FIRINGS = select(*_COLUMNS).where(_IS_OPEN, _IS_OWN, _HAD_BEGUN).limit(_MOST)


def late_firings() -> Executable:
    """What we took for open then, because we learnt of its end later."""
    of_classes = [
        select(_L.fingerprint, _L.starts_at).where(
            _L.length == literal_column(str(length), Integer),
            _L.ends_at > _time(f"ended_after_{length}"),
            _L.ends_at <= _time("at"),
            _L.until_at > _time("at"),
        )
        for length in LENGTHS
    ]
    return union_all(*of_classes).limit(_MOST)


_OF_KEYS = (
    select(*_COLUMNS)
    .select_from(KEYS)
    .join(alerts, and_(_A.fingerprint == KEYS.c.fingerprint, _A.starts_at == KEYS.c.starts_at))
    .where(_IS_OWN, _IS_OVER)
)
_ORIGINS = select(receipts.c.id, receipts.c.external_url).where(
    is_among(receipts.c.id, "ids"), receipts.c.received_at >= _time("since"), receipts.c.received_at < _time("until")
)
_KINDS: ColumnElement[str] = literal_column(f"({', '.join(repr(kind) for kind in NEEDED_KINDS)})")


def changes_of_keys(ways: MomentWays) -> Select[Any]:
    """The events of `KEYS` that say what became of them."""
    columns = (KEYS.c.fingerprint, KEYS.c.starts_at, _E.kind, _E.at, _E.key, _E.detail, _E.receipt_id)
    return select(*columns).select_from(ways.of_keys).where(_E.kind.op("IN")(_KINDS))


class SharedMoments:
    """See `ports.Moments`."""

    def __init__(self, database: Database, *, ways: MomentWays) -> None:
        self._database = database
        self._partition = ways.partition
        self._ways = (short_firings(ways), long_firings(ways), OPEN_FIRINGS)
        self._late = late_firings()
        self._changes = changes_of_keys(ways)

    async def alerts(
        self, at: datetime, *, query: Query = ALL, limit: int, names_witnesses: bool = True
    ) -> Sequence[MomentAlert]:
        """See `ports.Moments.alerts`."""
        read = await self._database.read_few(self._read, at, names_witnesses=names_witnesses)
        return await asyncio.to_thread(_alerts, read, at, query=query, limit=limit)

    async def posts(self, at: datetime, *, within: timedelta, most: int, most_bytes: int) -> Sequence[Post]:
        """See `ports.Moments.posts`."""
        posts = await self._database.read_few(read_posts, (at - within, at), most, most_bytes)
        return await asyncio.to_thread(unpacked, posts)

    async def drop(self, before: datetime) -> int:
        """See `ports.Moments.drop`."""
        return await self._database.write_aside(forget_moments, before)

    async def _read(self, session: Session, at: datetime, *, names_witnesses: bool) -> "_Found":
        """The occurrences that may have fired, by their keys, and their events."""
        times = times_of(at)
        rows = {_key(row): row for way in self._ways for row in await session.fetch(way, **times)}
        late = [_key(row) for row in await session.fetch(self._late, **times)]
        if more := [_given(key) for key in late if key not in rows]:
            rows |= {_key(row): row for row in await session.fetch(_OF_KEYS, keys=more)}
        changes: list[Row] = []
        if times_of_keys := [
            starts_at for _, starts_at in rows
        ]:  # one statement: each costs as much as a thousand rows
            span = {"keys_since": min(times_of_keys), "keys_until": max(times_of_keys) + _TICK}
            changes = await session.fetch(self._changes, keys=list(map(_given, rows)), **span)
        return _Found(rows, changes, await self._origins(session, rows, changes) if names_witnesses else {})

    async def _origins(self, session: Session, rows: Mapping[Key, Row], changes: Iterable[Row]) -> dict[str, str]:
        """The external URLs of the requests that told of a firing first, by their ids."""
        first_words = [
            change
            for change in changes
            if change.kind == "fired" and change.receipt_id is not None and rows[_key(change)].source != "prometheus"
        ]
        origins: dict[str, str] = {}
        for since, some in self._together(first_words, lambda change: change.at).items():
            ids = sorted({change.receipt_id for change in some})
            requests = await session.fetch(_ORIGINS, ids=ids, since=since, until=self._end(since))
            origins |= {row.id: row.external_url for row in requests}
        return origins

    def _together(self, things: Iterable[_T], time_of: Callable[[_T], datetime]) -> Mapping[datetime, Sequence[_T]]:
        """Things by the start of the partition of their time."""
        together: dict[datetime, list[_T]] = {}
        for thing in things:
            since = _MONDAY
            if self._partition is not None:
                time = time_of(thing)
                since = time - (time - _MONDAY) % self._partition
            together.setdefault(since, []).append(thing)
        return together

    def _end(self, since: datetime) -> datetime:
        return _NEVER if self._partition is None else since + self._partition


class _Found(NamedTuple):
    """Occurrences by their keys, their events, and the origins of requests by their ids."""

    rows: Mapping[Key, Row]
    changes: Sequence[Row]
    origins: Mapping[str, str]


def _key(row: Row) -> Key:
    return row.fingerprint, row.starts_at


def _given(key: Key) -> tuple[str, int]:
    return key[0], to_us(key[1])


def times_of(at: datetime) -> dict[str, datetime]:
    """The parameters of all ways to find what fired at a moment."""
    times = {
        "at": at,
        "received_after": at - SHORT - LATE,
        "received_until": at + SHORT,
        "ends_after": at - LATE,
        "key_after": at - _MOVED,
        "key_until": at + _MOVED,
    }
    for length in LENGTHS:
        times[f"ended_after_{length}"] = earliest(length, at)
        began_after = earliest(length, at - LATE)
        times[f"began_after_{length}"] = began_after
        times[f"key_after_{length}"] = began_after if length == LENGTHS[-1] else began_after - _MOVED
    return times


def _alerts(found: _Found, at: datetime, *, query: Query, limit: int) -> list[MomentAlert]:
    by_key: dict[Key, list[Row]] = {key: [] for key in found.rows}
    for change in found.changes:
        by_key[_key(change)].append(change)
    fired = (alert_at(_recorded(row, by_key[key], found.origins), at) for key, row in found.rows.items())
    wanted = [alert for alert in fired if alert is not None and query.matches(alert.labels, alert.annotations)]
    return listed(wanted)[: limit + 1]


def _recorded(row: Row, changes: list[Row], origins: Mapping[str, str]) -> Recorded:
    changes.sort(key=lambda change: (change.at, change.key))
    is_open = row.status == "firing"
    return Recorded(
        fingerprint=row.fingerprint,
        key=row.starts_at,
        starts_at=row.began_at or row.starts_at,
        received_at=row.timestamp,
        ends_at=None if is_open else row.ends_at,
        ended_by=None if is_open else row.ended_by,
        expires_at=row.expires_at if row.unconfirmed is None else None,
        last_received_at=row.last_received_at,
        confirmed_at=row.confirmed_at,
        is_imported=row.imported_at is not None,
        labels=row.labels,
        annotations=row.annotations,
        generator_url=row.generator_url,
        source=row.source,
        receiver=row.receiver,
        changes=[_change(change, origins) for change in changes],
    )


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def _change(row: Row, origins: Mapping[str, str]) -> Change:
    detail = _decode(row.detail) if row.detail else {}
    return Change(row.kind, row.at, detail, origins.get(row.receipt_id, ""))

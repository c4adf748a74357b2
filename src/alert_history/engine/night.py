"""The report of a night: reads the facts, within bounds, and has the domain say what they come to.

However many alerts a night had, so many are read and no more; the answer says what was left out.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from alert_history.domain.acts import Act, takers_of
from alert_history.domain.alert import Silence
from alert_history.domain.calendar import parse_zone
from alert_history.domain.delivery import Routing
from alert_history.domain.night import Night
from alert_history.domain.night_facts import FailedDelivery, Muting, NightFacts, NightOccurrence
from alert_history.domain.night_report import night
from alert_history.domain.night_span import NightSpan, last_night, night_between, night_of
from alert_history.domain.notifying import reason_for
from alert_history.domain.times import parse_time
from alert_history.engine.as_of import episodes_as_of
from alert_history.engine.ledger import undecided
from alert_history.engine.reach import is_narrowed
from alert_history.errors import InvalidQuery
from alert_history.ports import Acts, Clock, NightEvent, NightReads, NightRow, Silences, StoredEvent

MOST_BEGAN = 20_000
MOST_BEFORE = 5_000
MOST_RULES = 2_000
MOST_LABEL_SETS = 500
MOST_FAILURES = 2_000
MOST_ACTS = 1_000
_MOST_SILENCES = 500
LOOKS_BACK = timedelta(days=7)
_MOST_REASONS = 3

NOTHING_KNOWN = "everything, because no alert had been received by then"
"""Of a night before all history: that nothing began in it is not known."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)

Evening: TypeAlias = date

_BEGINNINGS = frozenset({"fired", "refired", "published"})


class NightRequest(msgspec.Struct, frozen=True):
    """Which night: that of a date, or last night; or the span from `since` on, until `until`, or now."""

    date: Evening | None = None
    tz: str = "UTC"
    since: str | None = None
    until: str | None = None


class Read(msgspec.Struct, frozen=True):
    """What was read of a night: rows, newest first, and what they led to."""

    span: NightSpan
    now: datetime
    began: Sequence[NightRow]
    before: Sequence[NightRow]
    last_seen: Mapping[str, datetime | None]
    new_fingerprints: frozenset[str]
    failures: Sequence[FailedDelivery]
    silences: Mapping[str, Silence]
    silences_ahead: Sequence[Silence]
    acts: Sequence[Act]
    left_out: Sequence[str]
    is_exact: bool


class Nights:
    """The reports of nights, on the reads of a store."""

    def __init__(self, reads: NightReads, silences: Silences, *, acts: Acts, clock: Clock) -> None:
        self._reads = reads
        self._silences = silences
        self._acts = acts
        self._clock = clock

    async def report(self, asked: NightRequest, *, at: datetime | None = None) -> Night:
        """The report of a night, with `at` as it was known then.

        Raises InvalidQuery, StorageUnavailable, QueryTimeout.
        """
        now = at or self._clock()
        read = await self._read(span_of(asked, now), now)
        if at is not None:
            read = _read_as_of(read, at)
        return await asyncio.to_thread(lambda: night(facts_of(read)))

    async def _read(self, span: NightSpan, now: datetime) -> Read:
        began = await self._reads.received(span.since, span.until, most=MOST_BEGAN + 1)
        before = await self._reads.open_at(span.since, received_since=span.since - LOOKS_BACK, most=MOST_BEFORE + 1)
        failures = await self._reads.failed_deliveries(span.since, span.until, most=MOST_FAILURES + 1)
        acts = await self._acts.between(span.since, span.until, limit=MOST_ACTS + 1)
        limits = list(_limits(began, before, failures))
        began, before = began[:MOST_BEGAN], _cut(before)
        last_seen = await self._last_seen(began, span)
        named = await self._silences.named(_silences_in((*began, *before), span)[:_MOST_SILENCES])
        return Read(
            span=span,
            now=now,
            began=began,
            before=before,
            last_seen=last_seen,
            new_fingerprints=await self._new_fingerprints(began, last_seen, span),
            failures=failures,
            silences={silence.id: silence for silence in named},
            silences_ahead=await self._silences.in_force(span.until, span.until, limit=_MOST_SILENCES),
            acts=acts[:MOST_ACTS],
            left_out=[
                *([NOTHING_KNOWN] if not (began or before) and await self._is_before_all(span) else []),
                *limits,
                *([f"what people did after the first {MOST_ACTS:,} acts"] if len(acts) > MOST_ACTS else []),
                *_looked_up(began),
                f"what was received more than {LOOKS_BACK.days} days before and ended",
            ],
            is_exact=not limits,
        )

    async def _is_before_all(self, span: NightSpan) -> bool:
        """Whether no alert had been received before; not asked of a part of them, which may be long to look for."""
        return not is_narrowed() and not await self._reads.received(_FIRST, span.since, most=1)

    async def _last_seen(self, began: Sequence[NightRow], span: NightSpan) -> dict[str, datetime | None]:
        """When the rules of a night were seen before it; without the new ones."""
        names = _names(began)
        seen = await self._reads.last_seen(names[:MOST_RULES], before=span.since)
        return {**dict.fromkeys(names[MOST_RULES:]), **seen}

    async def _new_fingerprints(
        self, began: Sequence[NightRow], last_seen: Mapping[str, datetime | None], span: NightSpan
    ) -> frozenset[str]:
        """The label sets of known rules that were never seen before, of the newest."""
        looked_up = _label_sets(began, last_seen)[:MOST_LABEL_SETS]
        known = await self._reads.known(looked_up, before=span.since)
        return frozenset(looked_up) - known


def span_of(asked: NightRequest, now: datetime) -> NightSpan:
    """The span of the night that is asked for. Raises InvalidQuery naming the parameter."""
    zone = parse_zone(asked.tz)
    if asked.since is None and asked.until is None:
        span = night_of(asked.date or last_night(now, zone), zone)
    else:
        span = night_between(*_named_span(asked, now), zone)
    if span.since > now:
        raise InvalidQuery(f"the night of {span.evening} has not begun")
    return span


def _named_span(asked: NightRequest, now: datetime) -> tuple[datetime, datetime]:
    if asked.date is not None:
        raise InvalidQuery("date: it and since exclude each other")
    if asked.since is None:
        raise InvalidQuery("until: it needs a since")
    times = []
    for name, text in (("since", asked.since), ("until", asked.until or "now")):
        try:
            times.append(parse_time(text, now))
        except InvalidQuery as error:
            raise InvalidQuery(f"{name}: {error}") from None
    return times[0], times[1]


def _read_as_of(read: Read, at: datetime) -> Read:
    """What had been received, done and given up by a moment."""
    return msgspec.structs.replace(
        read,
        began=_rows_as_of(read.began, at),
        before=_rows_as_of(read.before, at),
        failures=[failure for failure in read.failures if failure.at <= at],
        acts=[act for act in read.acts if act.at <= at],
    )


def _rows_as_of(rows: Sequence[NightRow], at: datetime) -> list[NightRow]:
    return [
        NightRow(episode, None, row.is_published, tuple(event for event in row.events if event.at <= at))
        for row in rows
        for episode in episodes_as_of([row.episode], at)
    ]


# --- Bounds -----------------------------------------------------------------------------------------------------------


def _limits(began: Sequence[NightRow], before: Sequence[NightRow], failures: Sequence[FailedDelivery]) -> Iterator[str]:
    """What was left out because there is too much, a sentence each."""
    if len(began) > MOST_BEGAN:
        first = began[MOST_BEGAN - 1].episode.received_at
        yield f"what was received before {first:%Y-%m-%dT%H:%M:%SZ}, because more than {MOST_BEGAN:,} occurrences began"
    if len(_cut(before)) < len(before):
        yield f"occurrences of before the night beyond {MOST_BEFORE:,}"
    dead = sum(failure.is_dead for failure in failures)
    if max(dead, len(failures) - dead) > MOST_FAILURES:
        yield f"failed deliveries beyond {MOST_FAILURES:,}"


def _cut(before: Sequence[NightRow]) -> list[NightRow]:
    """The newest of those that fire, and of those that are over."""
    firing = [row for row in before if row.episode.ends_at is None]
    over = [row for row in before if row.episode.ends_at is not None]
    return [*firing[:MOST_BEFORE], *over[:MOST_BEFORE]]


def _looked_up(began: Sequence[NightRow]) -> Iterator[str]:
    """What was not looked up in the history before the night."""
    if len(_names(began)) > MOST_RULES:
        yield f"whether rules beyond {MOST_RULES:,} are new"
    if len({row.episode.fingerprint for row in began}) > MOST_LABEL_SETS:
        yield f"whether label sets beyond {MOST_LABEL_SETS} are new"


def _silences_in(rows: Iterable[NightRow], span: NightSpan) -> list[str]:
    """The ids of the silences that muted occurrences."""
    mutings = (muting for row in rows for muting in mutings_of(row, span))
    return sorted({muting.by for muting in mutings if muting.kind == "silenced"})


def _names(rows: Iterable[NightRow]) -> list[str]:
    return sorted({row.episode.alertname for row in rows} - {""})


def _label_sets(rows: Iterable[NightRow], last_seen: Mapping[str, datetime | None]) -> list[str]:
    """The label sets of known rules, in the order of the rows, each once."""
    return list(dict.fromkeys(row.episode.fingerprint for row in rows if row.episode.alertname in last_seen))


# --- What the rows say ------------------------------------------------------------------------------------------------


def facts_of(read: Read) -> NightFacts:
    """The facts in what was read."""
    span = read.span

    def fact(row: NightRow, unnotified: str | None) -> NightOccurrence:
        in_force = tuple(each for each in mutings_of(row, span) if _is_in_force(each, read))
        return NightOccurrence(row.episode, row.unconfirmed, in_force, unnotified, row.is_published)

    return NightFacts(
        span=span,
        now=read.now,
        began=[fact(row, unnotified_of(row, span)) for row in read.began],
        before=[fact(row, None) for row in read.before],
        last_seen=read.last_seen,
        new_fingerprints=read.new_fingerprints,
        failures=read.failures,
        silences=read.silences,
        silences_ahead=read.silences_ahead,
        acts=read.acts,
        takers=takers_of(read.acts),
        left_out=read.left_out,
        is_exact=read.is_exact,
    )


def _is_in_force(muting: Muting, read: Read) -> bool:
    """Whether a muting lasts into the night, as far as its end is known now."""
    silence = read.silences.get(muting.by)
    ends_at = muting.ends_at if silence is None else silence.ends_at
    return ends_at is None or ends_at > read.span.since


def mutings_of(row: NightRow, span: NightSpan) -> list[Muting]:
    """What muted an occurrence in the night or still at its begin, as its events say."""
    mutings: list[Muting] = []
    for event in row.events:
        if event.at >= span.until:
            break
        if event.kind == "unsilenced" and event.at < span.since:
            mutings.clear()
        if event.kind in {"silenced", "inhibited"}:
            mutings.append(_muting(event))
    return mutings


def _muting(event: NightEvent) -> Muting:
    detail = event.detail or {}
    if event.kind == "inhibited":
        return Muting("inhibited", _inhibitor(detail))
    ends_at = detail.get("ends_at")
    return Muting(
        "silenced",
        str(detail.get("silence_id") or "?"),
        created_by=str(detail.get("created_by") or ""),
        comment=str(detail.get("comment") or ""),
        ends_at=msgspec.convert(ends_at, datetime) if isinstance(ends_at, str) else None,
    )


def _inhibitor(detail: Mapping[str, Any]) -> str:
    """The rules of an inhibition, or else the fingerprints that inhibit."""
    names = detail.get("rules") or detail.get("inhibited_by") or ()
    return ", ".join(map(str, names)) if isinstance(names, list) and names else "another alert"


def unnotified_of(row: NightRow, span: NightSpan) -> str | None:
    """Why no target was notified of the beginning of an occurrence, within the night; None where one was."""
    beginnings = [event for event in row.events if event.kind in _BEGINNINGS and event.at < span.until]
    if not beginnings:
        return None
    routings = [_routing(event) for event in beginnings]
    if any(_is_notified(routing, span) for routing in routings):
        return None
    return _why(beginnings[-1], routings[-1], row)


def _routing(event: NightEvent) -> Routing | None:
    record = (event.detail or {}).get("routing")
    return None if record is None else msgspec.convert(record, Routing)


def _is_notified(routing: Routing | None, span: NightSpan) -> bool:
    """Whether a target is to be notified before the night is over."""
    if routing is None:
        return False
    due_at = routing.due_at
    return any(name not in due_at or due_at[name] < span.until for name in routing.targets)


def _why(event: NightEvent, routing: Routing | None, row: NightRow) -> str:
    """The reason of a decision that notifies nobody, as the ledger of the occurrence gives it."""
    if routing is None:
        return undecided(
            StoredEvent(event.kind, event.at, None, None, None, event.detail, is_published=row.is_published)
        )
    if routing.reason is not None:
        return routing.reason
    target_reasons = ((name, reason_for(routing, name)) for name in routing.targets)
    reasons = [f"{name}: {reason}" for name, reason in (*target_reasons, *routing.left_out.items())]
    more = len(reasons) - _MOST_REASONS
    return "; ".join([*islice(reasons, _MOST_REASONS), *([f"and {more} targets more"] if more > 0 else [])])

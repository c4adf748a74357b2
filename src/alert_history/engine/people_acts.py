"""What people did, as far as judgements need it: on which occurrences somebody acted, and when.

Must not keep acts, and must not decide what is told of them. Where nothing keeps acts, `None` stands for whoever would.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, get_args

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.domain.response import Act, ActKind

MOST_ACTS = 50_000
"""The newest are not read where there are more."""

NO_ACTS = "what people did: nothing keeps acknowledgements and notes here"
TOO_MANY_ACTS = f"acts of people beyond the first {MOST_ACTS} since the span began"

_KINDS: frozenset[str] = frozenset(get_args(ActKind))


class KeptAct(Protocol):
    """One act of a person. `fingerprint`, with its scope, and `starts_at` are the key of the occurrence."""

    @property
    def fingerprint(self) -> str:
        """The label set."""
        ...

    @property
    def starts_at(self) -> datetime:
        """The key of the occurrence."""
        ...

    @property
    def alertname(self) -> str:
        """The rule of the alert."""
        ...

    @property
    def at(self) -> datetime:
        """When it was done."""
        ...

    @property
    def kind(self) -> str:
        """What was done."""
        ...

    @property
    def by(self) -> str:
        """Who did it."""
        ...

    @property
    def text(self) -> str:
        """What was said."""
        ...

    @property
    def source(self) -> str:
        """Who told us."""
        ...


class KeptActs(Protocol):
    """Whoever keeps the acts. Every call may raise StorageUnavailable or QueryTimeout."""

    async def between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[KeptAct]:
        """The acts with `since` ≤ `at` < `until`, oldest first, at most `limit`."""
        ...

    async def of_occurrence(self, fingerprint: str, starts_at: datetime) -> Sequence[KeptAct]:
        """The acts of an occurrence, oldest first."""
        ...


class PeopleActs(msgspec.Struct, frozen=True):
    """What people did since a time, on whichever occurrences. `left_out` says what is not here."""

    acts: Sequence[KeptAct] = ()
    left_out: tuple[str, ...] = ()

    def on_begun(self, since: datetime, until: datetime) -> "PeopleActs":
        """Those on occurrences that began in a span, by the start in their key."""
        return msgspec.structs.replace(self, acts=[act for act in self.acts if since <= act.starts_at < until])

    @property
    def occurrences(self) -> dict[str, set[str]]:
        """By alertname the ids of the occurrences on which somebody acted."""
        acted: dict[str, set[str]] = defaultdict(set)
        for act in self.acts:
            acted[act.alertname].add(occurrence_id(act.fingerprint, to_us(act.starts_at)))
        return acted

    @property
    def for_response(self) -> list[Act]:
        """The same as the response is reckoned from."""
        return [response_act(act) for act in self.acts]


def response_act(act: KeptAct) -> Act:
    """An act as the response is reckoned from."""
    kind: ActKind = act.kind  # type: ignore[assignment]  # `read_acts` leaves others out
    return Act(occurrence_id(act.fingerprint, to_us(act.starts_at)), kind, act.at, act.by, act.source)


def is_acting(act: KeptAct) -> bool:
    """Whether somebody saw to the occurrence; who takes an acknowledgement back does not."""
    return act.kind in _KINDS


async def read_acts(kept_acts: KeptActs | None, since: datetime, *, now: datetime) -> PeopleActs:
    """What people did since a time. Raises what `kept_acts` raises."""
    if kept_acts is None:
        return PeopleActs(left_out=(NO_ACTS,))
    acts = await kept_acts.between(since, now, limit=MOST_ACTS)
    return PeopleActs(list(filter(is_acting, acts)), (TOO_MANY_ACTS,) if len(acts) >= MOST_ACTS else ())


def counts_of(acted: Mapping[str, set[str]]) -> dict[str, int]:
    """On how many occurrences of each rule somebody acted."""
    return {alertname: len(ids) for alertname, ids in acted.items()}

"""PostgreSQL: the alerts of one batch, decided and written in few statements.

All writers take locks in one order: standings, then occurrences; each sorted. Plain repeats need no decision, so a
batch counts them without the lock of their standing. A batch that has counted repeats does not wait for standings,
because two replicas would get into a deadlock, which PostgreSQL sees only after a second. Such a batch begins anew, and
locks all standings first.
"""

from collections.abc import Mapping, Sequence

import asyncpg

from alert_history.domain.counting import written_changes
from alert_history.domain.decision import Decision, Known, decide
from alert_history.domain.notifying import Enqueued, notify
from alert_history.domain.occurrence import About, Event, Sighting
from alert_history.domain.sightings import is_same_word
from alert_history.domain.standing import Rules, Witnesses
from alert_history.errors import StorageUnavailable
from alert_history.ports import Router
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.deciding import lock_known, recall, write_decisions
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.rows import repeat_row, standing_row
from alert_history.storage.shared.foreseen import Seen

_ROUNDS = 4


class Batch:
    """The sightings of a batch by label set. `keep` fills `events`, `queue` and `decisions`.

    `published` are the ids of the receipts that are to be published.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[Sighting]],
        router: Router | None,
        rules: Rules,
        witnesses: Witnesses,
    ) -> None:
        self._groups = groups
        self._router = router
        self._rules = rules
        self._witnesses = witnesses
        self.published: frozenset[str] | set[str] = frozenset()
        self.events: list[Event] = []
        self.queue: list[Enqueued] = []
        self.decisions: list[Decision] = []
        self._repeated: list[tuple[About | None, str, int]] = []

    def changes(self) -> bytes | None:
        """What the batch changes in the numbers of the history; see `domain.counting`."""
        return written_changes(self.decisions, self._repeated)

    async def keep(self, connection: Connection, seen: Mapping[str, Seen]) -> None:
        """Insert alerts that seem new, count plain repeats, lock and decide the rest.

        `seen` are the newest occurrences of alerts seen lately; without `seen` every standing is locked, in order.

        Raises:
            asyncpg.LockNotAvailableError: the batch would have to wait out of order.
            asyncpg.UniqueViolationError: an occurrence exists without a standing.
        """
        plain = {f: seen[f] for f, s in self._groups.items() if f in seen and is_same_word(s)}
        rest = [fingerprint for fingerprint in self._groups if fingerprint not in plain]
        if seen:
            new = [f for f in rest if f not in seen and self._groups[f][0].word.is_firing]
            rest = sorted({*rest} - {*await self._begin(connection, dict.fromkeys(new))})
        left = await self._count(connection, plain)
        await self._decide_all(connection, sorted([*rest, *left]), may_wait=not plain)

    async def _decide_all(self, connection: Connection, fingerprints: Sequence[str], *, may_wait: bool) -> None:
        """Lock standings and decide. The next round locks a standing that another replica makes meanwhile."""
        for _ in range(_ROUNDS):
            if not fingerprints:
                return
            known = await lock_known(connection, fingerprints, may_wait=may_wait)
            decisions = [self._decide(f, known[f]) for f in fingerprints if f in known]
            await self._write(connection, decisions)
            unknown = [f for f in fingerprints if f not in known]
            if unknown and not may_wait:
                raise asyncpg.LockNotAvailableError("new standings would have to be waited for")
            recalled = await recall(connection, unknown)
            begun = await self._begin(connection, {f: recalled.get(f) for f in unknown})
            fingerprints = sorted({*unknown} - {*begun})
        raise StorageUnavailable("other writers kept changing the same occurrences")

    async def _begin(self, connection: Connection, known: Mapping[str, Known | None]) -> list[str]:
        """Decide for label sets without a standing, and make it. Returns those made: another replica may be first."""
        if not known:
            return []
        decisions = [self._decide(fingerprint, label_set) for fingerprint, label_set in sorted(known.items())]
        events, queue = notify(decisions, self._router, published=self.published)
        rows = [standing_row(decision.fingerprint, decision.standing)[:3] for decision in decisions]
        done = await connection.execute(sql.INSERT_STANDINGS, *zip(*rows, strict=True))
        begun = [decision.fingerprint for decision in decisions]
        if done != f"INSERT 0 {len(begun)}":
            begun = [row[0] for row in await connection.fetch(sql.OWN_STANDINGS, begun)]
            decisions = [decision for decision in decisions if decision.fingerprint in begun]
            events = [event for event in events if event.fingerprint in begun]
            queue = [enqueued for enqueued in queue if enqueued.event.fingerprint in begun]
        for decision in decisions:
            decision.is_standing_changed = False
        await write_decisions(connection, decisions)
        self._take(decisions, events, queue)
        return begun

    async def _write(self, connection: Connection, decisions: Sequence[Decision]) -> None:
        events, queue = notify(decisions, self._router, published=self.published)
        await write_decisions(connection, decisions)
        self._take(decisions, events, queue)

    async def _count(self, connection: Connection, plain: Mapping[str, Seen]) -> list[str]:
        """Count plain repeats; returns the alerts that were no plain repeats."""
        if not plain:
            return []
        rows = [repeat_row(seen, self._groups[f]) for f, seen in sorted(plain.items())]
        counted = {row[0] for row in await connection.fetch(sql.COUNT_REPEATS, *zip(*rows, strict=True))}
        self._repeated += [(plain[f].about, plain[f].receiver, len(self._groups[f])) for f in counted]
        return [fingerprint for fingerprint in plain if fingerprint not in counted]

    def _decide(self, fingerprint: str, known: Known | None) -> Decision:
        return decide(known, self._groups[fingerprint], rules=self._rules, witnesses=self._witnesses)

    def _take(self, decisions: Sequence[Decision], events: Sequence[Event], queue: Sequence[Enqueued]) -> None:
        self.decisions += decisions
        self.events += events
        self.queue += queue

"""What a batch will come to, told from memory before the database is asked: most batches hold no surprise.

A recorder remembers each label set that it wrote lately. Where every alert of a batch is either unknown to it, or says
again what it remembers, the whole batch can be made ready beforehand and go to the database at once. The database then
checks what was foreseen, in the same transaction. Where it was wrong, nothing is written, and the batch goes the long
way, which reads and locks before it decides.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from sys import intern
from typing import Self

import msgspec

from alert_history.domain.alert import Status
from alert_history.domain.counting import written_changes
from alert_history.domain.decision import Decision, Entry, decide
from alert_history.domain.notes import PlacedNotes
from alert_history.domain.notifying import Enqueued, notify
from alert_history.domain.occurrence import About, Event, Occurrence, Sighting
from alert_history.domain.outcome import outcomes
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.sightings import from_grafana, is_same_word
from alert_history.domain.standing import Rules, Witnesses
from alert_history.ports import Router


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The newest occurrence of a label set, as a recorder wrote it: what a plain repeat of it must say.

    `row_id` is the id of its row, where the database has one. `about` and `receiver` are what repeats are counted by.
    """

    starts_at: datetime
    status: Status
    claim: int
    content_hash: int
    is_published: bool
    row_id: int = 0
    about: About | None = None
    receiver: str = ""

    @classmethod
    def of(cls, entry: Entry, *, row_id: int = 0) -> Self:
        """What is remembered of an occurrence that was written."""
        now: Occurrence = entry.occurrence
        return cls(
            entry.starts_at,
            now.status,
            now.claim,
            now.content_hash,
            now.is_published,
            row_id,
            now.about,
            intern(now.receiver),
        )

    def is_repeated_by(self, sightings: Sequence[Sighting]) -> bool:
        """Whether sightings say no more than what is remembered. Only the database knows whether it still holds.

        An alert that is not repeated so may be a plain repeat of what another replica wrote.
        """
        last = sightings[-1]
        return (
            self.claim == last.claim
            and self.content_hash == last.content_hash
            and self.status == last.alert.status
            and (self.is_published or not (last.word.is_firing and last.word.is_to_publish))
            and is_same_word(sightings)
        )


class Foreseen(msgspec.Struct, frozen=True):
    """A batch as it will be, if the database agrees: new label sets, plain repeats, and what each request is answered.

    `begun` are decided as if the database knew nothing of them.
    """

    plain: Mapping[str, Seen]
    begun: list[Decision]
    events: list[Event]
    queue: list[Enqueued]
    outcomes: list[Outcome]

    def changes(self, groups: Mapping[str, Sequence[Sighting]]) -> bytes | None:
        """What the batch changes in the numbers of the history; see `domain.counting`."""
        plain = [(seen.about, seen.receiver, len(groups[f])) for f, seen in self.plain.items()]
        return written_changes(self.begun, plain)


def foresee(
    receipts: Sequence[Receipt],
    groups: Mapping[str, list[Sighting]],
    *,
    seen: Mapping[str, Seen],
    router: Router | None,
    rules: Rules,
    witnesses: Witnesses,
) -> Foreseen | None:
    """What a batch will come to; None where only the database can tell.

    Raises: StorageUnavailable before the targets are known, as the router does.
    """
    if any(map(_is_special, receipts)) or from_grafana(groups, seen):
        return None
    plain: dict[str, Seen] = {}
    for fingerprint, sightings in groups.items():
        known = seen.get(fingerprint)
        if known is not None and known.is_repeated_by(sightings):
            plain[fingerprint] = known
        elif known is not None or not sightings[0].word.is_firing:
            return None
    begun = [decide(None, s, rules=rules, witnesses=witnesses) for f, s in groups.items() if f not in plain]
    if any(decision.peers for decision in begun):
        return None
    events, queue = notify(begun, router, published={receipt.id for receipt in receipts if receipt.publish})
    answers = outcomes(receipts, decisions=begun, placed=PlacedNotes(), queue=queue)
    return Foreseen(plain, begun, events, queue, answers)


def _is_special(receipt: Receipt) -> bool:
    """Whether a request holds more than alerts that can be kept as they are."""
    group = receipt.group
    return bool(group.notes or group.silences or group.refused or group.cut)

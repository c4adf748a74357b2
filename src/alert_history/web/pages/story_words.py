"""The words of an alert's story: what happened, how it ended, what became of news at a target."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from alert_history.domain.acts import ActKind
from alert_history.domain.alertmanager.outcome import Basis
from alert_history.domain.classification import NO_KNOWN_CAUSE, Classification
from alert_history.domain.delivery import Fate
from alert_history.domain.occurrence import EventKind
from alert_history.domain.standing import EndedBy
from alert_history.domain.text_differences import ComparedText, compared
from alert_history.engine.ledger import Ledger, LedgerAct, LedgerEvent, LedgerLine, LedgerStep
from alert_history.engine.story import Story
from alert_history.ports import StoredEvent

FIRST_SHOWN = 4
LAST_SHOWN = 8
"""Of a long ledger so many entries at its ends are open, and those between them are folded away."""

_Hue: TypeAlias = Literal["firing", "over", "muted", "person", "plain"]

BASIS_WORDS: Mapping[Basis, str] = {"known": "On record", "follows": "Follows", "unknown": "Not known"}
"""How it is known what a receiver of an Alertmanager did."""

EVENT_WORDS: Mapping[EventKind, str] = {
    "fired": "It fired",
    "refired": "It fired again",
    "published": "It was passed on for the first time",
    "annotations_changed": "Its annotations changed",
    "resolved": "It resolved",
    "expired": "It is taken as over: its sender fell silent",
    "inferred": "It is taken as over: a later message implies it",
    "reconciled": "It is taken as over: a poll showed it",
    "start_moved": "Its start was corrected",
    "left": "It left its group",
    "unconfirmed": "Nobody confirms any more that it fires",
    "confirmed": "A sender confirmed that it fires",
    "conflict": "Two senders contradicted each other",
    "joined": "A double was joined to it",
    "silenced": "A silence muted it in Alertmanager",
    "unsilenced": "No silence mutes it any more",
    "inhibited": "Another alert inhibited it in Alertmanager",
    "notified": "Alertmanager notified a receiver",
    "grouped": "Alertmanager put it into a group",
    "classified": "It was classified after targets had been notified",
}
ACT_WORDS: Mapping[ActKind, str] = {
    "acknowledged": "Acknowledged",
    "noted": "Note",
    "unacknowledged": "Acknowledgement taken back",
    "resolved": "Resolved at the vendor",
}
FATE_WORDS: Mapping[Fate, str] = {
    "not_told": "left out",
    "held": "held by quiet hours",
    "pending": "waits",
    "leased": "being sent",
    "delivered": "delivered",
    "withheld": "held back",
    "superseded": "passed over",
    "dead": "not delivered (dead letter)",
    "unknown": "no record",
}
ENDED_WORDS: Mapping[EndedBy, str] = {
    "resolved": "its sender said so",
    "expired": "its sender fell silent",
    "inferred": "a later message implies it",
    "reconciled": "a poll showed it",
}
_HUES: Mapping[str, _Hue] = {
    **dict.fromkeys(("fired", "refired", "published"), "firing"),
    **dict.fromkeys(("resolved", "expired", "inferred", "reconciled"), "over"),
    **dict.fromkeys(("silenced", "inhibited", "unconfirmed", "conflict"), "muted"),
}


class StoryEntry(msgspec.Struct, frozen=True):
    """One thing that happened, with what followed from it; `changed` are texts that it changed."""

    at: datetime
    title: str
    hue: _Hue
    by: str = ""
    text: str = ""
    steps: Sequence[LedgerStep] = ()
    lines: Sequence[LedgerLine] = ()
    changed: Sequence[ComparedText] = ()


class FoldedEntries(NamedTuple):
    """The entries of a story, oldest first: those that are folded away stand in the middle."""

    first: Sequence[StoryEntry]
    folded: Sequence[StoryEntry]
    last: Sequence[StoryEntry]


def entries_of(story: Story) -> FoldedEntries:
    """Events and acts, oldest first."""
    events, stored = story.ledger.events, story.records.events
    paired = zip_longest(events, stored[len(stored) - len(events) :])
    entries = [*(_event(event, record) for event, record in paired), *map(_act, story.ledger.acts)]
    entries.sort(key=lambda entry: entry.at)
    if len(entries) <= FIRST_SHOWN + LAST_SHOWN + 2:
        return FoldedEntries(entries, (), ())
    return FoldedEntries(entries[:FIRST_SHOWN], entries[FIRST_SHOWN:-LAST_SHOWN], entries[-LAST_SHOWN:])


def acknowledged_by(ledger: Ledger) -> LedgerAct | None:
    """The newest acknowledgement that was not taken back."""
    kinds = {"acknowledged", "unacknowledged"}
    newest = [act for act in ledger.acts if act.kind in kinds][-1:]
    return next((act for act in newest if act.kind == "acknowledged"), None)


def is_by_label_alone(word: Classification | None) -> bool:
    """Whether nobody knows more of an alert than its label says: the rules had one piece of evidence, of no kind."""
    if word is None:
        return True
    is_unknown = word.source == "rules" and word.probable_cause == NO_KNOWN_CAUSE
    return is_unknown and ". " not in word.reasoning and not word.is_noise_by_history


def _event(event: LedgerEvent, record: StoredEvent) -> StoryEntry:
    detail = record.detail or {}
    is_reworded = event.event == "annotations_changed"
    changed = compared(detail.get("after", {}), detail.get("before", {})) if is_reworded else ()
    return StoryEntry(
        event.at,
        EVENT_WORDS[event.event],
        _HUES.get(event.event, "plain"),
        steps=event.steps,
        lines=event.targets,
        changed=changed,
    )


def _act(act: LedgerAct) -> StoryEntry:
    by = act.by if act.source == "person" else f"{act.by}, at {act.source.replace('pagerduty', 'PagerDuty').title()}"
    return StoryEntry(act.at, ACT_WORDS[act.kind], "person", by=by, text=act.text, lines=act.targets)

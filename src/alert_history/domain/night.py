"""The report of a night: what the one who comes in the morning has to know, in lists that are short and in order.

Holds the shapes of the answer. `domain.night_report` makes it of the facts, `domain.night_text` writes it down.
"""

from datetime import date, datetime
from typing import Generic, Literal, TypeVar

import msgspec

from alert_history.domain.acts import ActKind, ActSource
from alert_history.domain.covers import Covers

T = TypeVar("T")

LookKind = Literal[
    "open_critical",
    "failed_critical",
    "unnotified_critical",
    "storm",
    "unconfirmed",
    "silence_ends",
    "new",
    "open",
    "failed",
]
"""Why a rule is to be looked at first; the gravest reason stands first."""


class Section(msgspec.Struct, Generic[T], frozen=True):
    """A list that is cut: `lines` are the first of `total` lines."""

    lines: list[T]
    total: int


class NightCounts(msgspec.Struct, frozen=True):
    """Numbers of occurrences. `began` + `open_before` = `ended` + `open`; `ended_by` adds up to `ended`.

    `began`: first received in the night. `open_before`: received earlier, and open in the night. `rules` are the
    alertnames of those that began, `new_rules` those never seen before. `silenced` and `inhibited` were muted in the
    night, `unnotified` are those that began and of which no target was notified. `failed_deliveries` counts
    deliveries, given up or tried again.
    """

    began: int
    open_before: int
    ended: int
    open: int
    unconfirmed: int
    rules: int
    new_rules: int
    silenced: int
    inhibited: int
    unnotified: int
    failed_deliveries: int
    ended_by: dict[str, int]


class RuleLine(msgspec.Struct, frozen=True):
    """One rule in one list: its `occurrences` there, of which `open` are open and `brief` were over in five minutes.

    `severity` is the gravest of them; `namespaces` are the first of `namespace_count`, and `examples` are ids, the
    newest first. `first_at` and `last_at` are when the first and the last one began to fire. `longest_seconds` is how
    long one fired at most. `last_seen_at` is when one was last received before the night, null for a new rule;
    `new_label_sets` counts label sets never seen before. `taken_by` are people who acknowledged one of them in the
    night.
    """

    alertname: str
    severity: str
    namespaces: list[str]
    namespace_count: int
    occurrences: int
    open: int
    brief: int
    new_label_sets: int
    first_at: datetime
    last_at: datetime
    longest_seconds: float
    last_seen_at: datetime | None
    examples: list[str]
    taken_by: list[str] = []


class LookReason(msgspec.Struct, frozen=True):
    """One reason to look at a rule. `at` is since when, or when; `detail` is a target, a reason or a silence."""

    kind: LookKind
    at: datetime
    detail: str = ""


class FirstLook(msgspec.Struct, frozen=True):
    """A rule to look at, with all reasons, the gravest first. `occurrences` are its occurrences of the night.

    `taken_by` are people who acknowledged one of them in the night.
    """

    alertname: str
    severity: str
    namespaces: list[str]
    occurrences: int
    reasons: list[LookReason]
    examples: list[str]
    taken_by: list[str] = []


class ActLine(msgspec.Struct, frozen=True):
    """What somebody did about an occurrence in the night, and when; `text` is what they wrote with it."""

    at: datetime
    kind: ActKind
    by: str
    source: ActSource
    text: str
    alertname: str
    severity: str
    namespace: str
    occurrence_id: str


class StormLine(msgspec.Struct, frozen=True):
    """A storm (`domain.alert_storms`) and all occurrences that were received in it. `first` is the rule that began it.

    `since` and `until` are when the first and the last were received; `rules` are the most frequent of `rule_count`.
    """

    since: datetime
    until: datetime
    occurrences: int
    open: int
    first: str
    rules: list[str]
    rule_count: int


class MutedLine(msgspec.Struct, frozen=True):
    """What one silence muted, or one inhibition; `open` of the occurrences are open.

    `by` is the id of the silence, or names the alerts that inhibit.
    """

    kind: Literal["silenced", "inhibited"]
    by: str
    created_by: str
    comment: str
    ends_at: datetime | None
    occurrences: int
    open: int
    rules: list[str]
    rule_count: int


class SilenceLine(msgspec.Struct, frozen=True):
    """A silence that ends before the next night. `open` occurrences that it muted in the night are open."""

    id: str
    created_by: str
    comment: str
    matchers: str
    ends_at: datetime
    open: int


class UnnotifiedLine(msgspec.Struct, frozen=True):
    """One reason why no target was notified, and the occurrences of which that is true; `critical` are critical."""

    reason: str
    occurrences: int
    critical: int
    rules: list[str]
    rule_count: int
    examples: list[str]


class FailedLine(msgspec.Struct, frozen=True):
    """The failed deliveries of a target; `critical` are of critical alerts. `reason` is that of the newest."""

    target: str
    given_up: int
    tried_again: int
    critical: int
    last_at: datetime
    reason: str
    rules: list[str]
    rule_count: int


class Night(msgspec.Struct, frozen=True):
    """The report of a night. Times are aware UTC; `tz` is the zone of its hours.

    `date` is the date of its evening: the night of 4 March ends on the morning of 5 March. `is_over` is false while it
    goes on: then `open` is what is open now. `new` are rules never seen before, `known` all other rules that began,
    `healed` those that ended, without a word here on who mended them. `noise` are rules that began again and again, and
    were over within minutes. `known`, `healed` and `noise` pass by what belongs to a storm alone.
    """

    date: date
    tz: str
    since: datetime
    until: datetime
    next_night_at: datetime
    is_over: bool
    counts: NightCounts
    look_first: Section[FirstLook]
    acts: Section[ActLine]
    storms: Section[StormLine]
    new: Section[RuleLine]
    open: Section[RuleLine]
    unconfirmed: Section[RuleLine]
    unnotified: Section[UnnotifiedLine]
    failed: Section[FailedLine]
    muted: Section[MutedLine]
    silences_ending: Section[SilenceLine]
    healed: Section[RuleLine]
    known: Section[RuleLine]
    noise: Section[RuleLine]
    covers: Covers

"""The report of a night as text for a terminal, and as Markdown for a chat or a wiki: at most about sixty lines.

Texts of alerts are shown, never obeyed: control characters are written out, and Markdown's own signs are escaped.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import TypeVar
from urllib.parse import quote

import msgspec

from alert_history.domain.acts import ActKind
from alert_history.domain.calendar import parse_zone
from alert_history.domain.night import (
    ActLine,
    FailedLine,
    FirstLook,
    LookKind,
    LookReason,
    MutedLine,
    Night,
    RuleLine,
    Section,
    SilenceLine,
    StormLine,
    UnnotifiedLine,
)
from alert_history.domain.printable import printable

T = TypeVar("T")

LINE_CHARACTERS = 200
_REASON_CHARACTERS = 110
_NAME_CHARACTERS = 60
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&#])")


class PageAddress(msgspec.Struct, frozen=True):
    """Where the page of a night is: `path` below `root`, where the pages of occurrences are too."""

    root: str
    path: str


class _Line(msgspec.Struct, frozen=True):
    """A line of a list. It begins with `name` if it is about a rule, of which `example` is an occurrence."""

    text: str
    name: str = ""
    example: str = ""


class _Block(msgspec.Struct, frozen=True):
    """A titled list: some `lines` of `total`."""

    title: str
    lines: list[_Line]
    total: int

    @property
    def heading(self) -> str:
        """The title with how many lines there are, and how many of them are shown."""
        shown = len(self.lines)
        return f"{self.title} ({shown} of {self.total})" if shown < self.total else f"{self.title} ({shown})"


def text_of(night: Night) -> str:
    """The report as plain text."""
    zone = parse_zone(night.tz)
    blocks = _blocks(night, zone)
    lines = [*_head(night, zone)]
    for block in blocks:
        if block.lines:
            lines += [block.heading, *(f"  {line.text}" for line in block.lines)]
    return "\n".join([*lines, *_foot(night, blocks, zone)]) + "\n"


def markdown_of(night: Night, address: PageAddress | None = None) -> str:
    """The report as Markdown; with an address the title leads to the page, each rule to its newest occurrence."""
    zone = parse_zone(night.tz)
    blocks = _blocks(night, zone)
    title, *summary = map(_escaped, _head(night, zone))
    lines = [f"# {title if address is None else f'[{title}]({address.root}{address.path})'}", "", *summary]
    for block in blocks:
        if block.lines:
            lines += [
                "",
                f"**{_escaped(block.heading)}**",
                "",
                *(f"- {_linked(line, address)}" for line in block.lines),
            ]
    foot = list(map(_escaped, _foot(night, blocks, zone)))
    lines += ["", *foot] if address is None else [each for line in foot for each in ("", line)]
    return "\n".join(lines) + "\n"


def _linked(line: _Line, address: PageAddress | None) -> str:
    """A line as Markdown, its name a link where one is known and the line was not cut within it."""
    if address is None or not line.example or not line.text.startswith(line.name):
        return _escaped(line.text)
    rest = line.text.removeprefix(line.name)
    return f"[{_escaped(line.name)}]({address.root}dashboard/alerts/{quote(line.example, safe='')}){_escaped(rest)}"


# --- The head, the lists, the foot ------------------------------------------------------------------------------------


def _head(night: Night, zone: tzinfo) -> list[str]:
    counts = night.counts
    begin, end = (at.astimezone(zone) for at in (night.since, night.until))
    span = f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {night.tz}"
    ended = ", ".join(f"{count} {word}" for word, count in counts.ended_by.items())
    summary = (
        f"Began: {_number(counts.began, 'occurrence')} of {_number(counts.rules, 'rule')}. "
        f"Open before: {counts.open_before}. Ended: {counts.ended}{f' ({ended})' if ended else ''}. "
        f"Open {'at its end' if night.is_over else 'now'}: {counts.open}."
    )
    return [f"The night of {night.date}: {span}" + ("" if night.is_over else "; it goes on"), summary]


def _blocks(night: Night, zone: tzinfo) -> list[_Block]:
    clock = _clock_of(night, zone)

    def block(title: str, section: Section[T], write: Callable[[T], str], most: int = 3) -> _Block:
        return _Block(title, [_line(line, write(line)) for line in section.lines[:most]], section.total)

    return [
        block("Look at first", night.look_first, lambda line: _look(line, clock), 5),
        block("Acknowledgements and notes", night.acts, lambda line: _act(line, clock)),
        block("Storms", night.storms, lambda line: _storm(line, clock)),
        block("New rules", night.new, lambda line: _new(line, clock)),
        block("Rules still open", night.open, lambda line: _open(line, clock), 5),
        block("Rules unconfirmed", night.unconfirmed, lambda line: _open(line, clock)),
        block("Nobody notified", night.unnotified, _unnotified),
        block("Failed deliveries, by target", night.failed, lambda line: _failed(line, clock)),
        block("Silenced or inhibited", night.muted, lambda line: _muted(line, clock)),
        block("Silences that end before the next night", night.silences_ending, lambda line: _silence(line, clock)),
        block("Rules healed", night.healed, _healed),
        block("Known rules that began", night.known, lambda line: _known(line, clock)),
        block("Noise", night.noise, _noise),
    ]


def _line(of: object, text: str) -> _Line:
    if isinstance(of, ActLine):
        return _Line(_clipped(text), _name(of.alertname), of.occurrence_id)
    if isinstance(of, RuleLine | FirstLook) and of.examples:
        return _Line(_clipped(text), _name(of.alertname), of.examples[0])
    return _Line(_clipped(text))


def _foot(night: Night, blocks: Sequence[_Block], zone: tzinfo) -> Iterator[str]:
    absent = [block.title[0].lower() + block.title[1:] for block in blocks if not block.lines]
    if absent:
        yield f"None: {'; '.join(absent)}."
    covers = night.covers
    exact = "" if covers.is_exact else " Numbers are lower bounds."
    fresh = covers.fresh_as_of.astimezone(zone)
    yield f"Counted by when they were first received, as of {fresh:%Y-%m-%d %H:%M:%S} {night.tz}.{exact}"
    if covers.left_out:
        yield f"Left out: {'; '.join(covers.left_out)}."


# --- A line of each list ----------------------------------------------------------------------------------------------

_Clock = Callable[[datetime], str]


def _clock_of(night: Night, zone: tzinfo) -> _Clock:
    """Writes a time by the clock of the zone; with its date where it is not of the night or the day after it."""

    def clock(at: datetime) -> str:
        if night.since <= at < night.next_night_at:
            return f"{at.astimezone(zone):%H:%M}"
        try:
            return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
        except OverflowError:  # a silence for ever
            return f"{at:%Y-%m-%d %H:%M} UTC"

    return clock


def _look(line: FirstLook, clock: _Clock) -> str:
    reasons = "; ".join(reason_text(reason, clock) for reason in line.reasons)
    return f"{_subject(line)}: {reasons}"


def reason_text(reason: LookReason, clock: Callable[[datetime], str]) -> str:
    """Why to look at a rule, in words; `clock` writes the times in them."""
    return _REASONS[reason.kind](reason, clock)


_REASONS: dict[LookKind, Callable[[LookReason, _Clock], str]] = {
    "open_critical": lambda reason, clock: f"critical, and open since {clock(reason.at)}",
    "failed_critical": lambda reason, _: f"critical, and a delivery failed: {_reason(reason.detail)}",
    "unnotified_critical": lambda reason, _: f"critical, and nobody was notified: {_reason(reason.detail)}",
    "storm": lambda reason, clock: f"it began a storm of {reason.detail} at {clock(reason.at)}",
    "unconfirmed": lambda reason, _: f"unconfirmed: {_reason(reason.detail)}",
    "silence_ends": lambda reason, clock: f"open, and silence {_name(reason.detail)} ends at {clock(reason.at)}",
    "new": lambda reason, clock: f"new rule, first at {clock(reason.at)}",
    "open": lambda reason, clock: f"open since {clock(reason.at)}",
    "failed": lambda reason, _: f"a delivery failed: {_reason(reason.detail)}",
}


def _act(line: ActLine, clock: _Clock) -> str:
    source = "" if line.source == "person" else f" ({line.source})"
    text = f": {_reason(line.text)}" if line.text else ""
    return f"{_name(line.alertname)}: {_name(line.by)} {ACT_WORDS[line.kind]}{source} at {clock(line.at)}{text}"


ACT_WORDS: dict[ActKind, str] = {
    "acknowledged": "acknowledged it",
    "noted": "noted",
    "unacknowledged": "took the acknowledgement back",
    "resolved": "resolved it",
}
"""What somebody did, after their name."""


def _storm(line: StormLine, clock: _Clock) -> str:
    span = f"{clock(line.since)} to {clock(line.until)}"
    return f"{span}: {_occurrences(line)}; {_name(line.first)} was first; {line.open} open"


def _new(line: RuleLine, clock: _Clock) -> str:
    return f"{_subject(line)}: first at {clock(line.first_at)}, {line.open} open"


def _open(line: RuleLine, clock: _Clock) -> str:
    return f"{_subject(line)}: since {clock(line.first_at)}"


def _unnotified(line: UnnotifiedLine) -> str:
    critical = f" ({line.critical} critical)" if line.critical else ""
    return f"{_occurrences(line)}{critical}: {_reason(line.reason)}"


def _failed(line: FailedLine, clock: _Clock) -> str:
    letters = "dead letter" if line.given_up == 1 else "dead letters"
    counts = [(line.given_up, letters), (line.tried_again, "tried again"), (line.critical, "critical")]
    shown = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{_name(line.target)}: {shown}, last at {clock(line.last_at)}: {_reason(line.reason)}"


def _muted(line: MutedLine, clock: _Clock) -> str:
    if line.kind == "inhibited":
        return f"{_occurrences(line)}, inhibited by {_reason(line.by)}; {line.open} open"
    by = f" by {_name(line.created_by)}" if line.created_by else ""
    until = f" until {clock(line.ends_at)}" if line.ends_at else ""
    comment = f" ({_reason(line.comment)})" if line.comment else ""
    return f"{_occurrences(line)}, silence {_name(line.by)}{by}{until}{comment}; {line.open} open"


def _silence(line: SilenceLine, clock: _Clock) -> str:
    by = f" by {_name(line.created_by)}" if line.created_by else ""
    comment = f" ({_reason(line.comment)})" if line.comment else ""
    is_open = f"; {line.open} that it mutes are open" if line.open else ""
    return f"{clock(line.ends_at)} {_reason(line.matchers)}{by}{comment}{is_open}"


def _healed(line: RuleLine) -> str:
    return f"{_subject(line)}: ended, the longest after {_duration(line.longest_seconds)}"


def _known(line: RuleLine, clock: _Clock) -> str:
    new = f", {_number(line.new_label_sets, 'new label set')}" if line.new_label_sets else ""
    last = f", last seen before {clock(line.last_seen_at)}" if line.last_seen_at else ""
    return f"{_subject(line)}{new}{last}"


def _noise(line: RuleLine) -> str:
    return f"{_subject(line)}: {line.brief} were over within five minutes"


# --- Words ------------------------------------------------------------------------------------------------------------


def _subject(line: RuleLine | FirstLook) -> str:
    """`NodeDown, critical, shop and bank, 3 times`."""
    count = len(line.namespaces) if isinstance(line, FirstLook) else line.namespace_count
    namespaces = " and ".join(map(_name, line.namespaces))
    more = f" and {count - len(line.namespaces)} more" if count > len(line.namespaces) else ""
    times = f"{line.occurrences} times" if line.occurrences > 1 else ""
    taken = f"taken by {' and '.join(map(_name, line.taken_by))}" if line.taken_by else ""
    parts = [_name(line.alertname), _name(line.severity) if line.severity else "", f"{namespaces}{more}", times, taken]
    return ", ".join(part for part in parts if part)


def _occurrences(line: StormLine | UnnotifiedLine | MutedLine) -> str:
    """`7 occurrences of 2 rules (NodeDown, PodCrashLooping)`, or with the name where there is one rule."""
    count = _number(line.occurrences, "occurrence")
    names = ", ".join(map(_name, line.rules))
    if line.rule_count == 1:
        return f"{count} of {names}"
    more = ", …" if line.rule_count > len(line.rules) else ""
    return f"{count} of {line.rule_count} rules ({names}{more})"


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _duration(seconds: float) -> str:
    """`40 s`, `7 min`, `3 h 10 min`, `2 d 4 h`."""
    whole = int(seconds)
    for unit, size, lower, lower_size in (("d", _DAY, "h", _HOUR), ("h", _HOUR, "min", _MINUTE)):
        if whole >= size:
            rest = whole % size // lower_size
            return f"{whole // size} {unit}" + (f" {rest} {lower}" if rest else "")
    return f"{whole // _MINUTE} min" if whole >= _MINUTE else f"{whole} s"


def _name(text: str) -> str:
    return _cut(text, _NAME_CHARACTERS) or '""'


def _reason(text: str) -> str:
    return _cut(text, _REASON_CHARACTERS)


def _cut(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return printable(plain if len(plain) <= most else f"{plain[: most - 1]}…")


def _clipped(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS - 1]}…"


def _escaped(line: str) -> str:
    return _MARKDOWN.sub(r"\\\1", line)

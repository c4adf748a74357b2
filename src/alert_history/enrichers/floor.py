"""How low a model's word may put an alert, whatever its text says.

An alert's text can be written by whoever can make it fire, so a model that reads it can be talked into anything. What
it says is therefore held against the labels, which the owner of the rule wrote, and against what the history counted.
For users: docs/explanation/injection.md.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from alert_history.domain.classification import MAX_TAGS, MAX_TEXT, Case, Classification, Past
from alert_history.domain.past import supports_noise
from alert_history.domain.severity import QUIETEST_FIRST, Severity, labelled_severity
from alert_history.enrichers.redaction import hides_something, visible

SUSPICIOUS_TAG = "suspicious-text"

_EXAMINED_CHARACTERS = 8_000

_ORDERS = re.compile(
    r"\b(?:ignor|disregard|forget|overrid|bypass)\w*\b.{0,60}?\b(?:instru[ck]|previous|prior|above|prompt|rules?\b|order)"
    r"|\b(?:ignorier|missacht|vergiss|befolge)\w*\b|\bschweregrad\b|игнорир|забудь|инструкци|серь[её]зност|\bnoise\b"
    r"|\bsystem\s+(?:prompt|message|note|override|instruction)|\bdeveloper\s+(?:message|mode)|\bjailbreak"
    r"|\byou\s+(?:are|must|should|will)\b.{0,60}?\b(?:assistant|model|classif|respond|answer|severity)"
    r"|\b(?:classif|mark|treat|rate|report|label)\w*\b.{0,60}?\b(?:noise|info|harmless|benign|low)\b"
    r"|\b(?:severity|confidence)\b.{0,20}?(?:\b(?:is|be|as|to)\b|[:=]).{0,10}?\b(?:noise|info|low|none|0(?:\.\d+)?)\b"
    r"|\b(?:respond|answer|reply|output|return|print)\w*\b.{0,40}?\bjson\b"
    r"|[\"']\s*(?:classifications|severity)\s*[\"']\s*:"
    r"|<\s*/?\s*(?:system|assistant|user|alerts?|data|instructions?)\b|<\|[\w-]{1,30}\|>|\[/?inst\]"
    r"|(?:^|\n)\s*(?:#{2,}\s*)?(?:system|assistant|instructions?)\s*:",
    re.IGNORECASE | re.DOTALL,
)


def is_suspicious(case: Case) -> bool:
    """Whether its text gives orders, apes our marks or hides characters. A guess: what is sure is the floor."""
    texts = (text[:_EXAMINED_CHARACTERS] for text in _texts(case))
    return any(hides_something(text) or _ORDERS.search(visible(text)) for text in texts)


def held_up(said: Classification, case: Case, *, is_suspected: bool) -> Classification:
    """What may stand of a model's word. Whatever is lower than the label says leaves a trace in the reasoning.

    At most one step below the label, unless the history shows that the alert is noise. If its text is suspicious,
    nothing below the label, and no doubt either: a doubt would keep it from targets that ask for confidence.
    """
    label = labelled_severity(case.labels).severity or "warning"
    least = label if is_suspected else _least(label, case.past)
    stands = max(said.severity, least, key=QUIETEST_FIRST.index)
    notes = list(_notes(said.severity, stands, label, is_suspected=is_suspected))
    is_changed = stands != said.severity
    return msgspec.structs.replace(
        said,
        severity=stands,
        confidence=1.0 if is_changed or is_suspected else said.confidence,
        reasoning=_noted(said.reasoning, notes),
        tags=(SUSPICIOUS_TAG, *said.tags[: MAX_TAGS - 1]) if is_suspected else said.tags,
    )


def _least(label: Severity, past: Past) -> Severity:
    if supports_noise(past):
        return "noise"
    return QUIETEST_FIRST[max(QUIETEST_FIRST.index(label) - 1, 0)]


def _notes(said: Severity, stands: Severity, label: Severity, *, is_suspected: bool) -> Iterator[str]:
    if is_suspected:
        yield "Its text reads like an order to the model, so it counts no lower than its labels say."
    if stands != said:
        yield f"The model said {said}; raised to {stands}: the labels say {label}, and the history does not contradict."
    elif QUIETEST_FIRST.index(stands) < QUIETEST_FIRST.index(label):
        yield f"Lower than its labels say ({label})."


def _noted(reasoning: str, notes: Iterable[str]) -> str:
    """Our notes first: they must not be cut off by a long text of the model."""
    return " ".join([*notes, reasoning]).strip()[:MAX_TEXT]


def _texts(case: Case) -> Iterator[str]:
    for pairs in (case.labels, case.annotations):
        yield from pairs
        yield from pairs.values()
    yield from case.past.around
    for similar in case.past.similar:
        yield from similar.recommendations

"""How low a model may put an alert, whatever the alert's text says.

An alert's text can be written by whoever can make it fire, so a model that reads the text can be talked into anything.
The model's severity is therefore compared with the labels, which the owner of the rule wrote, and with the history.
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
    """Whether the case's text gives orders, apes our marks or hides characters. This is a guess; the floor is sure."""
    texts = (text[:_EXAMINED_CHARACTERS] for text in _texts(case))
    return any(hides_something(text) or _ORDERS.search(visible(text)) for text in texts)


def held_up(classification: Classification, case: Case, *, is_suspected: bool) -> Classification:
    """A model's classification, raised to the floor. A severity below the label's leaves a trace in the reasoning.

    The floor is one step below the label's severity, or noise if the history shows that the alert is noise. If the
    case's text is suspicious, the floor is the label's severity and the confidence is 1: a lower confidence would keep
    the alert from targets that ask for a high one.
    """
    label = labelled_severity(case.labels).severity or "warning"
    least = label if is_suspected else _least(label, case.past)
    stands = max(classification.severity, least, key=QUIETEST_FIRST.index)
    notes = list(_notes(classification.severity, stands, label, is_suspected=is_suspected))
    is_changed = stands != classification.severity
    return msgspec.structs.replace(
        classification,
        severity=stands,
        confidence=1.0 if is_changed or is_suspected else classification.confidence,
        reasoning=_noted(classification.reasoning, notes),
        tags=(SUSPICIOUS_TAG, *classification.tags[: MAX_TAGS - 1]) if is_suspected else classification.tags,
    )


def _least(label: Severity, past: Past) -> Severity:
    if supports_noise(past):
        return "noise"
    return QUIETEST_FIRST[max(QUIETEST_FIRST.index(label) - 1, 0)]


def _notes(word: Severity, stands: Severity, label: Severity, *, is_suspected: bool) -> Iterator[str]:
    if is_suspected:
        yield "Its text reads like an order to the model, so it counts no lower than its labels say."
    if stands != word:
        yield f"The model said {word}; raised to {stands}: the labels say {label}, and the history does not contradict."
    elif QUIETEST_FIRST.index(stands) < QUIETEST_FIRST.index(label):
        yield f"Lower than its labels say ({label})."


def _noted(reasoning: str, notes: Iterable[str]) -> str:
    """The reasoning after our notes: a long text of the model can't cut off what comes first."""
    return " ".join([*notes, reasoning]).strip()[:MAX_TEXT]


def _texts(case: Case) -> Iterator[str]:
    for pairs in (case.labels, case.annotations):
        yield from pairs
        yield from pairs.values()
    yield from case.past.around
    for similar in case.past.similar:
        yield from similar.recommendations

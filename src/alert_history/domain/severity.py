"""How serious an alert is: our four words for it, and what people's words in its labels mean. The only list of them.

Targets have lists of their own for the words of their vendor; whatever decides by a label decides by this one.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

Severity = Literal["critical", "warning", "info", "noise"]

QUIETEST_FIRST: tuple[Severity, ...] = ("noise", "info", "warning", "critical")

LABELS = ("severity", "priority", "sloth_severity", "level")
"""Where it stands; the first that is there counts."""

WORDS: tuple[tuple[Severity, str], ...] = (
    ("critical", "critical crit page pager fatal emergency emerg disaster severe urgent blocker high"),
    ("critical", "p0 p1 p2 sev0 sev1 sev2 s1 1"),
    ("warning", "warning warn error err major minor medium moderate average ticket alert degraded p3 sev3 s2 s3 2"),
    ("info", "info information informational notice low debug ok normal p4 p5 sev4 sev5 s4 3"),
    ("noise", "none noise ignore"),
)
SEVERITY_OF: Mapping[str, Severity] = {word: severity for severity, words in WORDS for word in words.split()}

_NUMBERED = re.compile(r"([a-z]+)[-_ ]+([0-9]+)")


class Labelled(NamedTuple):
    """What a label says: the word as it was found ('' without one), and what it means if it is known."""

    word: str
    severity: Severity | None


def labelled_severity(labels: Mapping[str, str]) -> Labelled:
    """How serious the labels say that an alert is."""
    word = next((labels[name].strip().lower() for name in LABELS if labels.get(name, "").strip()), "")
    return Labelled(word, SEVERITY_OF.get(_plain(word)))


def is_severity(name: str, value: str) -> bool:
    """Whether a label says how serious the alert is, in a word that is known."""
    return name in LABELS and _plain(value.strip().lower()) in SEVERITY_OF


def _plain(word: str) -> str:
    """Without what stands between a word and its number: sev-1 is sev1. `-critical` stays, and is not known."""
    numbered = _NUMBERED.fullmatch(word)
    return word if numbered is None else "".join(numbered.groups())


@lru_cache(maxsize=1_024)  # the words are few, and each is asked for thousands of times
def urgency(word: str) -> int:
    """A number to sort severity labels by: 0 for noise, 4 for critical. A word that is not known is below a warning."""
    return _URGENCY[labelled_severity({"severity": word}).severity]


_URGENCY: Mapping[Severity | None, int] = {"noise": 0, "info": 1, None: 2, "warning": 3, "critical": 4}

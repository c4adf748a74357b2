"""Checks the message of a commit, before git makes the commit: `python commit_message.py FILE`.

Holds the rules of CONTRIBUTING that a program can judge. It changes nothing, and needs the standard library only.
"""

import re
import sys
from pathlib import Path

SUBJECT_CHARACTERS = 72
SCISSORS = re.compile(r"^# -+ >8 -+$", re.MULTILINE)
WRITTEN_BY_GIT = re.compile(r'^(?:Merge |Revert "|Reapply "|(?:fixup|squash|amend)! )')
TRAILER = re.compile(r"^[A-Z][A-Za-z]*(?:-[A-Za-z]+)+: \S")
PAST = {"Did", "Gave", "Had", "Held", "Kept", "Made", "Ran", "Said", "Told", "Took", "Was", "Went", "Were", "Wrote"}
# Imperatives that end as a past, a gerund or a third person does.
IMPERATIVES = {
    *(
        "Bleed",
        "Breed",
        "Embed",
        "Exceed",
        "Feed",
        "Heed",
        "Need",
        "Proceed",
        "Seed",
        "Shed",
        "Speed",
        "Succeed",
        "Weed",
    ),
    *("Bring", "Ping", "Ring", "Spring", "String", "Swing", "Wring"),
    *("Alias", "Bias", "Canvas", "Focus"),
}


def is_imperative(word: str) -> bool:
    """Whether it looks like one: `Add`, not `Added`, `Adding` or `Adds`."""
    if word in IMPERATIVES or word.endswith("ss"):
        return True
    return word not in PAST and not word.endswith(("ed", "ing", "s"))


def lines_of(message: str) -> list[str]:
    """What git keeps of it: no comments, nothing beneath the scissors, no empty lines around."""
    message_part = SCISSORS.split(message)[0]
    return (
        "\n".join(line.rstrip() for line in message_part.splitlines() if not line.startswith("#"))
        .strip("\n")
        .split("\n")
    )


def faults_of_subject(subject: str) -> list[str]:
    """What is wrong with the first line."""
    word = re.match(r"[A-Za-z]*", subject)
    rules = {
        f"the subject has {len(subject)} characters; {SUBJECT_CHARACTERS} are allowed": len(subject)
        > SUBJECT_CHARACTERS,
        "the subject begins with a capital letter": not subject[:1].isupper(),
        "the subject ends without a period": subject.endswith("."),
        "the subject says what the change does, in the imperative: Add, not Added, Adding or Adds": bool(
            word and not is_imperative(word.group())
        ),
    }
    return [rule for rule, is_broken in rules.items() if is_broken]


def faults(message: str) -> list[str]:
    """The rules that a message breaks, each in words for its author; none for a message that git wrote itself."""
    subject, *rest = lines_of(message)
    if not subject:
        return ["the message is empty"]
    if WRITTEN_BY_GIT.match(subject):
        return []
    broken = faults_of_subject(subject)
    if rest and rest[0]:
        broken.append("the second line is empty")
    if not any(line and not TRAILER.match(line) for line in rest):
        broken.append("a body says why, in a line or more after an empty one")
    return broken


def main(path: str) -> int:
    """Prints what is wrong, and answers 1 for a commit that must not be made."""
    broken = faults(Path(path).read_text(encoding="utf-8"))
    for rule in broken:
        sys.stderr.write(f"Commit message: {rule}.\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""One sentence about an occurrence: who was notified, who was not, and why.

Made of what became of the news at each target, of what Alertmanager said that it did itself, and of why nobody was to
be notified. Must not know how deliveries are kept, and must not show a time: the caller says how times look.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.delivery import Fate

SayTime = Callable[[datetime], str]
"""Writes a time as its reader wants to read it."""

_MOST_NAMES = 3
_MOST_GROUPS = 4
_LONGEST_REASON = 160
_WAITING: frozenset[Fate] = frozenset({"pending", "leased", "held"})
_UNTOLD_WORDS: Mapping[str, str] = {
    "no targets are looked for": "Alert History has no targets",
    "there are no targets": "Alert History has no targets",
    "publishing is off": "publishing is off in Alert History",
}
"""How a reason that is about settings is said to who is on call: by its beginning, before a colon."""
_REFUSAL = re.compile(r"answered ([34]\d\d)(?:: (.*))?", re.DOTALL)
_UNREACHED = (
    "no connection in time",
    "no free connection in time",
    "no answer in time",
    "can't connect",
    "the connection broke",
    "TLS could not be agreed on",
    "its name can't be resolved",
    "its certificate is not accepted",
)
"""How an answer begins that is none: what `targets.answers` says of a target that it did not reach."""


class NewsFate(msgspec.Struct, frozen=True):
    """What became of one piece of news at a target, since `at`; `answer` is what its last failed attempt met."""

    fate: Fate
    reason: str = ""
    at: datetime | None = None
    attempts: int = 0
    next_try_at: datetime | None = None
    answer: str = ""


class TargetFate(msgspec.Struct, frozen=True):
    """What became of an occurrence at one target.

    `beginning` is about the news that it fires: the first that the target took, else the newest. `end` is about the
    news that it is over. Either is None where there is no such news for the target.
    """

    target: str
    beginning: NewsFate | None = None
    end: NewsFate | None = None


class ReceiverNotice(msgspec.Struct, frozen=True):
    """A receiver that an Alertmanager notified itself, and first when, as its event recorder says."""

    instance: str
    receiver: str
    integration: str
    at: datetime


class NotifiedFacts(msgspec.Struct, frozen=True):
    """What the sentence is made of.

    `nobody` is why no target was chosen, where that is about no single target. `mutings` are what muted the occurrence
    in Alertmanager, as clauses.
    """

    targets: Sequence[TargetFate] = ()
    nobody: str = ""
    mutings: Sequence[str] = ()
    receivers: Sequence[ReceiverNotice] = ()


class _Clause(msgspec.Struct, frozen=True):
    """What holds for some targets, as `was` or `were` decides; `names` come before it."""

    one: str
    many: str


def is_for_settings(facts: NotifiedFacts) -> bool:
    """Whether nobody was notified because of how Alert History is set up, and not because of the alert."""
    return not facts.targets and _reason_words(facts.nobody) is not None


def notified_sentence(facts: NotifiedFacts, *, say_time: SayTime) -> str:
    """Who was notified first, then who waits, who did not get it and who was left out; with the full stop."""
    notified = [each for each in facts.targets if _is_notified(each)]
    others = [each for each in facts.targets if not _is_notified(each)]
    clauses = list(_joined(((each.target, _notified(each, say_time)) for each in notified), others="notified, too"))
    missing = ((each.target, _missing(each, say_time)) for each in sorted(others, key=_rank))
    rest = list(_joined(missing, others="not"))
    if not notified:
        rest = [_nobody(facts, others, rest)]
    clauses += [*rest, *facts.mutings, *_receivers(facts.receivers, say_time)]
    return f"{'; '.join(clauses)}."


def target_sentence(each: TargetFate, *, say_time: SayTime) -> str:
    """What became of it at one target alone, and why; with the full stop."""
    clause = _notified(each, say_time) if _is_notified(each) else _missing(each, say_time)
    return f"{each.target} {clause.one}."


def standing_news(each: TargetFate) -> NewsFate:
    """The news that says where a target stands that was not notified."""
    beginning, end = each.beginning, each.end
    is_over = end is not None and end.fate != "not_told" and (beginning is None or beginning.fate == "superseded")
    return (end if is_over else beginning) or end or NewsFate("unknown")


def is_refusal(answer: str) -> bool:
    """Whether an answer is that of a target which refused the news."""
    return _REFUSAL.fullmatch(answer) is not None


def is_unreached(answer: str) -> bool:
    """Whether an answer is none: the target was not reached."""
    return answer.startswith(_UNREACHED)


def _nobody(facts: NotifiedFacts, others: Sequence[TargetFate], rest: Sequence[str]) -> str:
    """The first clause where no target was notified."""
    subject = "No target of this service" if facts.receivers else "Nobody"
    is_waiting = any(standing_news(each).fate in _WAITING for each in others)
    head = f"{subject} {'has been notified yet' if is_waiting else 'was notified'}"
    if rest:
        return f"{head}: {'; '.join(rest)}"
    if words := _reason_words(facts.nobody):
        return f"{head}: {words}"
    return f"{head}, because {_clipped(facts.nobody) or 'no target was to be'}"


def _reason_words(nobody: str) -> str | None:
    return _UNTOLD_WORDS.get(nobody.partition(":")[0])


def _is_notified(each: TargetFate) -> bool:
    return any(news is not None and news.fate == "delivered" for news in (each.beginning, each.end))


def _rank(each: TargetFate) -> tuple[int, str]:
    """Who waits comes first, then who did not get it, then who was left out."""
    fate = standing_news(each).fate
    order = 0 if fate in _WAITING else 1 if fate == "dead" else 3 if fate == "not_told" else 2
    return order, each.target


# --- Targets that were notified ---------------------------------------------------------------------------------------


def _notified(each: TargetFate, say_time: SayTime) -> _Clause:
    if each.beginning is None or each.beginning.fate != "delivered":
        return _end_alone(each, say_time)
    text = f"notified{_when(each.beginning, say_time)}{_tries(each.beginning)}{_end(each.end, say_time)}"
    return _Clause(f"was {text}", f"were {text}")


def _end_alone(each: TargetFate, say_time: SayTime) -> _Clause:
    """A target that was notified of the end, and not of the beginning: that was over, or could not be delivered."""
    when = "" if each.end is None else _when(each.end, say_time)
    why = "it was over before its turn came"
    if each.beginning is not None and each.beginning.fate not in {"superseded", "unknown"}:
        is_dead = each.beginning.fate == "dead"
        why = f"{'its beginning was ' if is_dead else ''}{_why_failed(each.beginning)}"
    text = f"notified of its end only{when}, because {why}"
    return _Clause(f"was {text}", f"were {text}")


def _end(end: NewsFate | None, say_time: SayTime) -> str:
    """What is added about the end, for a target that was notified of the beginning."""
    if end is None or end.fate == "superseded":
        return ""
    if end.fate == "delivered":
        return f", and of its end{_when(end, say_time)}{_tries(end)}"
    if end.fate in _WAITING:
        return f", but not of its end yet: {_next(end, say_time)}"
    return f", but not of its end: {_why_failed(end)}"


def _when(news: NewsFate, say_time: SayTime) -> str:
    return "" if news.at is None else f" at {say_time(news.at)}"


def _tries(news: NewsFate) -> str:
    return f" after {news.attempts} attempts" if news.attempts > 1 else ""


def _next(news: NewsFate, say_time: SayTime) -> str:
    """How it goes on with what waits."""
    if news.fate == "leased":
        return "it is being sent now"
    if news.fate == "held":
        return "quiet hours hold it" + ("" if news.next_try_at is None else f" until {say_time(news.next_try_at)}")
    parts = [f"{_attempts(news)} failed{_answer(news)}"] if news.attempts else []
    parts += [] if news.next_try_at is None else [f"its next turn is at {say_time(news.next_try_at)}"]
    return ", ".join(parts) or "its turn has not come"


def _attempts(news: NewsFate) -> str:
    return "1 attempt" if news.attempts == 1 else f"{news.attempts} attempts"


def _answer(news: NewsFate) -> str:
    return _answer_words(news, _clipped(news.answer))


def _answer_words(news: NewsFate, answer: str) -> str:
    return f" ({'the last: ' if news.attempts > 1 else ''}{answer})" if answer else ""


def _why_failed(news: NewsFate) -> str:
    if news.fate == "dead":
        return f"not delivered in {_attempts(news)}{_answer(news)}"
    if news.fate == "unknown":
        return "what became of it is no longer on record"
    return _clipped(news.reason) or "no reason is on record"


# --- Targets that were not notified -----------------------------------------------------------------------------------


def _missing(each: TargetFate, say_time: SayTime) -> _Clause:
    news = standing_news(each)
    why = _why_failed(news)
    match news.fate:
        case "pending" | "held" | "leased":
            text = _next(news, say_time)
            return _Clause(f"waits: {text}", f"wait: {text}")
        case "dead":
            text = _undelivered(news)
            return _Clause(text, text)
        case "unknown":
            text = "to be notified, and what became of that is no longer on record"
        case "not_told":
            text = f"left out, because {why}"
        case "withheld":
            text = f"held back, because it is {why}" if why.startswith("classified") else f"held back: {why}"
        case _:
            text = f"passed over, because {why}"
    return _Clause(f"was {text}", f"were {text}")


def _undelivered(news: NewsFate) -> str:
    """What a target did that did not get the news: refuse it, as its answer says, or not even answer."""
    if refusal := _REFUSAL.fullmatch(news.answer):
        answer = _clipped(" ".join(filter(None, refusal.groups())))
        return (
            f"refused it ({answer})"
            if news.attempts == 1
            else f"refused it in {_attempts(news)}{_answer_words(news, answer)}"
        )
    verb = "could not be reached" if is_unreached(news.answer) else "did not get it"
    return f"{verb} in {_attempts(news)}{_answer(news)}"


# --- Alertmanager's own receivers -------------------------------------------------------------------------------------


def _receivers(receivers: Sequence[ReceiverNotice], say_time: SayTime) -> Iterator[str]:
    for each in receivers[:_MOST_GROUPS]:
        who = f"Alertmanager {each.instance}" if each.instance else "Alertmanager"
        by = f" ({each.integration})" if each.integration else ""
        yield f"{who} notified its receiver {each.receiver}{by} at {say_time(each.at)}"
    if len(receivers) > _MOST_GROUPS:
        yield f"Alertmanager notified {len(receivers) - _MOST_GROUPS} more of its receivers"


# --- Words ------------------------------------------------------------------------------------------------------------


def _joined(pairs: Iterable[tuple[str, _Clause]], *, others: str) -> Iterator[str]:
    """A clause for each thing that holds, with all targets that it holds for; of many only the first.

    `others` is what holds for the rest.
    """
    names: dict[_Clause, list[str]] = {}
    for name, clause in pairs:
        names.setdefault(clause, []).append(name)
    groups = list(names.items())
    for clause, group in groups[:_MOST_GROUPS]:
        yield f"{_listed(group)} {clause.one if len(group) == 1 else clause.many}"
    left = sum(len(group) for _, group in groups[_MOST_GROUPS:])
    if left:
        yield f"{left} more {'was' if left == 1 else 'were'} {others}"


def _listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= _MOST_NAMES + 1 else [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _clipped(text: str) -> str:
    """A reason within a sentence: in one line, without a full stop of its own, and not too long."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1].rstrip()}…"

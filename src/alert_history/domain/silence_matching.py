"""What a silence matches: as queries that people can follow, and the alerts among given ones. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, cast

from alert_history.domain.alert import Silence
from alert_history.domain.query import Matcher, Operator, parse_query
from alert_history.errors import InvalidQuery

State = Literal["active", "pending", "expired"]

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATORS = frozenset({"=", "!=", "=~", "!~"})

MatcherSet = Sequence[Mapping[str, str]]
"""Matchers as a silence keeps them: `name`, `op` and `value`. All of them must match."""


def state_of(silence: Silence, now: datetime) -> State:
    """Whether it is in force now, is still to come, or is over."""
    if silence.ends_at <= now:
        return "expired"
    return "active" if silence.starts_at <= now else "pending"


def queries_of(silence: Silence) -> list[tuple[str, bool]]:
    """A text for each set of matchers, and whether our query language reads it as that very set."""
    return [(text := _text(matchers), _is_query(text, matchers)) for matchers in silence.matchers]


class SilenceMatching:
    """Whether label sets match a silence. What it can't read matches nothing."""

    def __init__(self, silence: Silence) -> None:
        self._sets = readable_sets(silence)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether any set matches the labels."""
        try:
            return any(all(matcher.matches(labels) for matcher in matchers) for matchers in self._sets)
        except InvalidQuery:  # a regex that Alertmanager takes and we don't
            return False


def readable_sets(silence: Silence) -> list[list[Matcher]]:
    """The sets of matchers of which all can be read; whether their regexes are right is not said."""
    return [made for made in map(_matchers, silence.matchers) if made]


def _matchers(matchers: MatcherSet) -> list[Matcher]:
    """The matchers of a set; none where one of them can't be read."""
    read = [_matcher(each) for each in matchers]
    return [each for each in read if each is not None] if None not in read else []


def _matcher(matcher: Mapping[str, str]) -> Matcher | None:
    name, op, value = matcher.get("name", ""), matcher.get("op", ""), matcher.get("value")
    if not name or op not in _OPERATORS or value is None:
        return None
    return Matcher(name, cast("Operator", op), value)


def _text(matchers: MatcherSet) -> str:
    written = [
        f"{_name(each.get('name', '?'))}{each.get('op', '=')}{_quoted(each.get('value', '?'))}" for each in matchers
    ]
    return f"{{{','.join(written)}}}"


def _is_query(text: str, matchers: MatcherSet) -> bool:
    try:
        query = parse_query(text)
    except InvalidQuery:
        return False
    return not query.words and list(query.matchers) == _matchers(matchers)


def _name(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""Narrowing: a query as text again, with one value of a label more, or without it. Pure."""

from collections.abc import Iterable
from contextlib import suppress

from alert_history.domain.query import Matcher, Query, parse_query
from alert_history.errors import InvalidQuery


def text_of(query: Query) -> str:
    """The text that `parse_query` reads as this query: first the matchers, then the words."""
    parts = [f"{{{','.join(map(_matcher_text, query.matchers))}}}"] if query.matchers else []
    return " ".join([*parts, *map(_word_text, query.words)])


def only(query: Query, name: str, value: str) -> str | None:
    """The text of a query for what this one means and has that value of the label ('': not the label).

    Conditions on the label that the value meets are left out, because the new one says it all. None where no query can
    say that: the label has a name that queries read otherwise, or the query gets too long.
    """
    asked = Matcher(name, "=", value)
    return _checked([*(each for each in query.matchers if not _is_implied(each, asked)), asked], query)


def without(query: Query, name: str, value: str) -> str | None:
    """The text of a query for what this one means and has another value of the label; None as in `only`."""
    asked = Matcher(name, "!=", value)
    return _checked([*(each for each in query.matchers if each != asked), asked], query)


def dropped(query: Query, name: str, value: str, *, op: str = "=") -> str | None:
    """The text of the query without that condition; None where it has none."""
    rest = [each for each in query.matchers if (each.name, each.op, each.value) != (name, op, value)]
    return None if len(rest) == len(query.matchers) else text_of(Query(tuple(rest), query.words))


def _is_implied(matcher: Matcher, asked: Matcher) -> bool:
    return matcher.name == asked.name and matcher.matches({asked.name: asked.value})


def _checked(matchers: Iterable[Matcher], query: Query) -> str | None:
    """The text, if it is read as it is meant."""
    meant = Query(tuple(matchers), query.words)
    text = text_of(meant)
    with suppress(InvalidQuery):
        return text if parse_query(text) == meant else None
    return None


def _matcher_text(matcher: Matcher) -> str:
    is_plain = matcher.name.isascii() and matcher.name.isidentifier()
    name = matcher.name if is_plain else _quoted(matcher.name)
    return f"{name}{matcher.op}{_quoted(matcher.value)}"


def _quoted(text: str) -> str:
    r"""In double quotes, with what is no letter to be seen as `\n`, so that a text stays on its line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def _word_text(word: str) -> str:
    """A word as a phrase: nothing in it has a meaning of its own."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

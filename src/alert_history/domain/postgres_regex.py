"""A Prometheus regex in PostgreSQL's dialect (its "advanced regular expressions").

Holds the translation. Must not read regexes itself (that is `regex`) or know of SQL statements.
"""

from collections.abc import Iterable

from alert_history.domain.regex import (
    Assertion,
    Char,
    Choice,
    Class,
    CodePoints,
    Node,
    Place,
    Repeat,
    Sequence,
    read_regex,
)

_MAX_REPEAT = 255
_SIGNS = {(0, None): "*", (1, None): "+", (0, 1): "?"}
_NOTHING = r"[^\u0001-\U0010ffff]"  # where a NUL is wanted: no stored value holds one

_WORD = "[0-9A-Z_a-z]"  # RE2's \b knows ASCII words only; PostgreSQL's \y would go by the locale
_PLACES: dict[Place, str] = {
    "start": "^",
    "end": "$",
    "word edge": f"(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD})",
    "no word edge": f"(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD})",
}


def to_postgres_regex(regex: str) -> tuple[str, bool]:
    """The same regex, anchored, for PostgreSQL's `~`, and whether it needs `~*` (a leading `(?i)`).

    PostgreSQL then says of every value what RE2 says, except that `~*` folds letters outside ASCII
    by the database's locale. Nothing else goes by the locale: classes are written out.
    Raises: InvalidQuery where RE2 refuses it, or naming what can't be translated (as `read_regex`).
    """
    node, ignores_case = read_regex(regex)
    return f"^(?:{_written(node)})$", ignores_case


def _written(node: Node) -> str:
    match node:
        case Char(code_point=code_point):
            return _char(code_point) if code_point else _NOTHING
        case Assertion(place=place):
            return f"(?:{_PLACES[place]})"  # a bare one can't be repeated there
        case Class():
            return _class(node)
        case Choice(branches=branches):
            return f"(?:{'|'.join(map(_written, branches))})"
        case Sequence(items=items):
            return "".join(map(_written, items))
        case Repeat(item=item, low=low, high=high):
            return _repeat(_unit(item), low, high=high)


def _unit(item: Node) -> str:
    text = _written(item)
    return text if isinstance(item, Char | Class) else f"(?:{text})"


def _repeat(unit: str, low: int, *, high: int | None) -> str:
    """The unit with its bounds. It must not be copied where repetitions nest: the text would grow exponentially.

    PostgreSQL counts to 255 and RE2 to 1000, also in total when nested; so only one level can be beyond 255.
    """
    if (low, high) in _SIGNS:
        return unit + _SIGNS[low, high]
    if max(low, high or 0) <= _MAX_REPEAT:
        return f"{unit}{{{low}{'' if high == low else ',' if high is None else f',{high}'}}}"
    rest = f"{unit}*" if high is None else _times(unit, high - low, least="0,")
    return _times(unit, low, least="") + rest


def _times(unit: str, count: int, *, least: str) -> str:
    steps, rest = divmod(count, _MAX_REPEAT)
    return f"(?:{unit}{{{least}{_MAX_REPEAT}}}){{{steps}}}{unit}{{{least}{rest}}}"


def _class(node: Class) -> str:
    r"""Brackets; where they hold a complement (`[a\D]`), a choice of brackets, as those can't nest."""
    if not node.outside:
        return _brackets(node.ranges, negated=node.negated)
    parts = [_brackets(ranges, negated=True) for ranges in node.outside]
    parts.append(_brackets(node.ranges, negated=False))
    either = "|".join(parts)
    return f"(?:(?!{either}).)" if node.negated else f"(?:{either})"


def _brackets(ranges: Iterable[CodePoints], *, negated: bool) -> str:
    spans = [(max(low, 1), high) for low, high in ranges if high > 0]
    if not spans:
        return "." if negated else _NOTHING
    inside = "".join(_span(low, high) for low, high in spans)
    return f"[{'^' if negated else ''}{inside}]"


def _span(low: int, high: int) -> str:
    first = _char(low)
    return first if low == high else f"{first}-{_char(high)}"


def _char(code_point: int) -> str:
    char = chr(code_point)
    if char.isalnum():
        return char
    if char.isascii() and char.isprintable():
        return f"\\{char}"
    return f"\\U{code_point:08x}"

"""Functions that a template of an annotation may call, as Go and Prometheus have them, and how Go prints a value.

Pure. What Go and Python would write differently is refused. Source: `text/template` and `fmt` of Go,
`template/template.go` of prometheus/prometheus 2.42 and 3.x.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import re2

_PRINTF = re.compile(r"%(?:%|[-+ 0]*\d*(?:\.\d+)?[sdfgqv])")
_LEAST_EXPONENT, _LARGEST_EXPONENT = -4, 5
_TOO_LONG_SECONDS = 2.0**63
_LARGE = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024 = ("", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("", "m", "u", "n", "p", "f", "a", "z", "y")


class TemplateFault(ValueError):
    """A template is not understood, or can't be rendered for this alert."""


class Labels:
    """Labels by name, of which nobody knows some."""

    def __init__(self, labels: Mapping[str, str], unknown: Collection[str] = ()) -> None:
        self._labels = labels
        self._unknown = unknown

    def value(self, name: str) -> str:
        """The label's value, empty where there is none. Raises: TemplateFault where nobody knows."""
        if name in self._unknown:
            raise TemplateFault(f"nobody knows the label {name}")
        return self._labels.get(name, "")


def is_true(value: Any) -> bool:
    """What counts as true in a condition: what is not empty and not 0."""
    return bool(value)


def shown(value: Any) -> str:
    """As Go prints it. Raises: TemplateFault for what it prints otherwise."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _general(value)
    raise TemplateFault("a value that has no text")


def _general(value: float) -> str:
    """`%v` of a float64: the shortest digits, with an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    number = Decimal(repr(value))
    exponent = number.adjusted()
    if number and (exponent < _LEAST_EXPONENT or exponent > _LARGEST_EXPONENT):
        digits = str(abs(number).normalize().scaleb(-exponent))
        return f"{'-' if value < 0 else ''}{digits}e{exponent:+03d}"
    text = format(number, "f")
    return text.removesuffix(".0")


def _number(value: Any) -> float:
    """Raises: ValueError, TypeError."""
    if isinstance(value, bool) or not isinstance(value, float | str):
        raise TypeError("no number")
    return float(value)


def _four(value: float) -> str:
    """`%.4g`."""
    text = f"{value:.4g}"
    digits, e, power = text.partition("e")
    return f"{digits}e{int(power):+03d}" if e else text


def _special(value: float) -> bool:
    return value == 0 or math.isnan(value) or math.isinf(value)


def _four_or_special(value: float) -> str:
    return _general(value) if math.isnan(value) or math.isinf(value) else _four(value)


def _humanize(value: Any) -> str:
    number = _number(value)
    if _special(number):
        return _four_or_special(number)
    return _prefixed(number, _LARGE, step=1000) if abs(number) >= 1 else _prefixed(number, _SMALL, step=0.001)


def _humanize1024(value: Any) -> str:
    number = _number(value)
    if abs(number) <= 1 or _special(number):
        return _four_or_special(number)
    return _prefixed(number, _LARGE_1024, step=1024)


def _prefixed(number: float, prefixes: Sequence[str], *, step: float) -> str:
    """With the first prefix that brings the number below a step, or to 1 where a step makes it larger."""
    prefix = ""
    for prefix in prefixes:
        if (abs(number) < step) if step > 1 else (abs(number) >= 1):
            break
        if prefix != prefixes[-1]:
            number = number / step if step > 1 else number * 1000
    return f"{_four(number)}{prefix}"


def _humanize_percentage(value: Any) -> str:
    return f"{_four_or_special(_number(value) * 100)}%"


def _humanize_duration(value: Any) -> str:
    number = _number(value)
    if math.isnan(number) or math.isinf(number):
        return _general(number)
    if abs(number) >= _TOO_LONG_SECONDS:
        raise TemplateFault("a duration that Go can't count")
    if 0 < abs(number) < 1:
        return f"{_humanize(number)}s"
    whole = int(abs(number))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts))
    if first >= len(parts) - 1:
        return f"{_four(number)}s"
    return ("-" if number < 0 else "") + " ".join(f"{count}{unit}" for count, unit in parts[first:])


def _printf(form: Any, *values: Any) -> str:
    """Raises: TemplateFault for forms that Go and Python write differently."""
    if not isinstance(form, str) or "%" in _PRINTF.sub("", form):
        raise TemplateFault("a form that is not understood")
    left = list(values)
    text = _PRINTF.sub(lambda match: _formed(match[0], left), form)
    if left:
        raise TemplateFault("a form with too few places")
    return text


def _formed(place: str, left: list[Any]) -> str:
    """Raises: TemplateFault."""
    if place == "%%":
        return "%"
    if not left:
        raise TemplateFault("a form with too many places")
    value = left.pop(0)
    if place == "%v":
        return shown(value)
    if place == "%q" and isinstance(value, str) and value.isascii() and value.isprintable():
        return msgspec.json.encode(value).decode()
    if _is_alike(place, value):
        return str(place % value)
    raise TemplateFault("a form that is not understood")


def _is_alike(place: str, value: Any) -> bool:
    """Whether Go and Python write a value alike in that form."""
    kind = place[-1]
    if isinstance(value, str):
        return kind == "s" and "." not in place and "0" not in place[1:2]
    is_number = isinstance(value, float) and math.isfinite(value)
    return is_number and (kind == "f" or (kind == "g" and "." in place))


def _title(value: str) -> str:
    """Each word with a large first letter, and the rest as it is: `strings.Title`."""
    return re.sub(r"(?<![\w'])([^\W\d_])", lambda match: match[1].title(), value)


def _replace_all(pattern: str, replacement: str, text: str) -> str:
    """Raises: TemplateFault where the replacement refers to names."""
    parts = re.split(r"\$(\$|\d|\{\d\})", replacement)
    if any("$" in part for part in parts[::2]):
        raise TemplateFault("a replacement that is not understood")

    def expanded(match: Any) -> str:
        return "".join(part if number % 2 == 0 else _group(match, part) for number, part in enumerate(parts))

    return str(re2.compile(pattern).sub(expanded, text))


def _group(match: Any, name: str) -> str:
    return "$" if name == "$" else str(match.group(int(name.strip("{}"))) or "")


def _index(values: Any, name: Any) -> str:
    if not isinstance(values, Labels) or not isinstance(name, str):
        raise TemplateFault("index of something else")
    return values.value(name)


def _equal(first: Any, *others: Any) -> bool:
    if not others or any(type(other) is not type(first) for other in others):
        raise TemplateFault("values of different kinds")
    return any(first == other for other in others)


def _compared(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(first: Any, second: Any) -> bool:
        if type(first) is not type(second) or isinstance(first, Labels):
            raise TemplateFault("values of different kinds")
        return test(first, second)

    return compare


def _and(*values: Any) -> Any:
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if is_true(value)), values[-1])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizePercentage": _humanize_percentage,
    "humanizeDuration": _humanize_duration,
    "printf": _printf,
    "toUpper": str.upper,
    "toLower": str.lower,
    "title": _title,
    "reReplaceAll": _replace_all,
    "index": _index,
    "eq": _equal,
    "ne": _compared(lambda first, second: first != second),
    "lt": _compared(lambda first, second: first < second),
    "le": _compared(lambda first, second: first <= second),
    "gt": _compared(lambda first, second: first > second),
    "ge": _compared(lambda first, second: first >= second),
    "not": lambda value: not is_true(value),
    "and": _and,
    "or": _or,
    "print": shown,
}

"""Go templates, as far as annotations of alerting rules use them: fields, pipelines, conditions, Prometheus' functions.

Pure. What lies outside of that is refused as a whole, so that no text is made up: `range`, `query`, `template`,
`define`, formats that Go and Python write differently. Source: `text/template` of Go, `template/template.go` of
prometheus/prometheus 2.42 and 3.x. No maintained Go template engine exists for Python.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import re2

from alert_history.origins.imports.go_functions import FUNCTIONS, Labels, TemplateFault, is_true, shown

_ACTION = re.compile(r"\{\{(-\s)?\s*((?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^}\"`]|\}(?!\}))*?)\s*(\s-)?\}\}", re.DOTALL)
_WORD = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)|(?P<number>[+-]?\d+(?:\.\d+)?)|(?P<bar>\|)|(?P<open>\()"""
    r"""|(?P<close>\))|(?P<name>[$.]?[A-Za-z_][\w]*(?:\.\w+)*|\.)|(?P<bad>\S))""",
    re.ASCII,
)
_MAX_DEPTH = 32


class Context(msgspec.Struct, frozen=True):
    """What a template may ask. `labels` are those of the sample that the rule's expression had.

    Nobody knows a label in `unknown`: the rule sets it, so what the sample had is lost. `value` is None if unknown.
    """

    labels: Mapping[str, str]
    external_labels: Mapping[str, str] = {}
    external_url: str = ""
    value: float | None = None
    unknown: Collection[str] = ()


class _Call(msgspec.Struct, frozen=True):
    """One command: a value by itself, or a function with what it is given."""

    words: "tuple[_Word, ...]"


class _Pipe(msgspec.Struct, frozen=True):
    """Commands, of which each is given the value of the one before it as its last."""

    calls: tuple[_Call, ...]


_Word = str | float | _Pipe | tuple[str]
"""A name, a number, something in brackets, or a text (in a tuple)."""


class _If(msgspec.Struct, frozen=True):
    """Branches in order, each with its condition; None is `else`."""

    branches: "tuple[tuple[_Pipe | None, tuple[_Node, ...]], ...]"


_Node = str | _Pipe | _If


class Template(msgspec.Struct, frozen=True):
    """A template that is understood. Made by `parse_template`."""

    nodes: "tuple[_Node, ...]"

    def render(self, context: Context) -> str:
        """The text for an alert. Raises: TemplateFault."""
        try:
            return _text_of(self.nodes, context)
        except (ArithmeticError, TypeError, ValueError, LookupError, re2.error) as error:
            raise TemplateFault(str(error)) from None


def parse_template(text: str) -> Template:
    """Read a template. Raises: TemplateFault where it is not understood."""
    pieces = _pieces(text)
    nodes, end = _nodes(pieces, 0, depth=0)
    if end != len(pieces):
        raise TemplateFault("an end without a beginning")
    return Template(nodes)


# --- Reading ----------------------------------------------------------------------------------------------------------


def _pieces(text: str) -> list[tuple[bool, str]]:
    """Texts and actions in order, with the space cut away that `{{-` and `-}}` cut; whether each is an action."""
    pieces: list[tuple[bool, str]] = []
    at, cuts = 0, False
    for match in _ACTION.finditer(text):
        before = text[at : match.start()]
        before = before.lstrip() if cuts else before
        pieces.append((False, before.rstrip() if match[1] else before))
        pieces.append((True, match[2]))
        at, cuts = match.end(), bool(match[3])
    rest = text[at:]
    pieces.append((False, rest.lstrip() if cuts else rest))
    if any("{{" in piece for is_action, piece in pieces if not is_action):
        raise TemplateFault("an action without an end")
    return pieces


def _nodes(pieces: Sequence[tuple[bool, str]], at: int, *, depth: int) -> "tuple[tuple[_Node, ...], int]":
    """What stands until `else`, `end` or the end, and where that is. Raises: TemplateFault."""
    if depth > _MAX_DEPTH:
        raise TemplateFault("it is too deep")
    nodes: list[_Node] = []
    while at < len(pieces):
        is_action, text = pieces[at]
        word = text.split(None, 1)[0] if is_action and text.split() else ""
        if word in {"end", "else"}:
            break
        if word == "if":
            node, at = _condition(pieces, at, depth=depth)
            nodes.append(node)
        elif not is_action:
            nodes.append(text)
        elif not text.startswith("/*"):
            nodes.append(_pipe(text))
        at += 1
    return tuple(nodes), at


def _condition(pieces: Sequence[tuple[bool, str]], at: int, *, depth: int) -> tuple[_If, int]:
    """An `if` with its branches, and where its `end` stands. Raises: TemplateFault."""
    branches: list[tuple[_Pipe | None, tuple[_Node, ...]]] = []
    condition: _Pipe | None = _pipe(pieces[at][1].removeprefix("if"))
    while True:
        nodes, at = _nodes(pieces, at + 1, depth=depth + 1)
        branches.append((condition, nodes))
        if at == len(pieces):
            raise TemplateFault("an if without an end")
        words = pieces[at][1].split()
        if words == ["end"]:
            return _If(tuple(branches)), at
        if condition is None or (len(words) > 1 and words[1] != "if"):
            raise TemplateFault("an else that is not understood")
        rest = pieces[at][1].split(None, 2)
        condition = _pipe(rest[2]) if len(words) > 2 else None  # noqa: PLR2004  # else if CONDITION


def _pipe(text: str) -> _Pipe:
    """Raises: TemplateFault."""
    words = [(match.lastgroup or "bad", match[match.lastgroup or 0]) for match in _WORD.finditer(text)]
    pipe, at = _pipe_of(words, 0, depth=0)
    if at != len(words):
        raise TemplateFault(f"not understood: {text}")
    return pipe


def _pipe_of(words: Sequence[tuple[str, str]], at: int, *, depth: int) -> tuple[_Pipe, int]:
    """The pipeline that begins there, and where it ends. Raises: TemplateFault."""
    calls: list[list[_Word]] = [[]]
    while at < len(words) and words[at][0] != "close":
        kind, text = words[at]
        if kind == "bar":
            calls.append([])
        elif kind == "open" and depth < _MAX_DEPTH:
            inner, at = _pipe_of(words, at + 1, depth=depth + 1)
            if at == len(words):
                raise TemplateFault("a bracket without an end")
            calls[-1].append(inner)
        else:
            calls[-1].append(_word(kind, text))
        at += 1
    if not all(calls):
        raise TemplateFault("a command without words")
    for number, call in enumerate(calls):
        _check_call(call, is_piped=number > 0)
    return _Pipe(tuple(_Call(tuple(call)) for call in calls)), at


def _word(kind: str, text: str) -> _Word:
    """Raises: TemplateFault."""
    match kind:
        case "string":
            return (_string(text),)
        case "number":
            return float(text)
        case "name":
            return text
    raise TemplateFault(f"not understood: {text}")


def _string(text: str) -> str:
    """Raises: TemplateFault for escapes that Go and JSON do not share."""
    if text.startswith("`"):
        return text[1:-1]
    try:
        return msgspec.json.decode(text.encode(), type=str)
    except ValueError:
        raise TemplateFault("a text with an escape that is not understood") from None


def _check_call(call: Sequence[_Word], *, is_piped: bool) -> None:
    """Raises: TemplateFault for a function that is not there, so that nothing is found out only while rendering."""
    head = call[0]
    if isinstance(head, str) and head in FUNCTIONS:
        return
    is_variable = not isinstance(head, str) or head.startswith(("$", ".")) or head in {"true", "false"}
    if len(call) > 1 or is_piped or not is_variable:
        raise TemplateFault(f"not understood: {head}")


# --- Rendering --------------------------------------------------------------------------------------------------------


def _text_of(nodes: "Sequence[_Node]", context: Context) -> str:
    return "".join(_node_text(node, context) for node in nodes)


def _node_text(node: "_Node", context: Context) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, _Pipe):
        return shown(_value(node, context))
    for condition, nodes in node.branches:
        if condition is None or is_true(_value(condition, context)):
            return _text_of(nodes, context)
    return ""


def _value(pipe: _Pipe, context: Context) -> Any:
    """Raises: TemplateFault, and what a function raises."""
    piped: list[Any] = []
    for call in pipe.calls:
        values = [_operand(word, context) for word in call.words[1:]] + piped
        head = call.words[0]
        is_function = isinstance(head, str) and head in FUNCTIONS
        piped = [FUNCTIONS[head](*values) if is_function else _operand(head, context)]  # type: ignore[index]
    return piped[0]


def _operand(word: _Word, context: Context) -> Any:
    """Raises: TemplateFault."""
    if isinstance(word, tuple):
        return word[0]
    if isinstance(word, float):
        return word
    if isinstance(word, _Pipe):
        return _value(word, context)
    if word in {"true", "false"}:
        return word == "true"
    return _variable(word, context)


def _variable(name: str, context: Context) -> Any:
    """Raises: TemplateFault."""
    first, _, rest = name.removeprefix("$").removeprefix(".").partition(".")
    whole = {"labels": Labels(context.labels, context.unknown), "externallabels": Labels(context.external_labels)}
    values = whole.get(_plain(name, first))
    if values is not None:
        return values.value(rest) if rest else values
    if not rest and _plain(name, first) == "externalurl" and context.external_url:
        return context.external_url
    if not rest and _plain(name, first) == "value" and context.value is not None:
        return context.value
    raise TemplateFault(f"{name} is not known")


def _plain(name: str, first: str) -> str:
    """The variable by one name: `$labels` and `.Labels` are the same, `$Labels` is none."""
    is_dotted = name.startswith(".")
    known = ("Labels", "ExternalLabels", "ExternalURL", "Value") if is_dotted else _VARIABLES
    return first.lower() if first in known else ""


_VARIABLES = ("labels", "externalLabels", "externalURL", "value")

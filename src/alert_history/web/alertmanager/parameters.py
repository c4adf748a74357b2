"""Parameters as Alertmanager reads them: what it does not know passes, the last of several counts.

Source: `runtime` and `swag` of go-openapi, with which Alertmanager 0.16 and newer read requests; each rule was seen at
0.25 and 0.34.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_type_hints

import msgspec
from starlette.requests import Request

from alert_history.domain.alertmanager.matchers import compiled_regex, encoded, parse_matcher
from alert_history.domain.query import Matcher
from alert_history.errors import InvalidQuery

_TRUE = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})
"""In any letter case; any other text is false."""

T = TypeVar("T", bound=msgspec.Struct)


def read_alertmanager_parameters(request: Request, kind: type[T]) -> T:
    """The query as that struct: flags, texts and lists of texts. An empty flag or text counts as not given."""
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        given = request.query_params.getlist(name)
        if hint == list[str]:
            values[name] = given
        elif given and given[-1]:
            values[name] = given[-1].lower() in _TRUE if hint is bool else given[-1]
    return kind(**values)


def read_matchers(texts: Sequence[str], *, name: str = "") -> list[Matcher]:
    """One matcher of each text; `name` is the parameter's, where Alertmanager names it. Raises InvalidQuery."""
    try:
        return [parse_matcher(text) for text in texts]
    except InvalidQuery as error:
        if not name:
            raise
        raise InvalidQuery(f"failed to parse {name} param: {error}") from None


def receiver_filter(regex: str) -> Callable[[str], bool] | None:
    """Whether the regex matches the whole name of a receiver; None without a regex. Raises InvalidQuery."""
    if not regex:
        return None
    try:
        compiled = compiled_regex(regex)
    except InvalidQuery as error:
        raise InvalidQuery(f"failed to parse receiver param: {error}") from None
    return lambda name: compiled.search(encoded(name)) is not None

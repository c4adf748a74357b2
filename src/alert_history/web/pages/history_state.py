"""What `/dashboard/history` shows: all of it is in its URL, so each link is that state with a change. Pure."""

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.query import Matcher
from alert_history.engine.analysis import Asked
from alert_history.errors import InvalidQuery
from alert_history.ports import HistoryFilter
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.history_columns import Column, cols_of, columns_of
from alert_history.web.pages.spans import span_of

PATH = "dashboard/history"
DEFAULT_SPAN = "-7d"
EVERYTHING = "1971-01-01"
"""As `since`: all history."""
FINGERPRINT = "fingerprint"

_PLACE = {"cursor": "", "newer": "", "open": None, "part": ""}
"""Where a reader is on the pages of a view; what changes the view leads back to its first page."""

Text = Annotated[str, Meta(max_length=4000)]
Name = Annotated[str, Meta(max_length=500)]
Some = Annotated[tuple[Name, ...], Meta(max_length=20)]
_MOST = 6000
"""Letters of all parameters: each of a few hundred links holds them."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of the page.

    `cursor` goes on behind a row, `newer` before one. `open` is the rule whose occurrences are shown in a table of
    rules, `lane` the label whose values have lanes, `facet` a label of choice. `receiver` and `source` are conditions
    as labels are, with `not_receiver` and `not_source`; `fingerprint` is that of one label set. `archive`: what left
    for an archive is searched, too.
    """

    REPEATS: ClassVar = frozenset({"not_receiver", "not_source", "cols"})
    EMPTY_MEANS_EMPTY: ClassVar = frozenset({"receiver", "source", "open"})

    query: Text = ""
    since: Text = ""
    until: Text = ""
    status: Literal["firing", "resolved", ""] = ""
    fingerprint: Name = ""
    receiver: Name | None = None
    source: Name | None = None
    not_receiver: Some = ()
    not_source: Some = ()
    sort: Name = "-timestamp"
    cols: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()
    group: Literal["rule", ""] = ""
    view: Literal["table", "lanes"] = "table"
    lane: Name = FINGERPRINT
    facet: Name = ""
    open: Name | None = None
    cursor: Text = ""
    newer: Text = ""
    archive: Literal["true", ""] = ""
    tz: Text = ""
    part: Text = ""

    @property
    def filter(self) -> HistoryFilter:
        """The conditions beside the query and the span."""
        came_by = [
            *(
                Matcher(name, "=", value)
                for name in ("receiver", "source")
                if (value := getattr(self, name)) is not None
            ),
            *(Matcher("receiver", "!=", value) for value in self.not_receiver),
            *(Matcher("source", "!=", value) for value in self.not_source),
        ]
        return HistoryFilter(
            status=self.status or None,
            fingerprint=self.fingerprint or None,
            came_by=tuple(came_by),
            includes_archive=bool(self.archive),
        )

    @property
    def columns(self) -> list[Column]:
        """The columns of the table."""
        return columns_of(",".join(self.cols))

    def changed(self, **changes: Any) -> "State":
        """The state with changes. It is on its first page, unless a change says otherwise."""
        return msgspec.structs.replace(self, **{**_PLACE, **changes})

    def with_came_by(self, name: str, value: str, *, op: str = "=") -> "State":
        """With one condition on the `receiver` or the `source` more."""
        if op == "=":
            return self.changed(**{name: value})
        others = getattr(self, f"not_{name}")
        return self.changed(**{f"not_{name}": (*(each for each in others if each != value), value)})

    def without_came_by(self, name: str, value: str, *, op: str = "=") -> "State":
        """Without that condition."""
        if op == "=":
            return self.changed(**{name: None})
        return self.changed(**{f"not_{name}": tuple(each for each in getattr(self, f"not_{name}") if each != value)})

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters that differ from what goes without saying, in order."""
        bare = State()
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name != "cols"}
        pairs = [
            (name, text)
            for name, value in given.items()
            if value != getattr(bare, name)
            for text in (value if isinstance(value, tuple) else (value,))
        ]
        cols = cols_of(self.columns)
        return [*pairs, ("cols", cols)] if cols else pairs

    def hidden(self, *without: str) -> list[tuple[str, str]]:
        """What a form keeps that sends other parameters, from the first page on."""
        return [pair for pair in self.changed().pairs() if pair[0] not in without]

    @property
    def conditions(self) -> list[tuple[str, "State"]]:
        """The conditions beside the query, in words, each with the state without it."""
        alone = [(f"fingerprint = {self.fingerprint}", self.changed(fingerprint=""))] if self.fingerprint else []
        return alone + [
            (f"{each.name} {each.op} {each.value or '(none)'}", self.without_came_by(each.name, each.value, op=each.op))
            for each in self.filter.came_by
        ]

    @property
    def href(self) -> str:
        """The link to it, from the page itself or one of its other states."""
        return f"?{urlencode(self.pairs())}"

    def part_href(self, part: str) -> str:
        """The link to one part of it."""
        return msgspec.structs.replace(self, part=part).href

    @property
    def kept(self) -> str:
        """As a saved view keeps it: without the place on its pages, and without the reader's time zone."""
        return urlencode(self.changed(tz="").pairs())


def asked_of(state: State, frame: Frame) -> Asked:
    """Which alerts a state is about. Raises InvalidQuery naming what is wrong."""
    return span_of(state.since, state.until, frame, default=DEFAULT_SPAN).asked(state.query, wanted=state.filter)


def read_state(request: Request) -> State:
    """The state that a request asks for. Raises InvalidQuery naming the parameter."""
    if len(request.scope["query_string"]) > _MOST:
        raise InvalidQuery(f"all parameters together may have {_MOST} letters")
    return read_page_parameters(request, State)


def parse_state(text: str) -> State:
    """The state of the part of a URL behind `?`. Raises InvalidQuery."""
    scope = {"type": "http", "query_string": text.encode(errors="replace"), "headers": [], "path_params": {}}
    return read_state(Request(scope))

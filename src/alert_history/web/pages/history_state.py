"""What `/dashboard/history` shows: all of it is in its URL, so each link is that state with a change. Pure."""

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.query import Matcher
from alert_history.ports import HistoryFilter
from alert_history.web.http.parameters import read_parameters
from alert_history.web.pages.columns import Column, columns_of

PATH = "dashboard/history"
FINGERPRINT = "fingerprint"

_PLACE = {"cursor": "", "newer": "", "open": None, "part": ""}
"""Where a reader is on the pages of a view; what changes the view leads back to its first page."""

Text = Annotated[str, Meta(max_length=8192)]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of the page.

    `cursor` goes on behind a row, `newer` before one. `open` is the rule whose occurrences are shown in a table of
    rules, `lane` the label whose values have lanes, `facet` a label of choice. `receiver` and `source` are conditions
    as labels are, with `not_receiver` and `not_source`.
    """

    REPEATS: ClassVar = frozenset({"not_receiver", "not_source"})
    EMPTY_MEANS_EMPTY: ClassVar = frozenset({"receiver", "source", "open"})

    query: Text = ""
    since: Text = ""
    until: Text = ""
    status: Literal["firing", "resolved", ""] = ""
    receiver: Text | None = None
    source: Text | None = None
    not_receiver: tuple[Text, ...] = ()
    not_source: tuple[Text, ...] = ()
    sort: Text = "-timestamp"
    cols: Text = ""
    group: Literal["rule", ""] = ""
    view: Literal["table", "lanes"] = "table"
    lane: Text = FINGERPRINT
    facet: Text = ""
    open: Text | None = None
    cursor: Text = ""
    newer: Text = ""
    tz: Text = ""
    part: Text = ""

    @property
    def filter(self) -> HistoryFilter:
        """The conditions beside the query and the span."""
        came_by = [
            *(Matcher(name, "=", value) for name in ("receiver", "source") if (value := getattr(self, name)) is not None),
            *(Matcher("receiver", "!=", value) for value in self.not_receiver),
            *(Matcher("source", "!=", value) for value in self.not_source),
        ]
        return HistoryFilter(status=self.status or None, came_by=tuple(came_by))

    @property
    def columns(self) -> list[Column]:
        """The columns of the table."""
        return columns_of(self.cols)

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
        given = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [
            (name, text)
            for name, value in given
            if value != getattr(bare, name)
            for text in (value if isinstance(value, tuple) else (value,))
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


def read_state(request: Request) -> State:
    """The state that a request asks for. Raises InvalidQuery naming the parameter."""
    return read_parameters(request, State)


def parse_state(text: str) -> State:
    """The state of the part of a URL behind `?`. Raises InvalidQuery."""
    scope = {"type": "http", "query_string": text.encode(errors="replace"), "headers": [], "path_params": {}}
    return read_state(Request(scope))

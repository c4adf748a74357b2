"""The columns of a table of alerts: what each alert has, and labels of choice. `cols` in a URL names them. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

MOST = 20
DEFAULT = ("state", "severity", "alert", "namespace", "began", "lasted")


class Column(NamedTuple):
    """A column. `name` stands in URLs, `sort` is the order of the history by it; empty where there is none."""

    name: str
    title: str
    sort: str = ""
    is_label: bool = False

    @property
    def key(self) -> str:
        """As `cols` names it."""
        return quote(self.name, safe=":._-/")


KNOWN: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("state", "State", "status"),
        Column("severity", "Severity", "severity"),
        Column("alert", "Alert", "alertname"),
        Column("alertname", "Name", "alertname"),
        Column("namespace", "Namespace", "namespace"),
        Column("began", "Began", "starts_at"),
        Column("lasted", "Fired for"),
        Column("ended", "Ended"),
        Column("received", "First received", "timestamp"),
        Column("last", "Last received", "last_received_at"),
        Column("repeats", "Repeats", "repeat_count"),
        Column("acknowledged", "Acknowledged by"),
        Column("receiver", "Receiver"),
        Column("source", "Source"),
        Column("summary", "Summary"),
        Column("labels", "Labels"),
    )
}
"""What an alert has beside its labels. A label of one of these names is asked for as `label:NAME`."""

_LABEL = "label:"


def columns_of(text: str) -> list[Column]:
    """The columns that `cols` names, each once: `alertname,began,pod`. Those of `DEFAULT` where it names none."""
    names = dict.fromkeys(unquote(part.strip()) for part in text.split(",") if part.strip())
    return [_column(name) for name in list(names)[:MOST]] or [KNOWN[name] for name in DEFAULT]


def cols_of(columns: Iterable[Column]) -> str:
    """What `cols` is for these columns; empty for those of `DEFAULT`."""
    chosen = list(columns)
    is_usual = tuple(column.name for column in chosen) == DEFAULT
    return "" if is_usual else ",".join(column.key for column in chosen)


def _column(name: str) -> Column:
    if known := KNOWN.get(name):
        return known
    return Column(name, name.removeprefix(_LABEL) or name, is_label=True)

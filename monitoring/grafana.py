"""The shapes of Grafana's dashboard JSON (schema 41, Grafana 12 and newer): panels, variables, annotations.

Must not know what is shown; that is in `dashboard`. Every query asks the data source that the reader chooses.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
_WIDTH = 24
_STATES = {"0": ("down", RED), "1": ("up", GREEN)}


class Query(NamedTuple):
    """One query and how its series are called. A table takes the newest values only."""

    expression: str
    legend: str = ""


class Panel(NamedTuple):
    """A panel without its place. `width` is in twenty-fourths of the page, `height` in Grafana's rows of 30 pixels."""

    title: str
    description: str
    kind: str
    queries: Sequence[Query]
    defaults: Json
    options: Json
    width: int = 8
    height: int = 8
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Colours from a value upwards; the first value is None."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def mapping(words: Mapping[str, tuple[str, str]]) -> list[Json]:
    """Values as words, each with its colour."""
    options = {
        value: {"text": text, "color": color, "index": i} for i, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    limits: Json | None = None,
    is_stacked: bool = False,
    colors: Mapping[str, str] | None = None,
) -> Panel:
    """Lines over time; stacked areas where parts make a whole. `limits` are drawn as dashed lines."""
    custom: Json = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if is_stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if is_stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if limits is None else "dashed"},
    }
    defaults: Json = {"unit": unit, "min": 0, "custom": custom, "color": {"mode": "palette-classic"}}
    defaults |= {} if limits is None else {"thresholds": limits}
    defaults |= {"max": 1} if unit == "percentunit" else {}
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    overrides = [_colored(name, color) for name, color in (colors or {}).items()]
    return Panel(title, description, "timeseries", queries, defaults, options, overrides=overrides)


def number(
    title: str,
    description: str,
    query: str,
    *,
    unit: str = "short",
    limits: Json | None = None,
    words: Mapping[str, tuple[str, str]] | None = None,
    decimals: int | None = None,
) -> Panel:
    """One value with its recent course behind it."""
    defaults: Json = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": limits or thresholds((None, BLUE))}
    defaults |= {} if words is None else {"mappings": mapping(words)}
    defaults |= {} if decimals is None else {"decimals": decimals}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background" if limits or words else "value",
        "graphMode": "none" if words else "area",
        "justifyMode": "center",
        "textMode": "auto",
    }
    return Panel(title, description, "stat", [Query(query)], defaults, options, width=3, height=4)


def states(title: str, description: str, query: Query, *, words: Mapping[str, tuple[str, str]] | None = None) -> Panel:
    """A bar over time for each series, in the colours of its states."""
    defaults: Json = {
        "mappings": mapping(words or _STATES),
        "color": {"mode": "thresholds"},
        "thresholds": thresholds((None, GREY)),
        "custom": {"fillOpacity": 80, "lineWidth": 0},
    }
    options = {
        "mergeValues": True,
        "showValue": "never",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single"},
    }
    return Panel(title, description, "state-timeline", [query], defaults, options)


def heat(title: str, description: str, query: str, *, unit: str) -> Panel:
    """A histogram's buckets over time."""
    options = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
        "cellGap": 1,
        "yAxis": {"unit": unit, "axisPlacement": "left"},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True},
    }
    return Panel(title, description, "heatmap", [Query(query, "{{le}}")], {"unit": unit}, options)


def table(title: str, description: str, columns: Mapping[str, tuple[str, str, Json | None]], *, by: str) -> Panel:
    """A row for each value of the label `by`. Columns: name → query, unit, limits that colour the cell."""
    queries = [Query(query) for query, _, _ in columns.values()]
    letters = [chr(ord("A") + i) for i in range(len(columns))]
    hidden = {"Time": True, **{f"Time {i + 1}": True for i in range(len(columns))}}
    renamed = {by: by.capitalize(), **{f"Value #{letter}": name for letter, name in zip(letters, columns, strict=True)}}
    transformations = [
        {"id": "joinByField", "options": {"byField": by, "mode": "outer"}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": renamed}},
    ]
    overrides = [_column(name, unit, limits) for name, (_, unit, limits) in columns.items()]
    options = {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": next(iter(columns)), "desc": False}]}
    defaults: Json = {"unit": "short", "custom": {"align": "auto", "filterable": False}}
    return Panel(
        title,
        description,
        "table",
        queries,
        defaults,
        options,
        width=16,
        overrides=overrides,
        transformations=transformations,
    )


def choice(name: str, label: str, query: str, *, is_single: bool = False) -> Json:
    """A variable whose values are a label's; all of them unless the reader picks some."""
    made: Json = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": not is_single,
        "includeAll": not is_single,
        "options": [],
    }
    if is_single:
        return made
    # Not Grafana's list of all values: series without the label count as well.
    return made | {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"], "selected": True}}


def datasource_choice() -> Json:
    """The variable by which the reader chooses a Prometheus."""
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1}


def note(name: str, expression: str, *, title: str, color: str) -> Json:
    """Marks on all graphs, where a query has a value."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "target": {"expr": expression, "interval": "60s", "refId": name},
        "titleFormat": title,
        "iconColor": color,
    }


def placed(rows: Mapping[str, Sequence[Panel]]) -> list[Json]:
    """All panels under their rows, filled from the left; a panel that does not fit begins a new line."""
    made: list[Json] = []
    top = 0
    for title, panels in rows.items():
        made.append(_row(title, number=len(made) + 1, top=top))
        top += 1
        left = height = 0
        for panel in panels:
            if left + panel.width > _WIDTH:
                left, top, height = 0, top + height, 0
            made.append(_panel(panel, number=len(made) + 1, x=left, y=top))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return made


def _row(title: str, *, number: int, top: int) -> Json:
    place = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": place}


def _panel(panel: Panel, *, number: int, x: int, y: int) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "targets": [_target(query, i, panel.kind) for i, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": panel.defaults, "overrides": list(panel.overrides)},
        "options": panel.options,
        "transformations": list(panel.transformations),
    }


def _target(query: Query, place: int, kind: str) -> Json:
    is_table = kind == "table"
    return {
        "refId": chr(ord("A") + place),
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "format": {"table": "table", "heatmap": "heatmap"}.get(kind, "time_series"),
        "instant": is_table,
        "range": not is_table,
    }


def _colored(name: str, color: str) -> Json:
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": color}}
    return {"matcher": {"id": "byName", "options": name}, "properties": [fixed]}


def _column(name: str, unit: str, limits: Json | None) -> Json:
    properties: list[Json] = [{"id": "unit", "value": unit}]
    if limits is not None:
        properties += [
            {"id": "thresholds", "value": limits},
            {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}},
        ]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}

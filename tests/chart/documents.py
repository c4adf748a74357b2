"""Writes what the chart repeats of other files: its README's table of values, and its copies of `monitoring/`.

`python -m tests.chart.documents` (or `make chart`) does it; tests check that it has been done.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.chart.rendering import CHART, ROOT

README = CHART / "README.md"
VALUES = CHART / "values.yaml"
MONITORING = ROOT / "monitoring"
DASHBOARD = "alert_history_grafana_dashboard_v3_enrichment.json"

_TABLE = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- end of values -->)", re.DOTALL)
_COMMENT = "# -- "
_TYPES = {str: "string", bool: "bool", int: "int", float: "float", list: "list", dict: "object", type(None): "string"}


class Value(NamedTuple):
    """One line of the table. `key` has dots between its parts."""

    key: str
    default: Any
    meaning: str


def values() -> list[Value]:
    """Every value that has a comment, in their order. Raises: AssertionError where a comment describes nothing."""
    tree = yaml.compose(VALUES.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    defaults = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    meanings = _meanings()
    all_values = [
        Value(key, _at(defaults, key), meanings.pop(line)) for key, line in _keys(tree, "") if line in meanings
    ]
    assert meanings == {}, f"these comments describe no value: {meanings}"
    return all_values


def undescribed() -> list[str]:
    """Values that no comment describes, neither theirs nor that of what they are in."""
    described = {value.key for value in values()}
    tree = yaml.compose(VALUES.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    defaults = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    return [
        key
        for key, _ in _keys(tree, "")
        if not (isinstance(_at(defaults, key), dict) and _at(defaults, key))
        and not any(key == each or key.startswith(f"{each}.") for each in described)
    ]


def table() -> str:
    """The table, in the columns of helm-docs."""
    lines = ["| Key | Type | Default | Description |", "| --- | --- | --- | --- |"]
    for value in values():
        default = json.dumps(value.default).replace("|", "\\|")
        lines.append(f"| `{value.key}` | {_TYPES[type(value.default)]} | `{default}` | {value.meaning} |")
    return "\n".join(lines) + "\n"


def readme() -> str:
    """The README with the table as it must be."""
    return _TABLE.sub(lambda _: table(), README.read_text(encoding="utf-8"))


def copies() -> dict[Path, Path]:
    """Where each file of `monitoring/` that the chart holds belongs in it; empty as long as there is no such folder."""
    rules = {path: CHART / "files" / "rules" / path.name for path in sorted(MONITORING.glob("rules/*.yaml"))}
    dashboard = MONITORING / DASHBOARD
    return {**rules, **({dashboard: CHART / "files" / "dashboards" / DASHBOARD} if dashboard.exists() else {})}


def write() -> None:
    """Bring both up to date; a copy of what `monitoring/` does not hold any more is removed."""
    wanted = copies()
    for file in [*CHART.glob("files/rules/*"), *CHART.glob("files/dashboards/*")] if wanted else []:
        if file not in wanted.values():
            file.unlink()
    for source, copy in wanted.items():
        shutil.copyfile(source, copy)
    README.write_text(readme(), encoding="utf-8")


def _meanings() -> dict[int, str]:
    """What each line, counted from 0, is described as: the comment in the lines above it."""
    lines = VALUES.read_text(encoding="utf-8").splitlines()
    return {
        number + 1: line.strip().removeprefix(_COMMENT)
        for number, line in enumerate(lines)
        if line.strip().startswith(_COMMENT)
    }


def _keys(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for name, value in node.value:
        key = f"{prefix}.{name.value}" if prefix else name.value
        yield key, name.start_mark.line
        yield from _keys(value, key)


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree[part]
    return tree


if __name__ == "__main__":
    write()

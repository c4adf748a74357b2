"""The picture of the rooms says what import-linter's contracts say; `make lint` holds these to the code."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from tests.unit.test_docs import ROOT, text

DOCUMENT = ROOT / "docs/explanation/architecture.md"
CODE = ROOT / "src/alert_history"
PACKAGE = "alert_history."
BOX = re.compile(r"subgraph (\w+)")
ROOM = re.compile(r"^(\w+)$")
NEVER = re.compile(r"(\w+) -\. never \.-> (\w+)")


class Picture(NamedTuple):
    """Boxes by name, each with its rooms and those of boxes in it; the boxes' order; and who never imports whom."""

    boxes: dict[str, set[str]]
    order: list[str]
    never: list[tuple[str, str]]

    @property
    def layers(self) -> list[set[str]]:
        return [self.boxes[name] for name in self.order]

    def never_rooms(self) -> set[tuple[str, str]]:
        return {(room, other) for room, box in self.never for other in self.boxes.get(box, {box})}


def boxes_of(lines: list[str]) -> dict[str, set[str]]:
    boxes: dict[str, set[str]] = {}
    open_boxes: list[str] = []
    for line in lines:
        if box := BOX.match(line):
            open_boxes.append(box[1])
            boxes[box[1]] = set()
        elif line == "end":
            open_boxes.pop()
        elif room := ROOM.match(line):
            for name in open_boxes:
                boxes[name].add(room[1])
    return boxes


@cache
def picture() -> Picture:
    (drawing,) = re.findall(r"^```mermaid\n(.*?)^```", text(DOCUMENT), re.MULTILINE | re.DOTALL)
    lines = [line.strip() for line in drawing.splitlines()]
    (chain,) = [line for line in lines if " --> " in line]
    return Picture(boxes_of(lines), chain.split(" --> "), NEVER.findall(drawing))


@cache
def contracts() -> list[dict[str, Any]]:
    linter: dict[str, Any] = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]
    contracts: list[dict[str, Any]] = linter["contracts"]
    return contracts


def layers_of_contract() -> list[set[str]]:
    (contract,) = [each for each in contracts() if each.get("containers") == ["alert_history"]]
    assert contract["exhaustive"]
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def forbidden_rooms() -> Iterator[tuple[str, str]]:
    """Whole rooms that a contract keeps from whole rooms."""
    for contract in contracts():
        if contract["type"] == "forbidden":
            pairs = [(room, other) for room in contract["source_modules"] for other in contract["forbidden_modules"]]
            for room, other in pairs:
                if room.count(".") == other.count(".") == 1 and other.startswith(PACKAGE):
                    yield room.removeprefix(PACKAGE), other.removeprefix(PACKAGE)


def depth(room: str) -> int:
    (level,) = [i for i, layer in enumerate(layers_of_contract()) if room in layer]
    return level


def test_the_boxes_are_the_layers_of_the_contract() -> None:
    assert picture().layers == layers_of_contract()


def test_the_dotted_arrows_are_the_forbidden_rooms_that_lie_below() -> None:
    below = {(room, other) for room, other in forbidden_rooms() if depth(room) < depth(other)}
    assert {("engine", "storage"), ("engine", "targets"), ("web", "storage"), ("web", "targets")} <= below
    assert picture().never_rooms() == below


def test_no_contract_lets_a_room_slip_through_a_third_one() -> None:
    assert [contract["name"] for contract in contracts() if contract.get("allow_indirect_imports")] == []


def test_every_room_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", text(DOCUMENT), re.MULTILINE))
    assert described == set().union(*picture().layers)


def test_every_room_of_the_code_is_drawn() -> None:
    files = {path.stem for path in CODE.glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in CODE.glob("*/__init__.py")}
    assert files | folders <= set().union(*picture().layers)

"""Takes fields out of a tree of YAML: what is wrong is noted with its line and its path, and the reading goes on.

Must not know what the fields mean.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple, TypeVar

from alert_history.domain.alertmanager import yaml_tree
from alert_history.domain.alertmanager.yaml_tree import Listing, Node, Scalar, fields_of
from alert_history.domain.times import parse_duration
from alert_history.errors import InvalidConfiguration

MAX_FAULTS = 20
_MAX_VISITS = 200_000
_SHOWN_CHARACTERS = 80
_FAULTY = timedelta(seconds=1)
_TRUE, _FALSE = frozenset({"true", "yes", "on", "y"}), frozenset({"false", "no", "off", "n"})

T = TypeVar("T")
D = TypeVar("D")


class Place(NamedTuple):
    """A node, and the way to it: `route.routes[0].matchers`."""

    path: str
    node: Node


Fields = Mapping[str, Place]

_NOWHERE = Place("", Scalar("", 0, 0, 0))


class Reader:
    """Reads node by node, and goes on after a fault."""

    def __init__(self) -> None:
        self.faults: list[tuple[int, str]] = []
        self._visits = 0

    def check(self) -> None:
        """Raises: InvalidConfiguration with the faults noted so far, in order of their lines."""
        if self.faults:
            lines = [text for _, text in sorted(self.faults)]
            shown = tuple(lines[:MAX_FAULTS])
            more = f"; and {len(lines) - MAX_FAULTS} more" if len(lines) > MAX_FAULTS else ""
            raise InvalidConfiguration("; ".join(shown) + more, faults=shown)

    def fields(self, place: Place) -> Fields:
        """The fields of a mapping by name; of those given twice the first. Nothing where there is no value."""
        self._visit(place)
        node = place.node
        if not isinstance(node, yaml_tree.Mapping):
            if not _is_null(node):
                self.fault(place, "is not a mapping")
            return {}
        fields: dict[str, Place] = {}
        own = sum(isinstance(key, Scalar) and key.text != "<<" for key, _ in node.pairs)
        for number, (key, value) in enumerate(fields_of(node)):
            self._visit(place)
            path = f"{place.path}.{key.text}" if place.path else key.text
            if key.text not in fields:
                fields[key.text] = Place(path, value)
            elif number < own:
                self.fault(Place(path, key), "is given twice")
        return fields

    def items(self, place: Place) -> list[Place]:
        """The entries of a list. Nothing where there is no value."""
        self._visit(place)
        if not isinstance(place.node, Listing):
            if not _is_null(place.node):
                self.fault(place, "is not a list")
            return []
        return [Place(f"{place.path}[{number}]", node) for number, node in enumerate(place.node.items)]

    def text(self, place: Place) -> str:
        """A text as it is written; empty where there is no value."""
        self._visit(place)
        if isinstance(place.node, Scalar):
            return "" if place.node.is_null else place.node.text
        self.fault(place, "is not a text")
        return ""

    def texts(self, place: Place) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(map(self.text, self.items(place)))

    def mapping(self, place: Place) -> dict[str, str]:
        """A mapping of texts."""
        return {name: self.text(each) for name, each in self.fields(place).items()}

    def flag(self, place: Place) -> bool:
        """Yes or no."""
        word = self.text(place).lower()
        if word and word not in _TRUE | _FALSE:
            self.fault(place, f"{shown(word)} is neither true nor false")
        return word in _TRUE

    def duration(self, place: Place) -> timedelta:
        """A duration as Prometheus writes it: `1h30m`, or `0`."""
        text = self.text(place)
        try:
            return timedelta(0) if text == "0" else parse_duration(text)
        except (ValueError, OverflowError):
            self.fault(place, f"{shown(text)} is no duration such as 30s, 5m or 1h30m")
            return _FAULTY

    def at(self, fields: Fields, name: str) -> Place:
        """The place of a field; of one that is not there a place without a value."""
        return fields.get(name, _NOWHERE)

    def optional(self, fields: Fields, name: str, read: Callable[[Place], T], *, default: D) -> T | D:
        """What is read of a field; the default where the field is not there, or has no value."""
        place = fields.get(name)
        return default if place is None or _is_null(place.node) else read(place)

    def fault(self, place: Place, what: str) -> None:
        """Something is wrong there."""
        line = place.node.line
        self.faults.append((line, f"line {line}: {place.path} {what}" if place.path else f"line {line}: {what}"))

    def _visit(self, place: Place) -> None:
        self._visits += 1
        if self._visits > _MAX_VISITS:
            raise InvalidConfiguration(f"line {place.node.line}: its aliases unfold to more than {_MAX_VISITS} values")


def shown(text: str) -> str:
    """The text, shortened."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_null

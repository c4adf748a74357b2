"""What the lock files hold: packages, who requires them, and which of them whoever installs us gets."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
_US = "alert-history (pyproject.toml)"
"""Who requires a package that we, or an extra of ours, require. Groups have another name there."""

_FIRST_LINE = re.compile(r"^([\w.-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^    #(?: via)? +(?!-c )(.+)$", re.MULTILINE)


class Locked(NamedTuple):
    """One package of a lock file of Python. `via` are those that require it, `hashes` the SHA-256 of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]
    via: frozenset[str]


class Script(NamedTuple):
    """One package of npm, as package-lock.json has it."""

    name: str
    version: str
    integrity: str
    license: str


def locked(text: str) -> dict[str, Locked]:
    """The packages of a lock file, by name."""
    return {each.name: each for each in map(_package, _blocks(text)) if each is not None}


def shipped(packages: Mapping[str, Locked]) -> dict[str, Locked]:
    """Those that come with us and our extras, whatever else the lock file holds for development."""
    wanted: set[str] = set()
    added = {each.name for each in packages.values() if _US in each.via}
    while added:
        wanted |= added
        added = {each.name for each in packages.values() if each.via & wanted} - wanted
    return {name: packages[name] for name in sorted(wanted)}


def required_by_us(packages: Mapping[str, Locked]) -> list[str]:
    """The names of those that pyproject.toml itself names, its extras' among them."""
    return sorted(each.name for each in packages.values() if _US in each.via)


def development_lock() -> dict[str, Locked]:
    """All that the development lock holds, our extras among it, at the versions of the runtime lock."""
    return locked((ROOT / "requirements-dev.lock").read_text())


def scripts(lock: Mapping[str, Any]) -> list[Script]:
    """The packages of a package-lock.json."""
    return [
        Script(path.removeprefix("node_modules/"), each["version"], each["integrity"], each["license"])
        for path, each in lock["packages"].items()
        if path
    ]


def locked_scripts() -> list[Script]:
    """What npm brings into the pages."""
    return scripts(json.loads((ROOT / "package-lock.json").read_text()))


def _blocks(text: str) -> Iterator[str]:
    """The lines of each package, its first line first."""
    return iter(re.split(r"\n(?=[\w])", text))


def _package(block: str) -> Locked | None:
    first = _FIRST_LINE.match(block)
    if first is None:
        return None
    return Locked(first[1], first[2], tuple(_HASH.findall(block)), frozenset(_VIA.findall(block)))

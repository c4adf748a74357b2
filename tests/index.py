"""Which tests hold which module of the source: `python -m tests.index` writes the answer to `tests/INDEX.md`.

A test module holds what it imports, and what a line of its docstring names: ``Holds: `cli.export`, `web.api.health`.``
(for what runs in a process of its own). A name that a package only hands on counts for the module that defines it.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
INDEX = ROOT / "tests" / "INDEX.md"
_PACKAGE = "alert_history"
_MOST = 8
_HEAD = """# Which tests hold which module

Written by `make index` from what tests import, and from the lines `Holds:` of their docstrings; the tests that hold the
fewest other modules come first. A module that no test names is held by the tests of those that import it.

| module of `alert_history` | tests |
| --- | --- |
"""
_HOLDS = re.compile(r"^Holds: (.+)$", re.MULTILINE)
_NAME = re.compile(r"`([\w.]+)`")


def source_modules() -> dict[str, Path]:
    """The path of each module that holds code, by its dotted name; migrations are held as one."""
    paths = sorted((SOURCE / _PACKAGE).rglob("*.py"))
    return {_dotted(path, SOURCE): path for path in paths if path.parent.name != "versions" and _has_code(path)}


def modules_of_tests() -> list[Path]:
    """The modules of tests, in the order of their names."""
    return sorted((ROOT / "tests").rglob("test_*.py"))


def held_by(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """The source modules that this test module holds.

    Raises: ValueError when its docstring names a module that is not there.
    """
    names = {name for name in _imports(path) if name in modules}
    for name in declared(path):
        if f"{_PACKAGE}.{name}" not in modules:
            raise ValueError(f"{path.name} holds {name}, which is no module")
        names.add(f"{_PACKAGE}.{name}")
    return names


def declared(path: Path) -> list[str]:
    """The names in the lines `Holds:` of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return [name for line in _HOLDS.findall(text) for name in _NAME.findall(line)]


def render() -> str:
    """The text of the index."""
    modules = source_modules()
    names_in = {path: held_by(path, modules) for path in modules_of_tests()}
    importers = _importers(modules)
    rows = [f"| `{_short(name)}` | {_cell(name, names_in, importers)} |\n" for name in sorted(modules)]
    return _HEAD + "".join(rows)


def _cell(name: str, names_in: Mapping[Path, set[str]], importers: Mapping[str, set[str]]) -> str:
    paths = sorted((path for path in names_in if name in names_in[path]), key=lambda path: (len(names_in[path]), path))
    if paths:
        shown = [f"[{path.stem.removeprefix('test_')}]({path.relative_to(INDEX.parent)})" for path in paths[:_MOST]]
        return ", ".join(shown) + (f" and {len(paths) - _MOST} more" if len(paths) > _MOST else "")
    nearest = _nearest(name, set().union(*names_in.values()), importers)
    return "see " + ", ".join(f"`{_short(each)}`" for each in nearest[:_MOST]) if nearest else ""


def _nearest(name: str, named: set[str], importers: Mapping[str, set[str]]) -> list[str]:
    """Of the modules that import it, directly or through others, the nearest that a test names."""
    seen, nearest = {name}, importers[name]
    while nearest and not nearest & named:
        seen |= nearest
        nearest = {each for module in nearest for each in importers[module]} - seen
    return sorted(nearest & named)


def _importers(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    importers: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for imported in _imports(path) & modules.keys() - {name}:
            importers[imported].add(name)
    return importers


def _imports(path: Path) -> set[str]:
    """All modules of ours that it imports anywhere; of a name that a package hands on, the module that defines it."""
    return {
        module
        for module, name in _imported_names(path)
        for module in ({f"{module}.{name}", _definer(module, name)} if name else {module})
    }


def _imported_names(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == _PACKAGE:
            yield from ((node.module or "", alias.name) for alias in node.names)


def _definer(module: str, name: str) -> str:
    package = SOURCE / module.replace(".", "/") / "__init__.py"
    if package.exists():
        for origin, handed_on in _imported_names(package):
            if handed_on == name:
                return _definer(origin, name)
    return module


def _has_code(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    handing_on = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign)
    return bool(body) and (path.name != "__init__.py" or not all(isinstance(node, handing_on) for node in body))


def _dotted(path: Path, below: Path) -> str:
    return ".".join(path.relative_to(below).with_suffix("").parts).removesuffix(".__init__")


def _short(name: str) -> str:
    return name.removeprefix(f"{_PACKAGE}.")


if __name__ == "__main__":
    INDEX.write_text(render(), encoding="utf-8")

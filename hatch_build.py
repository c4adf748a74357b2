"""Brings the scripts of others that the pages load into the package, before it is built or installed in place.

`npm ci` takes them by `package-lock.json`, which pins their contents; whoever installs the wheel needs no node. Run
`python hatch_build.py` to bring them without building.
"""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
VENDOR = ROOT / "src/alert_history/web/pages/static/vendor"
FILES = {
    # In one file: htmx begins as soon as it may, and passes over what an extension that comes later would see to.
    "htmx.min.js": (
        "htmx.org/dist/htmx.min.js",
        "htmx.org/dist/ext/hx-csp.min.js",
        "htmx.org/dist/ext/hx-sse.min.js",
    ),
    "uplot.min.js": ("uplot/dist/uPlot.iife.min.js",),
    "uplot.min.css": ("uplot/dist/uPlot.min.css",),
    "LICENSE-htmx.txt": ("htmx.org/LICENSE",),
    "LICENSE-uplot.txt": ("uplot/LICENSE",),
}
_MAP_COMMENT = "//# sourceMappingURL="


class VendorHook(BuildHookInterface[Any]):
    """Hatchling's hook, named in pyproject.toml."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's shape
        """Before each build."""
        bring()


def bring() -> None:
    """Put the files into their folder, unless they are those of the lock file already."""
    wanted = _wanted()
    mark = VENDOR / "lock.json"
    if mark.exists() and json.loads(mark.read_text()) == wanted and all((VENDOR / name).exists() for name in FILES):
        return
    with TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, folder)
        command = [_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True)  # noqa: S603  # npm, found by name
        modules = Path(folder) / "node_modules"
        VENDOR.mkdir(parents=True, exist_ok=True)
        for name, sources in FILES.items():
            (VENDOR / name).write_text("".join(_kept(modules / each) for each in sources), encoding="utf-8")
    mark.write_text(json.dumps(wanted))


def _kept(path: Path) -> str:
    """A file without the lines that name a map, which is not there."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "".join(f"{line}\n" for line in lines if not line.startswith(_MAP_COMMENT))


def _wanted() -> list[str]:
    """What decides which files these are."""
    return [sha256((ROOT / name).read_bytes()).hexdigest() for name in ("package-lock.json", "hatch_build.py")]


def _npm() -> str:
    """The npm of this machine, or the one of the environment that builds."""
    found = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit(
            "npm is needed to build the pages, and is not there. Install node, or:\n"
            f"    {sys.executable} -m pip install --require-hashes --requirement requirements-node.lock"
        )
    return found


if __name__ == "__main__":
    bring()

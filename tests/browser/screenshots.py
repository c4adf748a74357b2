"""Takes a picture of every page: light and dark, 360 and 1440 wide; with the demo, empty, in a storm, and in error.

`python -m tests.browser.screenshots [FOLDER]` writes them to `screenshots/` and says how many there are.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

from tests import servers
from tests.browser.looking import ARGUMENTS, PATIENCE_MS, Scheme, find_chromium
from tests.browser.pages import PATHS, fill_storm, find_alerts
from tests.processes import Server

_HEIGHT = 900
_LOOKS: tuple[tuple[int, Scheme], ...] = ((1440, "light"), (1440, "dark"), (360, "light"), (360, "dark"))
_WRONG = ("dashboard/history?query=%7Bseverity%3D", "dashboard/alerts/none")


class Shot(NamedTuple):
    """A page of a service in some state."""

    state: str
    url: str
    name: str


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        number = sum(_take(browser, shot, folder) for shot in _shots(stack))
        browser.close()
    print(f"{number} pictures are in {folder}")


def _shots(stack: ExitStack) -> Iterator[Shot]:
    demo, bare, storm = (_service(stack, args) for args in (["--demo"], [], []))
    fill_storm(storm)
    story = f"dashboard/alerts/{find_alerts(demo, limit='1', severity='critical')[0]['id']}"
    for state, server, paths in (
        ("demo", demo, [*PATHS, story]),
        ("empty", bare, PATHS),
        ("storm", storm, PATHS),
        ("error", demo, _WRONG),
    ):
        for path in paths:
            yield Shot(state, f"{server.url}/{path}", _name(path))


def _service(stack: ExitStack, args: list[str]) -> Server:
    folder = stack.enter_context(TemporaryDirectory())
    return stack.enter_context(
        servers.service({"DATABASE_URL": f"sqlite:///{folder}/alert_history.db", "AUTH_MODE": "none"}, args)
    )


def _name(path: str) -> str:
    words = path.split("?", maxsplit=1)[0].split("/")
    return "story" if "alerts" in words else words[-1] or "root"


def _take(browser: Browser, shot: Shot, folder: Path) -> int:
    for width, scheme in _LOOKS:
        with browser.new_context(viewport={"width": width, "height": _HEIGHT}, color_scheme=scheme) as context:
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(shot.url)
            page.screenshot(path=folder / f"{shot.state}-{shot.name}-{width}-{scheme}.png", full_page=True)
    return len(_LOOKS)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))

"""Pages in a real Chromium, on the same machine as the service: what a reader waits for.

The frame is there when the first bytes are, the whole page when its last part is. The largest paint and the next paint
behind a click are what Chromium itself reports.
"""

from collections.abc import Sequence
from typing import NamedTuple

import httpx
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.looking import ARGUMENTS, find_chromium
from tests.browser.pages import PATHS
from tests.processes import Server
from tests.servers import service

from bench.analysis import fill_year
from bench.databases import Database
from bench.plan import Plan
from bench.report import Measured, at_most
from bench.watch import median

CALLS = 20
_WARM_CALLS = 2
_FRAME_MS, _WHOLE_MS, _PAINT_MS, _CLICK_MS, _KEY_MS = 80, 250, 800, 100, 50
_SEARCH = "[data-search] input, input[data-search]"
_OBSERVE = """() => {
    globalThis.largest = 0;
    globalThis.clicks = [];
    new PerformanceObserver(list => { globalThis.largest = list.getEntries().at(-1).startTime })
        .observe({ type: 'largest-contentful-paint', buffered: true });
    new PerformanceObserver(list => globalThis.clicks.push(...list.getEntries().map(each => each.duration)))
        .observe({ type: 'event', durationThreshold: 16, buffered: true });
}"""
_TIMES = """() => {
    const [visit] = performance.getEntriesByType('navigation');
    return [visit.responseStart - visit.requestStart, visit.responseEnd - visit.requestStart, globalThis.largest];
}"""


class Visit(NamedTuple):
    """One load of a page, in ms: its first bytes, its last, and its largest paint."""

    frame: float
    whole: float
    paint: float


def measure(database: Database, plan: Plan) -> list[Measured]:
    """A year of history, and every page of it."""
    url = database.fresh()
    fill_year(database, url, plan)
    lines: list[Measured] = []
    with service({"DATABASE_URL": url, "LOG_LEVEL": "warning"}) as server, sync_playwright() as playwright:
        chromium = find_chromium()
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for path in [*PATHS, _story(server)]:
            plan.say(f"{database.name}: /{path}")
            measured = _lines(database.name, path, _visits(browser, f"{server.url}/{path}"))
            plan.say("  ".join(f"{each.what.rpartition(': ')[2]} {each.value:.0f} ms" for each in measured))
            lines += measured
        plan.say(f"{database.name}: clicks and keys")
        lines += _interaction(database.name, browser, f"{server.url}/dashboard/history")
        browser.close()
    database.drop(url)
    return lines


def _story(server: Server) -> str:
    page = httpx.get(f"{server.url}/history?limit=1", timeout=60).json()
    return f"dashboard/alerts/{page['alerts'][0]['id']}"


def _visits(browser: Browser, url: str) -> list[Visit]:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(f"({_OBSERVE})()")
        made = [_visit(page, url) for _ in range(_WARM_CALLS + CALLS)]
    return made[_WARM_CALLS:]


def _visit(page: Page, url: str) -> Visit:
    page.goto(url, wait_until="load")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return Visit(*page.evaluate(_TIMES))


def _lines(name: str, path: str, visits: Sequence[Visit]) -> list[Measured]:
    shown = "/dashboard/alerts/…" if "alerts/" in path else f"/{path}"
    whole, paint = (median([getattr(each, field) for each in visits]) for field in ("whole", "paint"))
    note = f"whole p95 {sorted(each.whole for each in visits)[-2]:.0f} ms"
    return [
        Measured(name, f"{shown}: frame", median([each.frame for each in visits]), "ms", at_most(_FRAME_MS)),
        Measured(name, f"{shown}: whole page", whole, "ms", at_most(_WHOLE_MS), note),
        Measured(name, f"{shown}: largest paint", paint, "ms", at_most(_PAINT_MS)),
    ]


def _interaction(name: str, browser: Browser, url: str) -> list[Measured]:
    """Letters typed into the search box until its list changes, and clicks until the next paint."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(f"({_OBSERVE})()")
        keys = [_key(page, url) for _ in range(CALLS)]
        for _ in range(CALLS):
            page.locator("th a:visible").first.click()
            page.wait_for_load_state("networkidle")
        clicks = [each for each in page.evaluate("() => globalThis.clicks") if each] or [0.0]
    return [
        Measured(name, "completion of a letter", median(keys), "ms", at_most(_KEY_MS)),
        Measured(name, "click to next paint", median(clicks), "ms", at_most(_CLICK_MS)),
    ]


def _key(page: Page, url: str) -> float:
    """From the answer's request to its end: what the server and the browser need beside waiting for more letters.

    In a fresh page, because a page keeps the answers that it has.
    """
    page.goto(url)
    field = page.locator(_SEARCH).first
    with page.expect_response(lambda answer: "/api/v1/labels" in answer.url) as response:
        field.press_sequentially("a")
    response.value.finished()
    times = response.value.request.timing
    return float(times["responseEnd"] - times["requestStart"])

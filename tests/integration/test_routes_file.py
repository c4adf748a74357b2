"""The routes file as it is changed under a running service: edited, swapped, broken, taken away and brought back."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alert_history.discovery.routes_file import RoutesFile
from alert_history.domain.routes import Routes
from alert_history.errors import ConfigurationError

TAKEN_UP_SECONDS = 30.0


def routes_to(name: str) -> str:
    return f"routes:\n  - targets: [{name}]\n"


def write(path: Path, text: str) -> None:
    """As an editor does that keeps the file's times."""
    times = path.stat()
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def move(path: Path, to: Path) -> None:
    path.rename(to)


class Watcher:
    """Follows a file and lets a test wait for what becomes of it."""

    def __init__(self, path: Path) -> None:
        self.file = RoutesFile(path, clock=lambda: datetime.now(UTC))
        self.changes: list[Routes] = []

    def target(self) -> str:
        destinations = self.file.state().routes[0].destinations
        return str(destinations[0]) if destinations else ""

    async def until_target(self, name: str) -> None:
        async with asyncio.timeout(TAKEN_UP_SECONDS):
            while self.target() != name or self.file.state().faults:
                await asyncio.sleep(0.01)

    async def until_fault(self, part: str) -> None:
        async with asyncio.timeout(TAKEN_UP_SECONDS):
            while part not in " ".join(self.file.state().faults):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Watcher]:
    watcher = Watcher(path)
    task = asyncio.create_task(watcher.file.watch(watcher.changes.append))
    try:
        yield watcher
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "routes.yml"
    made.write_text(routes_to("one"))
    return made


async def test_a_change_is_taken_up_soon_even_where_size_and_times_stay(path: Path) -> None:
    async with watching(path) as watcher:
        write(path, routes_to("two"))
        await watcher.until_target("two")
        assert len(watcher.changes) == 1


async def test_a_mounted_file_that_is_swapped_is_taken_up(tmp_path: Path) -> None:
    """As the kubelet swaps a ConfigMap: the file stays a link to a link that leads elsewhere."""
    for version, name in (("..1", "one"), ("..2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "routes.yml").write_text(routes_to(name))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "routes.yml").symlink_to("..data/routes.yml")
    async with watching(tmp_path / "routes.yml") as watcher:
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").replace(tmp_path / "..data")
        await watcher.until_target("two")


async def test_a_faulty_change_keeps_the_old_routes_and_says_why(path: Path) -> None:
    async with watching(path) as watcher:
        write(path, "routes:\n  - target: [two]\n")
        await watcher.until_fault("line 2: routes[0].target means nothing here; targets is meant?")
        assert (watcher.target(), watcher.changes) == ("one", [])
        write(path, routes_to("three"))
        await watcher.until_target("three")


async def test_a_faulty_change_that_is_taken_back_is_no_fault_any_more(path: Path) -> None:
    async with watching(path) as watcher:
        write(path, "{")
        await watcher.until_fault("not YAML")
        write(path, routes_to("one"))
        await watcher.until_target("one")


async def test_a_file_that_goes_away_is_a_fault_and_comes_back(path: Path) -> None:
    async with watching(path) as watcher:
        move(path, path.with_suffix(".old"))
        await watcher.until_fault("can't be read: No such file or directory")
        assert watcher.target() == "one"
        move(path.with_suffix(".old"), path)
        await watcher.until_target("one")


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"\xff", "is not UTF-8 text"),
        (b"#" * 1024 * 1024 + b"#", "has more than 1048576 bytes"),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_text_stops_the_start(path: Path, content: bytes | None, fault: str) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        RoutesFile(path, clock=lambda: datetime.now(UTC))
    assert caught.value.faults == [f"ROUTES_FILE={str(path)!r} {fault}"]

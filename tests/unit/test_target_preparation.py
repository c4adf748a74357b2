"""Formats are loaded beside the loop, once, before their targets are made; and a broken one harms no other."""

import asyncio
import threading
from collections.abc import Sequence
from importlib.metadata import EntryPoint

import httpx
import pytest

from alert_history.domain.target import TargetSpec
from alert_history.targets import registry
from alert_history.targets.preparation import Preparation
from alert_history.targets.registry import load_format, make_target

ONE, TWO = TargetSpec("one", "slow", {}), TargetSpec("two", "slow", {})


class Scene:
    """What was handed on and loaded, and a format that loads when it is let."""

    def __init__(self) -> None:
        self.found: list[Sequence[TargetSpec]] = []
        self.loaded: list[tuple[str, bool]] = []
        self.let = threading.Event()
        self.handed_on = asyncio.Event()
        self.preparation = Preparation(self._found, load=self._load)

    def _found(self, targets: Sequence[TargetSpec]) -> None:
        self.found.append(targets)
        self.handed_on.set()

    def _load(self, name: str) -> None:
        self.loaded.append((name, threading.current_thread() is threading.main_thread()))
        assert self.let.wait(10)


async def test_targets_wait_for_their_format_and_only_the_newest_are_handed_on() -> None:
    scene = Scene()
    running = asyncio.create_task(scene.preparation.run())
    scene.preparation([ONE])
    scene.preparation([ONE, TWO])
    assert scene.found == []
    scene.let.set()
    async with asyncio.timeout(60):
        await scene.handed_on.wait()
    assert (scene.found, scene.loaded) == ([[ONE, TWO]], [("slow", False)])
    scene.preparation([TWO])
    assert scene.found[1:] == [[TWO]]
    running.cancel()


@pytest.mark.parametrize("name", ["webhook", "apprise", "nobody's"])
def test_loading_a_format_raises_nothing(name: str) -> None:
    load_format(name)


def test_a_plug_in_that_can_not_be_loaded_is_a_fault_of_its_targets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "a_package_that_is_not_there:make", registry.GROUP)
    monkeypatch.setattr(registry, "formats", lambda: {"broken": broken.load})
    load_format("broken")
    with pytest.raises(ValueError, match="'broken' can't be loaded: ModuleNotFoundError"):
        make_target(TargetSpec("one", "broken", {}), httpx.AsyncClient())

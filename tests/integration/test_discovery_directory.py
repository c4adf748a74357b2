"""Targets in folders: as Kubernetes mounts them, as people write them, and as things go wrong."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from alert_history.discovery import directory
from alert_history.discovery.directory import DirectoryDiscovery
from tests.watching import watching

LABELS = 'alert-history.io/format="slack"\nalert-history.io/target="true"\n'
_NUMBERS = count()


def now() -> datetime:
    return datetime.now(UTC)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for name, content in ({"labels": LABELS} | dict(files)).items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def mount(folder: Path, files: Mapping[str, str]) -> None:
    """As the kubelet does: a folder with a new name, and a symbolic link to it that is swapped at once."""
    version = folder / f"..2026_11_24_{next(_NUMBERS)}"
    write(version, files)
    (folder / "..data_tmp").symlink_to(version.name)
    old = (folder / "..data").resolve() if (folder / "..data").exists() else None
    (folder / "..data_tmp").replace(folder / "..data")
    for name in [*files, "labels"]:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    if old is not None:
        for path in old.iterdir():
            path.unlink()
        old.rmdir()


def discovery(folder: Path) -> DirectoryDiscovery:
    return DirectoryDiscovery(folder, clock=now)


async def faults(folder: Path) -> dict[str, str | None]:
    async with watching(discovery(folder)) as watcher:
        await watcher.until(lambda _: True)
        return {name: spec.fault for name, spec in watcher.targets.items()}


async def test_a_folder_is_a_target_and_a_file_a_key(tmp_path: Path) -> None:
    write(
        tmp_path / "slack-webhook",
        {"webhook_url": "https://hooks.slack.com/x\n", "annotations": "alert-history.io/priority=7"},
    )
    async with watching(discovery(tmp_path)) as watcher:
        await watcher.until(lambda targets: "slack-webhook" in targets)
    spec = watcher.targets["slack-webhook"]
    assert (spec.format, spec.fields, spec.priority) == ("slack", {"webhook_url": "https://hooks.slack.com/x"}, 7)
    assert spec.fault is None


async def test_added_changed_and_removed_targets_take_effect_soon(tmp_path: Path) -> None:
    async with watching(discovery(tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        folder = write(tmp_path / "slack", {"webhook_url": "https://one"})
        await watcher.until(
            lambda targets: "slack" in targets and targets["slack"].fields == {"webhook_url": "https://one"}
        )
        write(folder, {"webhook_url": "https://two"})
        await watcher.until(lambda targets: targets["slack"].fields == {"webhook_url": "https://two"})
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        await watcher.until(lambda targets: targets == {})


async def test_a_mounted_secret_that_is_swapped_takes_effect_soon(tmp_path: Path) -> None:
    folder = tmp_path / "slack"
    folder.mkdir()
    mount(folder, {"webhook_url": "https://one"})
    async with watching(discovery(tmp_path)) as watcher:
        await watcher.until(lambda targets: "slack" in targets)
        mount(folder, {"webhook_url": "https://two"})
        await watcher.until(lambda targets: targets["slack"].fields == {"webhook_url": "https://two"})


def test_a_swap_in_the_middle_of_a_read_is_not_seen_in_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "slack"
    folder.mkdir()
    mount(folder, {"key1": "old", "key2": "old", "key3": "old"})
    read_file = directory.read_file
    swaps = iter([lambda: mount(folder, {"key1": "new", "key2": "new", "key3": "new"})])

    def read_and_swap(path: Path, max_bytes: int) -> bytes:
        content = read_file(path, max_bytes)
        if path.name == "key2":
            next(swaps, lambda: None)()
        return content

    monkeypatch.setattr(directory, "read_file", read_and_swap)
    (spec,) = directory.look_into(tmp_path, None).targets
    assert (spec.fields, spec.fault) == ({"key1": "new", "key2": "new", "key3": "new"}, None)


async def test_a_folder_that_did_not_change_is_not_told_again(tmp_path: Path) -> None:
    write(tmp_path / "slack", {"webhook_url": "https://one"})
    looked = discovery(tmp_path)
    async with watching(looked) as watcher:
        await watcher.until(lambda targets: "slack" in targets)
        for _ in range(3):
            await looked.refresh()
    assert len(watcher.finds) == 1


async def test_refresh_looks_at_once(tmp_path: Path) -> None:
    looked = DirectoryDiscovery(tmp_path, clock=now, poll_seconds=3600)
    async with watching(looked) as watcher:
        await watcher.until(lambda targets: targets == {})
        write(tmp_path / "slack", {})
        await looked.refresh()
    assert "slack" in watcher.targets


async def test_a_missing_folder_is_a_fault_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "targets"
    async with watching(discovery(folder)) as watcher:
        await watcher.until_state(lambda state: state.fault is not None)
        state = watcher.discovery.state()
        assert (state.is_available, state.fault) == (False, "TARGETS_DIR can't be read: No such file or directory")
        write(folder / "slack", {})
        await watcher.until(lambda targets: "slack" in targets)
        assert (watcher.discovery.state().is_available, watcher.discovery.state().fault) == (True, None)


async def test_what_was_known_stays_while_the_folder_is_away(tmp_path: Path) -> None:
    folder = tmp_path / "targets"
    write(folder / "slack", {})
    async with watching(discovery(folder)) as watcher:
        await watcher.until(lambda targets: "slack" in targets)
        folder.rename(tmp_path / "elsewhere")
        await watcher.until_state(lambda state: state.fault is not None)
        assert "slack" in watcher.targets


async def test_a_folder_without_the_label_is_no_target(tmp_path: Path) -> None:
    write(tmp_path / "other", {"labels": "app=shop\n"})
    assert await faults(tmp_path) == {}


@pytest.mark.parametrize(
    "files, fault",
    [
        ({"webhook_url": b"\x89PNG\r\n\xff"}, "key webhook_url is not UTF-8 text"),
        ({"webhook_url": b"x" * 70_000}, "key webhook_url has more than 65536 bytes"),
        ({"labels": b"\xff"}, "file labels is not UTF-8 text"),
        ({"labels": "alert-history.io/target"}, "file labels: line 1 is not key=value"),
        ({"labels": b"a" * 1_100_000}, "file labels: it has more than 1048576 bytes"),
        ({"annotations": 'alert-history.io/match="'}, "file annotations: line 1 has quotes"),
        ({"annotations": "alert-history.io/enabled=maybe"}, "annotation alert-history.io/enabled must be"),
    ],
)
async def test_a_broken_target_is_listed_beside_the_others(
    tmp_path: Path, files: dict[str, str | bytes], fault: str
) -> None:
    write(tmp_path / "broken", files)
    write(tmp_path / "well", {"webhook_url": "https://one"})
    by_name = await faults(tmp_path)
    assert (by_name["broken"] or "").startswith(fault)
    assert by_name["well"] is None


async def test_a_key_that_is_no_ordinary_file_is_a_fault(tmp_path: Path) -> None:
    folder = write(tmp_path / "broken", {})
    os.mkfifo(folder / "token")
    (folder / "url").symlink_to("nowhere")
    (folder / "key").mkdir()
    reason = (await faults(tmp_path))["broken"] or ""
    assert [part.partition(":")[0] for part in reason.split("; ")] == [
        f"key {key} can't be read" for key in ("key", "token", "url")
    ]


async def test_a_folder_without_labels_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "forgotten").mkdir()
    assert await faults(tmp_path) == {"forgotten": "file labels is missing"}


async def test_a_folder_with_too_many_files_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path / "many", {f"key{number}": "x" for number in range(300)})
    assert await faults(tmp_path) == {"many": "it has more than 256 files"}


async def test_a_name_that_is_no_text_is_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    assert await faults(tmp_path) == {"?": "file labels is missing"}

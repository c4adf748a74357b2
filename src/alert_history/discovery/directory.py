"""Targets from mounted files: one folder a target, a file a key, and the files `labels` and `annotations`.

Kubernetes swaps a mounted Secret at once, by a symbolic link; a change is noticed by what `stat` says of the files.
"""

import asyncio
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from alert_history.discovery.downward import read_pairs
from alert_history.discovery.specs import MAX_VALUE_BYTES, read_spec, with_faults
from alert_history.domain.target import TargetSpec
from alert_history.ports import Clock, DiscoveryState, TargetsFound

POLL_SECONDS = 0.5

_MAX_TARGETS = 10_000
_MAX_KEYS = 256
_MAX_NOTES_BYTES = 1024 * 1024  # annotations may be 256 KiB, and quoting makes them longer
_READS = 5
_NOTES = ("labels", "annotations")

_log = structlog.get_logger()

Fingerprint = tuple[object, ...]


class Look(NamedTuple):
    """The targets of a folder, and a value that differs once anything in the folder has changed."""

    fingerprint: Fingerprint
    targets: tuple[TargetSpec, ...]


class DirectoryDiscovery:
    """See `ports.Discovery`. A folder that goes away leaves its targets, and a fault."""

    def __init__(self, folder: Path, *, clock: Clock, poll_seconds: float = POLL_SECONDS) -> None:
        self._folder = folder
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._listener: TargetsFound | None = None
        self._look: Look | None = None
        self._is_reported = False
        self._lock = asyncio.Lock()
        self._state = DiscoveryState("directory", is_available=False, refreshed_at=None)

    async def watch(self, listener: TargetsFound) -> None:
        """See `ports.Discovery`. `listener` is first called when the folder could be read for the first time."""
        self._listener = listener
        self._is_reported = False
        while True:
            await self.refresh()
            await asyncio.sleep(self._poll_seconds)

    async def refresh(self) -> None:
        """See `ports.Discovery`."""
        async with self._lock:
            known = self._look
            try:
                look = await asyncio.to_thread(look_into, self._folder, known)
            except OSError as error:
                self._fail(f"TARGETS_DIR can't be read: {error.strerror}")
                return
            self._state = DiscoveryState("directory", is_available=True, refreshed_at=self._clock())
            self._look = look
            self._report(look, is_new=known is None or look.targets != known.targets)

    def state(self) -> DiscoveryState:
        """See `ports.Discovery`."""
        return self._state

    def _report(self, look: Look, *, is_new: bool) -> None:
        if self._listener is None or (self._is_reported and not is_new):
            return
        self._is_reported = True
        self._listener(look.targets)

    def _fail(self, fault: str) -> None:
        if self._state.fault != fault:
            _log.warning("discovery_failed", kind="directory", reason=fault)
        self._state = DiscoveryState(
            "directory", is_available=False, refreshed_at=self._state.refreshed_at, fault=fault
        )


def look_into(folder: Path, known: Look | None) -> Look:
    """All targets of a folder, in order of their names; `known` itself while nothing has changed since.

    A folder that changes while it is read is read again, so that no half of a swap is seen.

    Raises: OSError if the folder can't be read; what is wrong inside a target's folder is that target's fault.
    """
    before = _fingerprint(folder)
    for _ in range(_READS):
        if known is not None and known.fingerprint == before:
            return known
        look = Look(before, tuple(_targets(folder)))
        before = _fingerprint(folder)
        if look.fingerprint == before:
            return look
    if known is None:
        raise OSError(errno.EAGAIN, "it changes all the time")
    return known


def _targets(folder: Path) -> Sequence[TargetSpec]:
    return [spec for path in _target_folders(folder) if (spec := _read_target(path)) is not None]


def _target_folders(folder: Path) -> list[Path]:
    """The folders of targets. Names that begin with a dot are left out: Kubernetes and editors use them."""
    with os.scandir(folder) as entries:
        paths = [Path(entry.path) for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
    return sorted(paths)[:_MAX_TARGETS]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return True  # unknown; reading the folder will say what is wrong


def _fingerprint(folder: Path) -> Fingerprint:
    return tuple((path.name, _fingerprint_of_target(path)) for path in _target_folders(folder))


def _fingerprint_of_target(folder: Path) -> Fingerprint:
    try:
        return tuple((path.name, _mark(path)) for path in _key_files(folder))
    except OSError as error:
        return (error.errno,)


def _mark(path: Path) -> Fingerprint:
    try:
        status = path.stat()
    except OSError as error:
        return (error.errno,)
    return (status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)


def _key_files(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if not entry.name.startswith("."))


def _read_target(folder: Path) -> TargetSpec | None:
    name = folder.name.encode(errors="replace").decode()  # a name may be bytes that are no UTF-8
    try:
        files = _key_files(folder)
    except OSError as error:
        return _broken(name, [f"its folder can't be read: {error.strerror}"])
    if len(files) > _MAX_KEYS:
        return _broken(name, [f"it has more than {_MAX_KEYS} files"])
    contents, faults = _contents(files)
    pairs, faults_of_pairs = _pairs(contents)
    faults += faults_of_pairs
    if "labels" not in pairs:
        return _broken(name, faults or ["file labels is missing"])
    fields = {key: value for key, value in contents.items() if key not in _NOTES}
    spec = read_spec(name, labels=pairs["labels"], annotations=pairs.get("annotations", {}), fields=fields)
    return spec if spec is None else with_faults(spec, faults)


def _broken(name: str, faults: list[str]) -> TargetSpec:
    return with_faults(TargetSpec(name=name, format="", fields={}), faults)


def _contents(files: Sequence[Path]) -> tuple[dict[str, bytes], list[str]]:
    """What the files hold, by name, and the faults of those that can't be read."""
    contents: dict[str, bytes] = {}
    faults: list[str] = []
    for path in files:
        key = path.name.encode(errors="replace").decode()
        try:
            contents[key] = read_file(path, _MAX_NOTES_BYTES if key in _NOTES else MAX_VALUE_BYTES)
        except OSError as error:
            faults.append(f"{_called(key)} can't be read: {error.strerror}")
    return contents, faults


def _called(key: str) -> str:
    return f"file {key}" if key in _NOTES else f"key {key}"


def read_file(path: Path, max_bytes: int) -> bytes:
    """The file's bytes, at most one more than allowed. Raises: OSError, also for a pipe or device: it could block."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(number, "rb") as file:  # noqa: PTH123  # of a descriptor
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(0, "it is no ordinary file")
        return file.read(max_bytes + 1)


def _pairs(contents: dict[str, bytes]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Labels and annotations that are there, and the faults of those that can't be read."""
    pairs: dict[str, dict[str, str]] = {}
    faults: list[str] = []
    for name in _NOTES:
        if name not in contents:
            continue
        try:
            pairs[name] = _read_pairs(contents[name])
        except UnicodeDecodeError:
            faults.append(f"file {name} is not UTF-8 text")
        except ValueError as error:
            faults.append(f"file {name}: {error}")
    return pairs, faults


def _read_pairs(content: bytes) -> dict[str, str]:
    if len(content) > _MAX_NOTES_BYTES:
        raise ValueError(f"it has more than {_MAX_NOTES_BYTES} bytes")
    return read_pairs(content.decode())

"""Where an archive keeps its files: a folder, or a bucket that speaks S3.

In a folder a file gets its name when the whole file is on the disk. S3 shows an object when the whole object is there.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from alert_history.domain.archive_tables import WRITING
from alert_history.errors import ArchiveFault, ConfigurationError
from alert_history.ports import Shelf
from alert_history.storage.shared.parquet import require_pyarrow

_CONNECT_TIMEOUT_SECONDS = 5
_REQUEST_TIMEOUT_SECONDS = 60
_S3_URL = re.compile(r"s3://[\w.-]+(?:[/?]|$)", re.ASCII)
_OPTIONS = ("endpoint_override", "region", "scheme")
_ADVICE = {
    "NO_SUCH_BUCKET": "there is no such bucket; create it first",
    "ACCESS_DENIED": "no permission; see the credentials (AWS_ACCESS_KEY_ID …) and the bucket's policy",
    "INVALID_ACCESS_KEY_ID": "the access key is not known there; see AWS_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong; see AWS_SECRET_ACCESS_KEY",
    "NETWORK_CONNECTION": "it can't be reached; see AWS_ENDPOINT_URL and the network",
}


def open_shelf(place: str, environ: Mapping[str, str]) -> Shelf:
    """The shelf that a path or `s3://bucket/prefix[?endpoint_override=…&region=…&scheme=…]` names.

    Raises: ConfigurationError on another scheme, or on an unknown option.
    """
    scheme, separator, _ = place.partition("://")
    if not separator:
        return FolderShelf(Path(place))
    if scheme == "file":
        return FolderShelf(Path(urlsplit(place).path))
    if scheme == "s3":
        return S3Shelf(place, environ)
    raise ConfigurationError([f"{scheme}:// is neither a path nor s3://bucket/prefix"])


class FolderShelf:
    """See `ports.Shelf`. The first write makes the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self._root / name

    async def write(self, name: str, data: bytes) -> None:
        await asyncio.to_thread(self._write, self._root / name, data)

    async def read(self, name: str) -> bytes:
        with _file_faults(self._root / name):
            return await asyncio.to_thread((self._root / name).read_bytes)

    async def move(self, name: str, to: str) -> None:
        await asyncio.to_thread(self._move, self._root / name, self._root / to)

    async def remove(self, name: str) -> None:
        await asyncio.to_thread(self._remove, self._root / name)

    async def names(self, folder: str) -> list[str]:
        return await asyncio.to_thread(self._names, self._root / folder)

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_name(path.name + WRITING)
        with _file_faults(path):
            self._make_folder(path.parent)
            try:
                with partial.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            _keep_folder(path.parent)

    def _move(self, path: Path, to: Path) -> None:
        with _file_faults(to):
            self._make_folder(to.parent)
            path.replace(to)
            _keep_folder(to.parent)
            _keep_folder(path.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and its parents, with the names of all new folders on the disk."""
        new = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in new:
            _keep_folder(each.parent)

    def _remove(self, path: Path) -> None:
        with _file_faults(path):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _names(self, folder: Path) -> list[str]:
        with _file_faults(folder):
            return sorted(str(path.relative_to(self._root)) for path in folder.rglob("*") if path.is_file())


class S3Shelf:
    """See `ports.Shelf`. Credentials come from the places where the AWS tools look."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        require_pyarrow()
        from pyarrow import fs

        if not _S3_URL.match(url):  # a key in it would be shown with each file
            raise ConfigurationError(["give s3://bucket/prefix; for keys see AWS_ACCESS_KEY_ID"])
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if options.keys() - set(_OPTIONS):
            raise ConfigurationError([f"give s3://bucket/prefix, with {', '.join(_OPTIONS)} after ? at most"])
        self._root = "/".join(part for part in (parts.netloc, parts.path.strip("/")) if part)
        self._url = f"s3://{self._root}"
        endpoint = (
            options.get("endpoint_override") or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
        )
        region = options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        scheme, _, host = endpoint.rpartition("://") if endpoint else ("", "", None)
        self._files = fs.S3FileSystem(
            endpoint_override=host,
            scheme=options.get("scheme") or scheme or "https",
            region=region or ("us-east-1" if endpoint else None),
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            request_timeout=_REQUEST_TIMEOUT_SECONDS,
            background_writes=False,
        )

    async def write(self, name: str, data: bytes) -> None:
        def work(path: str) -> None:
            with self._files.open_output_stream(path) as file:
                file.write(data)

        await self._do(work, name)

    async def read(self, name: str) -> bytes:
        def work(path: str) -> bytes:
            with self._files.open_input_file(path) as file:
                content: bytes = file.read()
                return content

        content: bytes = await self._do(work, name)
        return content

    async def move(self, name: str, to: str) -> None:
        await self._do(lambda path: self._files.move(path, f"{self._root}/{to}"), name)

    async def remove(self, name: str) -> None:
        from pyarrow import fs

        def work(path: str) -> None:
            kind = self._files.get_file_info(path).type
            if kind is fs.FileType.Directory:
                self._files.delete_dir(path)
            elif kind is fs.FileType.File:
                self._files.delete_file(path)

        await self._do(work, name)

    async def names(self, folder: str) -> list[str]:
        from pyarrow import fs

        def work(path: str) -> list[str]:
            infos = self._files.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
            paths = (info.path for info in infos if info.type is fs.FileType.File)
            return sorted(path.removeprefix(f"{self._root}/") for path in paths)

        names: list[str] = await self._do(work, folder)
        return names

    async def _do(self, work: Callable[[str], Any], name: str) -> Any:
        try:
            return await asyncio.to_thread(work, f"{self._root}/{name}")
        except OSError as error:
            raise ArchiveFault(f"{self._url}/{name}: {_reason_of(error)}") from error


def _reason_of(error: OSError) -> str:
    """What to do about a known error, else the words of S3."""
    text = str(error)
    return next((advice for code, advice in _ADVICE.items() if f"AWS Error {code} " in text), text)


@contextmanager
def _file_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveFault(f"{path}: {error.strerror or error}") from error


def _keep_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Forms are read as they arrive: however they are cut into chunks, the parts are the same; what is no form is refused.

Holds: `web.http.multipart`, `web.http.upload`.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.errors import MalformedPayload, UnsupportedMedia
from alert_history.web.http.multipart import PartBegin, boundary_of, read_parts
from tests.commands import environment

_HEAD = b'--cut\r\nContent-Disposition: form-data; name="'
_FILE = bytes(range(256)) + b"\r\n--cux\r\n-" * 50


def _form(*parts: tuple[str, str | None, bytes]) -> bytes:
    body = b"a preamble\r\n"
    for name, filename, content in parts:
        file = b"" if filename is None else f'; filename="{filename}"\r\nContent-Type: text/plain'.encode()
        body += _HEAD + name.encode() + b'"' + file + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--cut--\r\nan epilogue"


async def _chunks(body: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for begin, end in pairwise(edges):
        yield body[begin:end]


async def _read(body: bytes, cuts: Sequence[int] = ()) -> list[tuple[str, str | None, bytes]]:
    parts: list[tuple[str, str | None, bytes]] = []
    async for piece in read_parts(_chunks(body, cuts), boundary=b"cut"):
        if isinstance(piece, PartBegin):
            parts.append((*piece, b""))
        else:
            parts[-1] = (*parts[-1][:2], parts[-1][2] + piece)
    return parts


@given(
    st.lists(st.integers(0, 10_000), max_size=40),
    st.lists(st.binary(max_size=40).filter(lambda content: b"--cut" not in content), max_size=4),
)
def test_the_parts_are_the_same_however_they_arrive(cuts: list[int], contents: list[bytes]) -> None:
    parts: list[tuple[str, str | None, bytes]] = [("text", None, content) for content in contents]
    parts += [("file", "a b.jsonl", _FILE), ("none", "", b"")]
    assert asyncio.run(_read(_form(*parts), cuts)) == parts


def test_names_are_as_they_were_meant() -> None:
    (quoted,) = asyncio.run(_read(_form(("a%22b", 'x\\"y', b"1"))))
    assert quoted == ('a"b', 'x"y', b"1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        _form(("a", None, b"1"))[:-20],
        b"--cut\r\nContent-Type: text/plain\r\n\r\nx\r\n--cut--",
        b'--cut\r\nContent-Disposition: form-data; filename="x"\r\n\r\nx\r\n--cut--',
        _HEAD + b"x" * 9000 + b'"\r\n\r\n1\r\n--cut--',
        b"--cut oops\r\n",
        _form(*[("a", None, b"1")] * 201),
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        asyncio.run(_read(body))


@pytest.mark.parametrize(
    "content_type, boundary",
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=abc", None),
        (f"multipart/form-data; boundary={'x' * 71}", None),
    ],
)
def test_the_boundary_stands_in_the_content_type(content_type: str, boundary: bytes | None) -> None:
    if boundary is None:
        with pytest.raises(UnsupportedMedia):
            boundary_of(content_type)
    else:
        assert boundary_of(content_type) == boundary


_FULL = """
import asyncio, resource, tempfile
from alert_history.errors import NoRoom
from alert_history.web.http.problem import problem_of
from alert_history.web.http.upload import UploadFolder

async def send():
    folder = UploadFolder(max_bytes=10_000_000)
    path = await folder.begin("a.jsonl")
    try:
        for _ in range(4):
            await folder.add(b"x" * 1_000_000)
    except NoRoom as error:
        print(problem_of(error).status, error)
    folder.remove()
    print(path.parent.exists())

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
asyncio.run(send())
"""


def test_a_disk_without_room_is_told_as_that() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == [
        "507 the disk of the service has no room for the file; TMPDIR names where files lie",
        "False",
    ], done.stderr

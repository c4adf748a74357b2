"""Saved payloads in files, as `send` and `classify` read them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Payload(NamedTuple):
    """One body, and its name for messages."""

    name: str
    body: bytes


def read_payloads(file: str) -> Iterator[Payload]:
    """The payload of a file, or one a line of a `.jsonl` file; `-` is standard input. Raises OSError."""
    if file == "-":
        yield Payload("standard input", sys.stdin.buffer.read())
    elif file.endswith(".jsonl"):
        with Path(file).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield Payload(f"{file}:{number}", line.strip())
    else:
        yield Payload(file, Path(file).read_bytes())

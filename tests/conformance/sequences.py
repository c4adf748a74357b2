"""The captured sequences of tests/data/sequences, and what was true of each; their README says how they were made."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from alert_history.domain.alert import fingerprint
from alert_history.domain.receipt import Receipt
from alert_history.engine.intake import WAYS_IN
from alert_history.ids import new_id

FOLDER = Path(__file__).parents[1] / "data" / "sequences"
NAMES = sorted((path.stem for path in FOLDER.glob("*.jsonl")), key=lambda name: int(name.partition("-")[0]))


class Line(msgspec.Struct, frozen=True):
    """One request: its body is the bytes as received, `at` seconds after the start."""

    at: float
    path: str
    client: str
    body: msgspec.Raw


class Truth(msgspec.Struct, frozen=True):
    """One firing as it really was, in seconds after the start; `ended` is None where it fires on."""

    labels: dict[str, str]
    fired: float
    ended: float | None
    note: str

    @property
    def fingerprint(self) -> str:
        """Of its labels."""
        return fingerprint(self.labels)

    @property
    def host(self) -> str:
        """The short name of its host: db-1 for one."""
        return self.labels["instance"].partition(".")[0]


class _End(msgspec.Struct, frozen=True):
    truth: list[Truth]
    start: datetime


class Sequence(msgspec.Struct, frozen=True):
    """Requests in time, and what was true."""

    lines: list[Line]
    truth: list[Truth]
    start: datetime

    @property
    def end(self) -> datetime:
        """When the last request came."""
        return self.time(self.lines[-1].at)

    def time(self, at: float) -> datetime:
        """The wall clock so many seconds after the start."""
        return self.start + timedelta(seconds=at)

    def receipts(self, *, copies: int = 1) -> Iterator[Receipt]:
        """Each request as it is accepted, so many times."""
        for line in self.lines:
            for _ in range(copies):
                yield _receipt(line, self.time(line.at))


def read(name: str) -> Sequence:
    """The sequence of that name."""
    *lines, end = (FOLDER / f"{name}.jsonl").read_bytes().splitlines()
    last = msgspec.json.decode(end, type=_End)
    return Sequence([msgspec.json.decode(line, type=Line) for line in lines], last.truth, last.start)


def _receipt(line: Line, received_at: datetime) -> Receipt:
    way_in = WAYS_IN[line.path]
    body = bytes(line.body)
    group = way_in.decode(body, received_at=received_at, max_alerts=1_000)
    digest = sha256(body).digest()
    return Receipt(
        new_id(received_at), received_at, line.path, way_in.publishes, group, body, digest, client=line.client
    )

"""Load as a process beside the service: wrk for as fast as it answers, `paced` for a fixed rate."""

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import httpx
import msgspec
from tests.processes import find_program

from bench.notifications import FOLDER, Notifications

ALERTS_A_REQUEST = 10
CONNECTIONS = 64
_seeds = count(1)


class FullLoad(msgspec.Struct, frozen=True):
    """What wrk says of its run."""

    seconds: float
    requests: int
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def alerts(self) -> int:
        """Alerts in requests that were answered 200."""
        return (self.requests - self.refused) * ALERTS_A_REQUEST

    @property
    def alerts_per_second(self) -> float:
        return self.alerts / self.seconds


class PacedLoad(NamedTuple):
    """When each request was due (unix seconds) and how long after that its answer came (ms)."""

    failed: int
    answered: Sequence[tuple[float, float]]

    def percentile(self, share: float, *, since: float = 0, until: float = float("inf")) -> float:
        """Of the requests that were due in that span."""
        return percentile([ms for due, ms in self.answered if since <= due < until], share)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them doesn't exceed; NaN if there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def full_load(url: str, *, seconds: float, kind: str = "distinct", known: int = 0, path: str = "/webhook") -> FullLoad:
    """All connections busy all the time, on one thread of wrk."""
    wrk = find_program("wrk", package="wrk")
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{round(seconds)}s", "--timeout", "10s", "-s", f"{FOLDER}/load.lua"]
    words = [str(FOLDER), kind, str(ALERTS_A_REQUEST), str(known), str(next(_seeds))]
    done = subprocess.run(
        [*command, f"{url}{path}", "--", *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=FullLoad)


def post_one(url: str) -> None:
    """One notification. Raises: AssertionError unless it is accepted."""
    body = Notifications("/webhook", alerts=ALERTS_A_REQUEST, seed=next(_seeds)).body()
    answer = httpx.post(f"{url}/webhook", content=body, headers={"Content-Type": "application/json"}, trust_env=False)
    assert answer.status_code == httpx.codes.OK, answer.text


class PacedRun:
    """A paced load under way."""

    def __init__(
        self,
        url: str,
        *,
        alerts_per_second: float,
        seconds: float,
        path: str = "/webhook",
        alerts: int = ALERTS_A_REQUEST,
    ) -> None:
        rate = alerts_per_second / alerts
        command = [sys.executable, "-m", "bench.paced", f"{url}{path}", "--seed", str(next(_seeds))]
        words = ["--rate", f"{rate}", "--seconds", f"{seconds}", "--connections", str(CONNECTIONS)]
        words += ["--alerts", str(alerts)]
        self._seconds = seconds
        self._process = subprocess.Popen([*command, *words], stdout=subprocess.PIPE, cwd=FOLDER.parent)

    def finish(self, *, is_early: bool = False) -> PacedLoad:
        """Waits for its end, or lets it send no more from now on; what came of it."""
        if is_early:
            self._process.terminate()
        try:
            output, _ = self._process.communicate(timeout=self._seconds + 60)
        finally:
            self.stop()
        assert self._process.returncode == 0, f"paced.py ended with {self._process.returncode}"
        result = json.loads(output)
        return PacedLoad(result["failed"], [(due, ms) for due, ms in result["answered"]])

    def stop(self) -> None:
        """Ends it now."""
        self._process.kill()
        self._process.wait()


def paced_load(url: str, *, alerts_per_second: float, seconds: float) -> PacedLoad:
    """One from start to end."""
    return PacedRun(url, alerts_per_second=alerts_per_second, seconds=seconds).finish()

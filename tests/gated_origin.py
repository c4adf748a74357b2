"""An origin of imports that waits in the middle until a test lets it go on, as a package installed beside us."""

from pathlib import Path

from tests.commands import SOURCE_FOLDER

NAME = "gated"

_CODE = """
import asyncio
from datetime import timedelta
from pathlib import Path

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.errors import OriginUnavailable
from alert_history.ports.past_origins import Option, PastBatch, PastOrigin

GATE = Path(__file__).parent / "gate"


def firing(number, now):
    starts_at = now - timedelta(hours=30, minutes=number)
    labels = {"alertname": "Past", "severity": "critical", "number": str(number % 40)}
    return PastFiring(labels, starts_at, starts_at + timedelta(seconds=20), annotations={"summary": "full"})


async def read(request):
    firings = [firing(number, request.now.replace(minute=0, second=0, microsecond=0)) for number in range(400)]
    refused = [RefusedRow("row 7", "it has no start", b"{}")]
    if request.text("mood") == "bad":
        raise OriginUnavailable("http://old: it answers 500: broken")
    yield PastBatch(firings[:200], refused, done=0.5)
    while not GATE.exists():
        await asyncio.sleep(0.02)
    yield PastBatch(firings[200:], done=1.0)


ORIGIN = PastOrigin(
    "gated",
    "Gated system",
    "It waits until a test lets it go on.",
    (
        Option("url", "Where it is.", kind="url"),
        Option("mood", "How it is today.", choices=("good", "bad")),
        Option("key", "What opens it.", kind="secret"),
        Option("header", "A header.", kind="pairs"),
        Option("rules", "A file of the machine.", kind="path"),
    ),
    read,
)
"""


class Gate:
    """The installed origin. While its gate is closed, an import of it stays in the middle of reading."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "gated_origin.py").write_text(_CODE)
        metadata = folder / "gated_origin-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: gated-origin\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[alert_history.imports]\n{NAME} = gated_origin:ORIGIN\n")

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs to find it."""
        return {"PYTHONPATH": f"{SOURCE_FOLDER}:{self._folder}"}

    def open(self) -> None:
        """Let imports through."""
        (self._folder / "gate").touch()

    def close(self) -> None:
        """Stop imports in the middle."""
        (self._folder / "gate").unlink(missing_ok=True)

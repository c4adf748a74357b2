"""Alertmanager notifications as load: every alert new, cheap to make. Must build what load.lua builds."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random

from alert_history.engine.intake import ALERTMANAGER_PATH

FOLDER = Path(__file__).parent
ALERT_NAMES = (FOLDER / "alertnames.txt").read_text().split()
_ALERT = (FOLDER / "alert.template").read_text().rstrip("\n")
_NOTIFICATION = (FOLDER / "notification.template").read_text().rstrip("\n")
_HEAD = "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Notifications:
    """A stream of requests with `alerts` alerts each, as bytes for the wire.

    What goes to `ALERTMANAGER_PATH` is the bare list of alerts, as Prometheus sends it.
    """

    def __init__(self, path: str, *, alerts: int, seed: int) -> None:
        self._path = path
        self._alerts = alerts
        self._random = Random(seed)
        self._numbers = count()

    def render(self, started: float | None = None) -> bytes:
        """One more request. `started` (unix seconds) is when its alerts began, if that is to be known."""
        body = self.body(started)
        return (_HEAD % (self._path, len(body)) + body).encode()

    def body(self, started: float | None = None) -> str:
        """One more notification; see `render`."""
        number = self._random.getrandbits(31)
        name = ALERT_NAMES[number % len(ALERT_NAMES)]
        namespace, team = f"shop-{number % 40}", f"team-{number % 12}"
        severity = "warning" if number % 3 else "critical"
        begin = datetime.now(UTC) - timedelta(seconds=number % 30)
        if started is not None:
            begin = datetime.fromtimestamp(started, UTC)
        starts_at = begin.isoformat(timespec="milliseconds").partition("+")[0]
        alerts = []
        for place in range(self._alerts):
            fingerprint = self._random.getrandbits(64)
            pod = f"checkout-{fingerprint >> 32:08x}-{place:05x}"
            instance = f"{fingerprint % 256}.{fingerprint // 256 % 256}"
            fields = (name, instance, namespace, pod, severity, team, pod, name, name, pod, starts_at)
            alerts.append(_ALERT % (*fields, f"{fingerprint:016x}"))
        if self._path == ALERTMANAGER_PATH:
            return f"[{','.join(alerts)}]"
        group = (name, namespace, name, namespace, severity, team, name, name, namespace)
        return _NOTIFICATION % (",".join(alerts), *group)

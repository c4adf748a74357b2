"""The labelled alerts of tests/data/evaluation, and which of them are held out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from zlib import crc32

import msgspec

from alert_history.domain.alert import fingerprint
from alert_history.domain.classification import Case, Past, Severity, shape_of

ALERTS = Path(__file__).parents[1] / "data" / "evaluation" / "alerts.yml"
BEGAN = datetime(2026, 3, 4, 2, 10, tzinfo=UTC)
_ONE_IN = 3


class Labelled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An alert with what an expert said of it. `category` holds all that would be right."""

    name: str
    rules: str
    labels: dict[str, str]
    severity: Severity
    category: str | list[str]
    why: str
    annotations: dict[str, str] = {}
    past: Past = Past()
    hard: str = ""

    @property
    def categories(self) -> list[str]:
        return [self.category] if isinstance(self.category, str) else self.category

    @property
    def case(self) -> Case:
        return Case(
            shape_of(self.labels),
            fingerprint(self.labels),
            self.labels,
            self.annotations,
            BEGAN,
            past=self.past,
        )


def labelled_alerts() -> list[Labelled]:
    """All of them, in the order of the file."""
    return msgspec.yaml.decode(ALERTS.read_bytes(), type=list[Labelled])


def split(alerts: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Those to work with, and those held out: a third of each severity, chosen by checksum and so by nobody."""
    held_out: set[str] = set()
    ordered = sorted(alerts, key=lambda alert: (alert.severity, crc32(alert.name.encode())))
    for _, of_severity in groupby(ordered, key=lambda alert: alert.severity):
        held_out.update(alert.name for alert in list(of_severity)[::_ONE_IN])
    shown = [alert for alert in alerts if alert.name not in held_out]
    return shown, [alert for alert in alerts if alert.name in held_out]

"""The labelled alerts of tests/data/evaluation, those to work with and those held out."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from alert_history.domain.alert import fingerprint
from alert_history.domain.classification import Case, Past, shape_of
from alert_history.domain.severity import Severity

DATA = Path(__file__).parents[1] / "data" / "evaluation"
BEGAN = datetime(2026, 3, 4, 2, 10, tzinfo=UTC)


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


def known_alerts() -> list[Labelled]:
    """Those to work with: whoever writes rules or prompts may look at them."""
    return [*_read("alerts.yml"), *_read("drawn.yml")]


def held_out_alerts() -> list[Labelled]:
    """Those that nobody looks at meanwhile: drawn by chance, and labelled before anything was asked about them."""
    return _read("held-out.yml")


def _read(name: str) -> list[Labelled]:
    return msgspec.yaml.decode((DATA / name).read_bytes(), type=list[Labelled])

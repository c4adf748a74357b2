"""How well an enricher does on labelled alerts. Pure: what it said comes in, figures go out."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from alert_history.domain.classification import Classification, Verdict
from alert_history.domain.severity import Severity
from tests.evaluation.labelled import Labelled

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info", "noise")
BANDS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 1.01))


class Answer(NamedTuple):
    """An alert and what was said of it; None where nothing was."""

    alert: Labelled
    classification: Classification | None

    @property
    def is_right(self) -> bool:
        return self.classification is not None and self.classification.severity == self.alert.severity

    @property
    def is_of_the_category(self) -> bool:
        return self.classification is not None and self.classification.category.lower() in self.alert.categories

    @property
    def is_dangerous(self) -> bool:
        """Somebody should have been woken, and would not have been: the one miss that costs more than sleep."""
        return (
            self.classification is not None
            and self.alert.severity == "critical"
            and self.classification.severity in {"info", "noise"}
        )


class Band(NamedTuple):
    """Answers of about the same confidence: how sure it was, and how often it was right."""

    answers: int
    confidence: float
    right: float


def answers(alerts: Sequence[Labelled], verdicts: Sequence[Verdict | None]) -> list[Answer]:
    """Alerts with what was said of them, in order."""
    return [
        Answer(alert, None if verdict is None else verdict.classification)
        for alert, verdict in zip(alerts, verdicts, strict=True)
    ]


def accuracy(of: Sequence[Answer]) -> float:
    """The share whose severity is right. No answer is a wrong one."""
    return _share([answer.is_right for answer in of])


def category_accuracy(of: Sequence[Answer]) -> float:
    """The share whose category is one that an expert would give."""
    return _share([answer.is_of_the_category for answer in of])


def confusion(of: Sequence[Answer]) -> Counter[tuple[str, str]]:
    """How often (what an expert said, what was said); `none` where nothing was."""
    return Counter((a.alert.severity, "none" if a.classification is None else a.classification.severity) for a in of)


def calibration(of: Sequence[Answer]) -> list[Band]:
    """The bands of `BANDS` that hold answers, least sure first."""
    bands = []
    for low, high in BANDS:
        within = [
            (a, a.classification.confidence)
            for a in of
            if a.classification is not None and low <= a.classification.confidence < high
        ]
        if within:
            mean = sum(confidence for _, confidence in within) / len(within)
            bands.append(Band(len(within), mean, accuracy([answer for answer, _ in within])))
    return bands


def calibration_error(of: Sequence[Answer]) -> float:
    """How far confidence and truth lie apart, on average: 0 is honest."""
    bands = calibration(of)
    total = sum(band.answers for band in bands)
    return sum(band.answers * abs(band.confidence - band.right) for band in bands) / total if total else 0.0


def label_as_it_is(alert: Labelled) -> Severity:
    """What somebody would say who believes the label: the answer to beat. No label, or another word, is a warning."""
    word = alert.labels.get("severity", "")
    return next((severity for severity in SEVERITIES if severity == word), "noise" if word == "none" else "warning")


def naive_accuracy(alerts: Sequence[Labelled]) -> float:
    """The share that believing the label gets right."""
    return _share([label_as_it_is(alert) == alert.severity for alert in alerts])


def _share(claims: Sequence[bool]) -> float:
    return sum(claims) / len(claims) if claims else 0.0

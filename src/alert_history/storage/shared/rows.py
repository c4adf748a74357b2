"""Rows of `classifications`, alike on both databases but for how time is kept."""

from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.classification import Verdict
from alert_history.ports import KeptVerdict
from alert_history.storage.shared.json_text import encode_json


def kept_of(row: Any) -> KeptVerdict:
    """What a row says, looked at by column name."""
    verdict = msgspec.json.decode(row["verdict"], type=Verdict)
    return KeptVerdict(row["id"], row["shape"], row["fingerprint"], verdict)


def row_of(kept: KeptVerdict, *, at: datetime | int) -> tuple[Any, ...]:
    """A row; `at` is its time as the database keeps it."""
    told, usage = kept.verdict.classification, kept.verdict.usage
    tokens = usage.prompt_tokens + usage.completion_tokens
    head = (kept.id, kept.shape, kept.fingerprint, at, told.source, told.model, told.severity)
    return (*head, tokens, usage.cost_usd, encode_json(kept.verdict).decode())

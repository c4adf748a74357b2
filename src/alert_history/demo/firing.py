"""What the demo is made of: rules, firings of them, and the messages that tell of firings. Pure values."""

from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Literal, Self
from urllib.parse import quote

import msgspec

from alert_history.domain.alert import fingerprint
from alert_history.domain.receipt import RANDOM_ID_BYTES, time_ordered_id

Severity = Literal["critical", "warning", "info", "none"]


class Rule(msgspec.Struct, frozen=True, dict=True):
    """An alerting rule. `summary` and `description` name labels in braces, `team` is who answers for it."""

    name: str
    severity: Severity
    expression: str
    summary: str
    description: str
    team: str = ""

    @cached_property
    def link(self) -> str:
        """The end of a generator URL."""
        return f"/graph?g0.expr={quote(self.expression)}&g0.tab=1"


class Firing(msgspec.Struct, frozen=True, dict=True):
    """One firing of a rule; `ends_at` is None where it fires on."""

    rule: Rule
    labels: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of its labels."""
        return fingerprint(self.labels)

    @cached_property
    def annotations(self) -> dict[str, str]:
        """What the rule says of an alert with these labels."""
        return {
            "description": self.rule.description.format_map(self.labels),
            "runbook_url": f"https://runbooks.example.com/{self.rule.name}",
            "summary": self.rule.summary.format_map(self.labels),
        }


class Message(msgspec.Struct, frozen=True, gc=False):
    """One request: when it was received, on which path, and its body.

    `id` is the id of its receipt, and the same whenever the same message is made: so a message counts once.
    """

    received_at: datetime
    path: str
    body: bytes
    id: str

    @classmethod
    def of(cls, received_at: datetime, path: str, body: bytes) -> Self:
        """A message with its id."""
        content = f"{received_at.isoformat()}\0{path}\0".encode() + body
        digest = blake2b(content, digest_size=RANDOM_ID_BYTES).digest()
        return cls(received_at, path, body, time_ordered_id(received_at, randomness=digest))

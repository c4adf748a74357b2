"""A speaker: who sent a request, in which scope, and what each alert in it claims.

A scope keeps apart label sets that only look alike. It is part of the fingerprint under which we keep an alert, behind
an `@`; what people see and ask for is the part before it.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from alert_history.domain.claim import Sender, SenderKind, Word
from alert_history.domain.microseconds import to_us

if TYPE_CHECKING:
    from alert_history.domain.alert import Alert, AlertGroup

MAX_SCOPE_CHARACTERS = 64
SCOPE_MARK = "@"
SCOPE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_SCOPE = re.compile(SCOPE_PATTERN, re.ASCII)
_GRAFANA_MARK = ".grafana-"
_RECORDER = "event recorder of "


class Speaker(msgspec.Struct, frozen=True):
    """Who sent a request: a first-hand sender by its `address`, a witness by its `origin`.

    `group_interval_us` is how often its group is looked at, None where that is not known. `is_listing`: the request is
    a group's payload, which names what fires and is not muted.
    """

    kind: SenderKind
    origin: str
    address: str = ""
    scope: str = ""
    is_to_publish: bool = False
    is_listing: bool = False
    group_interval_us: int | None = None

    def word(self, alert: "Alert", *, at_us: int, content: int) -> Word:
        """What it claims with one alert, received at `at_us`."""
        origin, address = self.origin, ""
        if self.kind == "first_hand":
            origin, address = origin_of(alert.generator_url), self.address
        elif alert.reporter:
            origin = _RECORDER + alert.reporter
        is_firing = alert.status == "firing"
        sender = sender_id(self.kind, origin, address)
        return Word(
            sender,
            self.kind,
            is_firing,
            to_us(alert.starts_at),
            at_us,
            content,
            None if alert.ends_at is None else to_us(alert.ends_at),
            self._until_us(alert, at_us) if is_firing else None,
            alert.is_start_given,
            self.is_to_publish,
            self.is_listing,
            self.group_interval_us,
            "" if self.kind == "first_hand" else sender,
        )

    def _until_us(self, alert: "Alert", at_us: int) -> int | None:
        if self.kind == "witness":
            return None
        return at_us if alert.expires_at is None else to_us(alert.expires_at)

    def name(self, alert: "Alert") -> str:
        """Who it is, for people."""
        if self.kind == "first_hand":
            origin = origin_of(alert.generator_url)
            return f"{origin or 'a client'} at {self.address}" if self.address else origin or "a client"
        return _RECORDER + alert.reporter if alert.reporter else self.origin


def speaker_of(
    group: "AlertGroup",
    *,
    client: str = "",
    scope: str = "",
    is_to_publish: bool = False,
    group_interval_us: int | None = None,
) -> Speaker:
    """Who sent this group. A Grafana has a scope of its own, by its URL and organisation."""
    if group.source == "prometheus":
        return Speaker("first_hand", "", client, scope, is_to_publish)
    if group.source == "event_recorder":
        return Speaker("witness", group.external_url, "", scope, is_to_publish)
    if group.source == "grafana":
        scope = grafana_scope(scope, group.external_url, str(group.details.get("orgId", "")))
    return Speaker(
        "witness",
        group.external_url,
        "",
        scope,
        is_to_publish,
        is_listing=True,
        group_interval_us=group_interval_us,
    )


@lru_cache(maxsize=1024)
def grafana_scope(scope: str, external_url: str, org_id: str) -> str:
    """The scope of one organisation of one Grafana, within the one that its URL names."""
    digest = blake2b(f"{external_url}\0{org_id}".encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{scope}.grafana-{digest}" if scope else f"grafana-{digest}"


@lru_cache(maxsize=4096)
def origin_of(generator_url: str) -> str:
    """Where the one who evaluates the rule says it is: its URL up to `/graph`, or without a path; empty if unknown."""
    try:
        parts = urlsplit(generator_url)
    except ValueError:
        return ""
    prefix, graph, _ = parts.path.partition("/graph")
    return f"{parts.scheme}://{parts.netloc}{prefix if graph else ''}" if parts.netloc else ""


@lru_cache(maxsize=4096)
def sender_id(kind: SenderKind, origin: str, address: str) -> str:
    """See `claim.Sender.id`."""
    return Sender(kind, origin, address).id


def witness_id(origin: str) -> str:
    """The id of a witness, by what it calls itself."""
    return sender_id("witness", origin, "")


def recorder_id(instance: str) -> str:
    """The id of the recorder that an Alertmanager's instance is."""
    return witness_id(_RECORDER + instance)


def is_scope(text: str) -> bool:
    """Whether it may name a scope: letters, digits, `.`, `_`, `-`."""
    return _SCOPE.fullmatch(text) is not None


def scoped(fingerprint: str, scope: str) -> str:
    """The fingerprint under which an alert of that scope is kept."""
    return f"{fingerprint}{SCOPE_MARK}{scope}" if scope else fingerprint


def without_grafana(fingerprint: str) -> str | None:
    """Under which a release before ours kept an alert of a Grafana, which it gave no scope; None for other alerts."""
    plain, scope = split_scope(fingerprint)
    outer, mark, _ = f".{scope}".rpartition(_GRAFANA_MARK)
    return scoped(plain, outer.removeprefix(".")) if mark else None


def split_scope(fingerprint: str) -> tuple[str, str]:
    """A kept fingerprint as people know it, and its scope; empty for none."""
    plain, _, scope = fingerprint.partition(SCOPE_MARK)
    return plain, scope

"""Senders that sign what they send: Grafana's contact points, and any other that can make an HMAC.

A right signature says who sends as well as a token does. Grafana has no name of its own for the header with the time:
whoever sets up the contact point writes one, so that the names of its documentation are known here, and ours.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from alert_history.errors import StaleSignature, WrongSignature
from alert_history.web.ingest.signature import is_signed_by_sender

MAX_AGE_SECONDS = 300
"""By how much the time of a signature may differ from ours, in both directions: clocks differ, and messages wait."""

_SIGNATURES = (b"x-grafana-alerting-signature", b"x-alert-history-signature")
_TIMES = (
    b"x-grafana-alerting-signature-timestamp",
    b"x-grafana-alerting-timestamp",
    b"x-alert-history-timestamp",
)
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


class Signature(msgspec.Struct, frozen=True):
    """What a request says of itself. `time` is in seconds since 1970, as it was sent; empty where none was."""

    header: str
    value: str
    time: str = ""


class SignedSenders:
    """Knows the secrets that senders sign with. Each of them is good, so that one can replace another."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._secrets = secrets

    def signature(self, headers: Mapping[bytes, bytes]) -> Signature | None:
        """The signature that a request carries; None where it carries none, or there are no secrets to check it."""
        if not self._secrets:
            return None
        for header in _SIGNATURES:
            if header in headers:
                time = next((headers[name] for name in _TIMES if name in headers), b"")
                return Signature(header.decode(), headers[header].decode("latin-1"), time.decode("latin-1").strip())
        return None

    def check(self, signature: Signature, body: bytes, *, now: datetime) -> None:
        """Check a body as it was sent, before it is unpacked. Raises WrongSignature, StaleSignature."""
        if not is_signed_by_sender(body, signature.value, secrets=self._secrets, time=signature.time):
            what = "the time, a colon and the body" if signature.time else "the body alone, as no time was sent"
            raise WrongSignature(f"{signature.header}: no signature of {what} was made with WEBHOOK_HMAC_SECRET")
        if signature.time:
            _check_age(signature, now)


def _check_age(signature: Signature, now: datetime) -> None:
    if not _SECONDS.fullmatch(signature.time):
        raise StaleSignature(f"{signature.header}: the time that was signed is none in seconds since 1970")
    age = round(now.timestamp()) - int(signature.time)
    if abs(age) > MAX_AGE_SECONDS:
        where = f"{age} s ago" if age > 0 else f"{-age} s ahead of our clock"
        raise StaleSignature(
            f"{signature.header}: it was signed {where}; at most {MAX_AGE_SECONDS} s are allowed, so that nobody can "
            "send it again. Set the clocks, or sign each try anew"
        )

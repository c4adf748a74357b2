"""Signatures of webhooks: whether a body was signed with one of our secrets. Compared in constant time.

Sources: PagerDuty, Verifying Signatures (V3 webhooks); Rootly, Verifying Webhooks; Grafana, Webhook notifier, HMAC
signature.
"""

import hmac
from collections.abc import Collection
from hashlib import sha256

_MOST_SIGNATURES = 20
_V1 = "v1="
_TIME = "t="
_ALGORITHM = "sha256="


def is_signed_by_pagerduty(body: bytes, header: str, *, secrets: Collection[str]) -> bool:
    """Whether `X-PagerDuty-Signature` has a right one: `v1=` and the hex HMAC-SHA256 of the body, several by commas.

    PagerDuty sends a signature for each secret of a subscription, of which it has two while one replaces the other.
    """
    return _is_any_right(body, _parts(header, _V1), secrets)


def is_signed_by_rootly(body: bytes, header: str, *, secrets: Collection[str]) -> bool:
    """Whether `X-Rootly-Signature` is right: `t=TIME,v1=` and the hex HMAC-SHA256 of the time and then the body."""
    times = _parts(header, _TIME)
    if len(times) != 1:
        return False
    return _is_any_right(times[0].encode("latin-1", "replace") + body, _parts(header, _V1), secrets)


def is_signed_by_sender(body: bytes, header: str, *, secrets: Collection[str], time: str = "") -> bool:
    """Whether the header has the hex HMAC-SHA256 of the body, or of `TIME:BODY` where a time is given, as Grafana's.

    Several signatures may stand there by commas, each with or without `sha256=` in front.
    """
    parts = [part.strip().removeprefix(_ALGORITHM) for part in header.split(",")]
    signed = f"{time}:".encode("latin-1", "replace") + body if time else body
    return _is_any_right(signed, parts[:_MOST_SIGNATURES], secrets)


def _parts(header: str, mark: str) -> list[str]:
    parts = [part.strip() for part in header.split(",")]
    return [part.removeprefix(mark) for part in parts if part.startswith(mark)][:_MOST_SIGNATURES]


def _is_any_right(signed: bytes, signatures: Collection[str], secrets: Collection[str]) -> bool:
    """Whether one of the signatures was made with one of the secrets."""
    right = [hmac.digest(secret.encode(), signed, sha256).hex().encode() for secret in secrets]
    given = [signature.lower().encode("latin-1", "replace") for signature in signatures]
    return any(hmac.compare_digest(each, made) for each in given for made in right)

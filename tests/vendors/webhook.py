"""Somebody's webhook, behind a token, that checks signatures as the Standard Webhooks specification says."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.vendors.server import Reply, Request

TOKEN = "s3cr3t-webhook-token"  # noqa: S105  # made up
SIGNING_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()

FORMAT = "webhook"
SECRETS = (TOKEN, SIGNING_SECRET)


def fields(url: str) -> dict[str, str]:
    """A target's keys for the server at `url`."""
    return {"url": f"{url}/hooks/alerts", "token": TOKEN, "signing_secret": SIGNING_SECRET}


def wrong_fields(url: str) -> dict[str, str]:
    """The same, with a key that the vendor does not know."""
    return fields(url) | {"token": "an-old-token"}


@dataclass
class Webhook:
    """Takes a message once by its id, and remembers what `data` said last of each occurrence."""

    refusals: list[str] = field(default_factory=list)
    messages: dict[str, Any] = field(default_factory=dict)

    @property
    def taken(self) -> int:
        return len(self.messages)

    def answer(self, request: Request) -> Reply:
        if request.method != "POST" or request.path != "/hooks/alerts":
            return self._refuse(404, "no such hook")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._refuse(401, "unknown token")
        if not is_signed(request.headers, request.body):
            return self._refuse(400, "bad signature")
        self.messages[request.headers["webhook-id"]] = request.json()
        return Reply(204)

    def _refuse(self, status: int, reason: str) -> Reply:
        self.refusals.append(reason)
        return Reply(status, reason.encode())


def is_signed(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures is of this message and our secret."""
    key = base64.b64decode(SIGNING_SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, given) for given in headers.get("webhook-signature", "").split(" "))

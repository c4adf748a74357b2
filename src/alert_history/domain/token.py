"""API tokens: their form, their digest, and whether one is still good. Pure.

A token is `aht_` and 256 random bits in base64url. Only its SHA-256 is kept: 256 bits can't be guessed, so a slow hash
would protect nothing and cost each request. The prefix lets secret scanners and people recognise one.
"""

import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from alert_history.domain.grant import Grant, Scope, permissions_of, reach_of
from alert_history.errors import InvalidBody

TOKEN_PREFIX = "aht_"  # noqa: S105  # how every token begins
SHOWN_CHARACTERS = 10
"""So many characters of a token are kept, so that whoever holds it finds it in the list: 36 bits of 256."""

ADMIN = "admin"
"""Who calls with the token of the settings."""

_RANDOM_BYTES = 32
_SECRET = re.compile(re.escape(TOKEN_PREFIX) + r"[A-Za-z0-9_-]{43,128}")
_NAME = re.compile(r"[\w.@:/+-]{1,64}", re.ASCII)
_SPAN = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MAX_SECONDS = 3_155_760_000  # a hundred years


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is kept; the secret itself is not.

    `match` is the text of its reach; empty: all alerts. `expires_at` and `revoked_at` are None where that never comes.
    """

    id: str
    name: str
    digest: bytes
    prefix: str
    scopes: tuple[Scope, ...]
    match: str = ""
    ingest_scope: str = ""
    created_at: datetime
    created_by: str = ""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        """Whether it opens anything now."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def grant(self) -> Grant:
        """What its holder may do. Raises InvalidQuery where a later release can't read its reach any more."""
        return Grant(
            actor=self.name,
            permissions=permissions_of(self.scopes),
            reach=reach_of(self.match),
            ingest_scope=self.ingest_scope,
            key=self.id,
        )


def new_secret() -> str:
    """A new token, which is shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def check_secret(text: str) -> None:
    """Whether a text has the form of a token, so that it may be as hard to guess as one. Raises ValueError."""
    if not _SECRET.fullmatch(text):
        raise ValueError(_SECRET.pattern)


def without_secrets(text: str) -> str:
    """A text with the tokens in it cut to what the list of tokens shows of them: for what is kept of an address."""
    return _SECRET.sub(lambda found: f"{found[0][:SHOWN_CHARACTERS]}…", text)


def token_of_settings(secret: str) -> Token:
    """The token that the settings name: it may do all, never ends, and is another one when the secret is another."""
    digest = digest_of(secret)
    return Token(
        id=f"settings-{digest.hex()[:16]}",
        name=ADMIN,
        digest=digest,
        prefix=secret[:SHOWN_CHARACTERS],
        scopes=("admin",),
        created_at=datetime(1970, 1, 1, tzinfo=UTC),
    )


def digest_of(secret: str) -> bytes:
    """What is kept of a token."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def check_name(name: str) -> str:
    """The name of a token. Raises InvalidBody."""
    if not _NAME.fullmatch(name):
        raise InvalidBody("name: 1 to 64 letters, digits and . _ - @ : / +")
    return name


def parse_span(text: str, *, of: str) -> timedelta:
    """`90d`, `12h`, `4w`: a whole number of s, m, h, d or w. Raises InvalidBody."""
    parts = _SPAN.fullmatch(text.strip())
    seconds = int(parts[1]) * _UNITS[parts[2]] if parts else 0
    if not 0 < seconds <= _MAX_SECONDS:
        raise InvalidBody(f"{of}: {text!r} is no span of time; write a number and s, m, h, d or w, as in 90d")
    return timedelta(seconds=seconds)

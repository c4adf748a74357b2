"""OpenID Connect: the authorization code flow with PKCE, against any provider that has a discovery document.

authlib and joserfc check what the provider signed; what is asked of it, and for how long, is decided here. Nothing of
a provider's answer is shown to people but the name of a fault. Source: OpenID Connect Core 1.0, Discovery 1.0 and
RP-Initiated Logout 1.0; RFC 7636; RFC 9207.
"""

import asyncio
import binascii
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
import structlog
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from alert_history.errors import ProviderUnavailable, SignInRefused
from alert_history.ports import Clock
from alert_history.ports.identity import Person

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""Signatures by a key that the provider alone has: neither `none` nor those by our shared secret."""

_TIMEOUT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 1024 * 1024
_METADATA_SECONDS = 3600.0
_KEYS_APART_SECONDS = 60.0
_LEEWAY_SECONDS = 60
_MAX_NAME_CHARACTERS = 256
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_NAMES = ("preferred_username", "email", "sub")
"""What a person is called by, where no claim was chosen: the first that they have."""

_log = structlog.get_logger()

Claims = Mapping[str, Any]


class OidcClient(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider knows of us, and what we want to know of a person. `user_claim` empty: `_NAMES`."""

    issuer: str
    client_id: str
    client_secret: str = ""
    scopes: str
    groups_claim: str
    user_claim: str = ""
    redirect_url: str
    farewell_url: str


class OidcProvider:
    """See `ports.IdentityProvider`.

    Reads the discovery document and the keys each hour, and the keys once more when none fits a token: that once a
    minute at most.
    """

    def __init__(self, client: OidcClient, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._metadata: Claims = {}
        self._metadata_until = 0.0
        self._keys: list[RSAKey | ECKey | OKPKey] = []
        self._keys_until = 0.0
        self._anew_after = 0.0
        self._reading = asyncio.Lock()
        self._reading_keys = asyncio.Lock()

    @property
    def issuer(self) -> str:
        """See `ports.IdentityProvider.issuer`."""
        return self._client.issuer

    @property
    def name(self) -> str:
        """See `ports.IdentityProvider.name`: its host."""
        return urlsplit(self._client.issuer).netloc.rpartition("@")[2]

    async def place(self, *, state: str, nonce: str, verifier: str) -> str:
        """See `ports.IdentityProvider.place`."""
        endpoint = str((await self._discovered())["authorization_endpoint"])
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_url,
            "scope": self._client.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return _with(endpoint, asked)

    async def redeem(self, code: str, *, nonce: str, verifier: str) -> Person:
        """See `ports.IdentityProvider.redeem`."""
        answer = await self._exchange(code, verifier)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str):
            raise SignInRefused("the provider sent no ID token; OIDC_SCOPES must hold openid")
        claims = await self._checked(id_token, nonce=nonce, access_token=access_token)
        if isinstance(access_token, str):
            claims = await self._completed(claims, access_token)
        return self._person(claims, id_token)

    async def farewell(self, id_token: str) -> str | None:
        """See `ports.IdentityProvider.farewell`."""
        endpoint = (await self._discovered()).get("end_session_endpoint")
        if not _is_web(endpoint):
            return None
        asked = {"client_id": self._client.client_id, "post_logout_redirect_uri": self._client.farewell_url}
        return _with(str(endpoint), asked | ({"id_token_hint": id_token} if id_token else {}))

    async def _discovered(self) -> Claims:
        async with self._reading:
            if time.monotonic() >= self._metadata_until:
                address = f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration"
                self._metadata = self._fitting(await _ask("GET", address))
                self._metadata_until = time.monotonic() + _METADATA_SECONDS
            return self._metadata

    def _fitting(self, metadata: Claims) -> Claims:
        """The discovery document, if it is that of the issuer that was named."""
        if str(metadata.get("issuer", "")).rstrip("/") != self._client.issuer.rstrip("/"):
            raise ProviderUnavailable("the provider says that it is another issuer than OIDC_ISSUER")
        for name in _NEEDED:
            if not _is_web(metadata.get(name)):
                raise ProviderUnavailable(f"the provider names no {name}")
        return metadata

    async def _exchange(self, code: str, verifier: str) -> Claims:
        metadata, client = await self._discovered(), self._client
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_url,
            "code_verifier": verifier,
        }
        auth = ClientAuth(client.client_id, client.client_secret, _auth_method(client, metadata))
        headers = {"content-type": "application/x-www-form-urlencoded"}
        address, headers, body = auth.prepare("POST", str(metadata["token_endpoint"]), headers, urlencode(form))
        return await _ask("POST", address, headers=headers, content=body)

    async def _checked(self, id_token: str, *, nonce: str, access_token: object) -> Claims:
        """The claims of an ID token that is for us, for this very sign-in, and good now. Raises SignInRefused."""
        metadata = await self._discovered()
        try:
            decoded = await self._decoded(id_token)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": self._client.client_id},
                },
                params={"nonce": nonce, "client_id": self._client.client_id, "access_token": access_token},
            )
            claims.validate(now=int(self._clock().timestamp()), leeway=_LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            reason = str(error) if isinstance(error, JoseError) else type(error).__name__
            _log.warning("id_token_refused", issuer=self._client.issuer, reason=reason)
            raise SignInRefused("what the provider said about you can't be believed; the log says why") from None
        return dict(claims)

    async def _decoded(self, id_token: str) -> jwt.Token:
        """An ID token that a key of the provider signed. For one that does not fit the keys are read anew.

        Raises: JoseError, ValueError.
        """
        wanted = _header_of(id_token).get("kid")
        async with self._reading_keys:
            if time.monotonic() >= self._keys_until:
                await self._read_keys()
            try:
                return jwt.decode(id_token, _fitting_key(self._keys, wanted), algorithms=_ALGORITHMS)
            except (BadSignatureError, ValueError):
                if time.monotonic() < self._anew_after:
                    raise
            self._anew_after = time.monotonic() + _KEYS_APART_SECONDS
            await self._read_keys()
            return jwt.decode(id_token, _fitting_key(self._keys, wanted), algorithms=_ALGORITHMS)

    async def _read_keys(self) -> None:
        address = str((await self._discovered())["jwks_uri"])
        self._keys = _keys_of(await _ask("GET", address))
        self._keys_until = time.monotonic() + _METADATA_SECONDS

    async def _completed(self, claims: Claims, access_token: str) -> Claims:
        """The claims with those that the provider tells only when it is asked: `userinfo`."""
        endpoint = (await self._discovered()).get("userinfo_endpoint")
        wanted = {self._client.groups_claim, self._client.user_claim or _NAMES[0]}
        if not _is_web(endpoint) or all(_claim(claims, name) is not None for name in wanted):
            return claims
        more = await _ask("GET", str(endpoint), headers={"authorization": f"Bearer {access_token}"})
        if more.get("sub") != claims["sub"]:
            raise SignInRefused("the provider speaks of two persons at once")
        return {**more, **claims}

    def _person(self, claims: Claims, id_token: str) -> Person:
        """The person. Raises SignInRefused where a claim that was chosen is not there."""
        chosen = self._client.user_claim
        name = next((str(claim) for each in ((chosen,) if chosen else _NAMES) if (claim := _claim(claims, each))), "")
        if not name or not name.isprintable() or len(name) > _MAX_NAME_CHARACTERS:
            raise SignInRefused(f"the provider does not say who you are in the claim {chosen or _NAMES[0]}")
        if name == claims.get("email") and claims.get("email_verified") is False:
            raise SignInRefused("your e-mail address is not verified at the provider")
        return Person(
            subject=str(claims["sub"]),
            name=name,
            groups=_groups(_claim(claims, self._client.groups_claim)),
            id_token=id_token,
        )


async def _ask(
    method: str, address: str, *, headers: Mapping[str, str] | None = None, content: str | None = None
) -> Claims:
    """A JSON object. Redirects are not followed, and no answer is read without end.

    Raises: ProviderUnavailable; SignInRefused where the provider refuses what it was sent.
    """
    sent = {"accept": "application/json", **(headers or {})}
    try:
        async with (
            asyncio.timeout(_TIMEOUT_SECONDS),
            httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client,
            client.stream(method, address, headers=sent, content=content) as response,
        ):
            status, body = response.status_code, await _body_of(response)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        _log.warning("provider_unavailable", address=address, reason=str(error) or type(error).__name__)
        raise ProviderUnavailable("the provider does not answer") from None
    answer = _object(body)
    if status in {400, 401, 403} and method == "POST":
        _log.warning("sign_in_refused", method="oidc", address=address, status=status, reason=answer.get("error"))
        raise SignInRefused("the provider does not take back what it gave you; begin anew")
    if status != 200 or not answer:  # noqa: PLR2004  # the one that carries what was asked for
        _log.warning("provider_unavailable", address=address, status=status)
        raise ProviderUnavailable(f"the provider answers {status}")
    return answer


async def _body_of(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise httpx.DecodingError("the answer is too large")
    return bytes(body)


def _object(body: bytes) -> Claims:
    """A JSON object; an empty one for everything else."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _header_of(token: str) -> Claims:
    """The header of a JWT, which nobody has checked. Raises ValueError."""
    part = token.partition(".")[0]
    try:
        return _object(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except binascii.Error:
        raise ValueError("no JWT") from None


def _keys_of(document: Claims) -> list[RSAKey | ECKey | OKPKey]:
    """The keys for signatures; those of kinds that nobody here knows are left out."""
    keys = []
    for data in document.get("keys", ()):
        try:
            key = import_key(data) if data.get("use", "sig") == "sig" else None
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
        if isinstance(key, (RSAKey, ECKey, OKPKey)):
            keys.append(key)
    return keys


def _fitting_key(keys: Sequence[RSAKey | ECKey | OKPKey], wanted: object) -> RSAKey | ECKey | OKPKey:
    """The key with that id; where a token names none, the only one. Raises ValueError."""
    fitting = [key for key in keys if wanted is None or key.kid == wanted]
    if len(fitting) != 1:
        raise ValueError("no key, or several")
    return fitting[0]


def _auth_method(client: OidcClient, metadata: Claims) -> str:
    """How we say who we are: with our secret in a header, or in the form where the provider takes it there alone."""
    if not client.client_secret:
        return "none"
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    is_post = "client_secret_basic" not in methods and "client_secret_post" in methods
    return "client_secret_post" if is_post else "client_secret_basic"


def _claim(claims: Claims, name: str) -> Any:
    """A claim by its name, or by its way through objects with dots between: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _groups(claim: object) -> list[str]:
    """Groups, given as a list of names or as one name."""
    listed = claim if isinstance(claim, list) else [claim]
    return [group for group in listed if isinstance(group, str) and group]


def _is_web(address: object) -> bool:
    return isinstance(address, str) and address.startswith(("https://", "http://"))


def _with(endpoint: str, asked: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

"""The part of the composition root that makes what says who calls.

Must not open, start or wait for anything.
"""

from datetime import timedelta
from importlib.util import find_spec

from alert_history.config import Settings, networks_of
from alert_history.domain.roles import read_role_map
from alert_history.domain.token import token_of_settings
from alert_history.engine.auditing import Auditing
from alert_history.engine.sign_ins import People, SignInDesk
from alert_history.engine.tokens import TokenBook
from alert_history.errors import ConfigurationError
from alert_history.ports import Clock, IdentityProvider, Store
from alert_history.service import Trust
from alert_history.urls.secret import revealed
from alert_history.web.http.auditing import AuditedCalls
from alert_history.web.http.browser import Browsers
from alert_history.web.http.gate import Gate, SignIn
from alert_history.web.http.proxy import ProxyHeaders
from alert_history.web.pages.oidc import CALLBACK


def make_trust(settings: Settings, store: Store, *, auditing: Auditing, clock: Clock) -> Trust:
    """What says who calls, and keeps what they did."""
    first = revealed(settings.admin_token)
    book = TokenBook(store.tokens, clock=clock, own=[token_of_settings(first)] if first else [])
    provider = _make_provider(settings, clock)
    sign_ins = SignInDesk(
        store.sign_ins,
        book,
        audit=auditing,
        clock=clock,
        lasts=timedelta(hours=settings.sign_in_hours),
        people=None if provider is None else People(provider.issuer, read_role_map(settings.oidc_role_map or "")),
    )
    gate = Gate(
        book,
        is_open=settings.auth_mode in {None, "none"},
        is_unguarded=settings.auth_mode is None,
        is_ingest_closed=settings.ingest_auth == "required",
        audited=AuditedCalls(auditing, trusted=networks_of(settings.trusted_proxies)),
        ways=[Browsers(sign_ins), *_ways_of_people(settings)],
    )
    return Trust(book=book, gate=gate, auditing=auditing, sign_ins=sign_ins, provider=provider)


def _make_provider(settings: Settings, clock: Clock) -> IdentityProvider | None:
    """The identity provider; None where AUTH_MODE names none. Imported when needed.

    Raises: ConfigurationError where what it takes is not installed.
    """
    if settings.auth_mode != "oidc":
        return None
    if find_spec("authlib") is None:
        raise ConfigurationError(
            ["AUTH_MODE=oidc needs a library that is not installed: pip install 'authlib>=1.7,<2'"]
        )
    from alert_history.identity.oidc import OidcClient, OidcProvider

    address = (settings.public_url or "").rstrip("/")
    client = OidcClient(
        issuer=settings.oidc_issuer or "",
        client_id=settings.oidc_client_id or "",
        client_secret=revealed(settings.oidc_client_secret) or "",
        scopes=settings.oidc_scopes,
        groups_claim=settings.oidc_groups_claim,
        user_claim=settings.oidc_user_claim or "",
        redirect_url=f"{address}{CALLBACK}",
        farewell_url=f"{address}/login?out=yes",
    )
    return OidcProvider(client, clock=clock)


def _ways_of_people(settings: Settings) -> list[SignIn]:
    """How people say who they are, besides a token."""
    if settings.auth_mode != "proxy":
        return []
    return [
        ProxyHeaders(
            read_role_map(settings.oidc_role_map or ""),
            user_header=settings.auth_proxy_user_header,
            groups_header=settings.auth_proxy_groups_header,
            trusted=networks_of(settings.trusted_proxies),
        )
    ]

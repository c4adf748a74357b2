"""`alert-history token`: makes, lists, replaces and revokes API tokens, in the database of the service."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from cyclopts import App, Parameter
from rich.table import Table

from alert_history.bootstrap import utc_now
from alert_history.cli.console import cell, error_console, output_console, print_line
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.domain.token import Token
from alert_history.engine.tokens import NewToken, TokenDesk, TokenWish
from alert_history.errors import InvalidBody

T = TypeVar("T")

app = App(name="token")


@app.command
def create(
    name: Annotated[str, Parameter(help="Letters, digits and . _ - @ : / +; a name is good once.")],
    /,
    *,
    scope: Annotated[list[str], Parameter(negative="", help="ingest, read, operate or admin; may be repeated.")],
    match: Annotated[str | None, Parameter(help='Only alerts that match exist for it: {team="payments"}.')] = None,
    expires: Annotated[str, Parameter(help="When it ends, as in 90d; without it: never.")] = "",
    ingest_scope: Annotated[str, Parameter(help="The scope of all that it sends, as ?scope= in the URL.")] = "",
) -> None:
    """Make a token, and print it alone on the last line: it is shown this one time.

    It is good at once. admin includes operate, which includes read. With the first token for ingest, senders without a
    token are refused.
    """
    if match is not None and not match.strip():  # as of a script whose variable is not set
        raise InvalidBody("match: it is empty, and narrows nothing; leave --match out for a token that sees all alerts")
    settings = load_settings(os.environ)
    wish = TokenWish(name=name, scopes=scope, match=match or "", expires=expires, ingest_scope=ingest_scope)
    made, is_first = asyncio.run(_at_desk(settings, lambda desk: _create(desk, wish)))
    if is_first and settings.ingest_auth == "open":
        _warn("From now on whoever sends alerts needs a token with the scope ingest. Others are refused.")
    _tell(made, settings)


@app.command
def rotate(
    name: Annotated[str, Parameter(help="The name of a token that is good.")],
    /,
    *,
    overlap: Annotated[str, Parameter(help="How long the old secret stays good, as in 24h.")] = "24h",
) -> None:
    """Give a token a new secret, and print it alone on the last line. The old one is good for the overlap."""
    settings = load_settings(os.environ)
    made = asyncio.run(_at_desk(settings, lambda desk: desk.rotate(name, overlap=overlap, by=_user())))
    _tell(made, settings)


@app.command(name="list")
def list_() -> None:
    """Print all tokens, without their secrets."""
    tokens = asyncio.run(_at_desk(load_settings(os.environ), lambda desk: desk.all()))
    if not tokens:
        print_line("There are no tokens.")
        return
    now = utc_now()
    table = Table("name", "begins", "scopes", "match", "ingest scope", "state", "made", "ends", "last used", "id")
    for token in tokens:
        table.add_row(*map(cell, _cells(token, now)))
    output_console().print(table)


@app.command
def revoke(
    name: Annotated[str, Parameter(help="The name of a token, or its id.")],
    /,
) -> None:
    """Revoke a token for good. Within two seconds every replica refuses it."""
    settings = load_settings(os.environ)
    revoked, opens_ingest = asyncio.run(_at_desk(settings, lambda desk: _revoke(desk, name)))
    if opens_ingest and settings.ingest_auth == "open":
        _warn("It was the last token for ingest: now everybody may send alerts. INGEST_AUTH=required prevents that.")
    for token in revoked:
        print_line(f"revoked: {token.name} ({token.prefix}…, {token.id})")


async def _at_desk(settings: Settings, ask: Callable[[TokenDesk], Awaitable[T]]) -> T:
    async with using_store(settings) as store:
        await require(store, settings)
        return await ask(TokenDesk(store.tokens, clock=utc_now, audit=store.audit))


async def _create(desk: TokenDesk, wish: TokenWish) -> tuple[NewToken, bool]:
    """The token, and whether it is the first for ingest that is not revoked."""
    before = await desk.all()
    made = await desk.create(wish, by=_user())
    had_one = any("ingest" in token.scopes and token.revoked_at is None for token in before)
    return made, "ingest" in made.token.scopes and not had_one


async def _revoke(desk: TokenDesk, name: str) -> tuple[Sequence[Token], bool]:
    """What was revoked, and whether that was the last token for ingest."""
    revoked = await desk.revoke(name, by=_user())
    left = await desk.all()
    had_one = any("ingest" in token.scopes for token in revoked)
    return revoked, had_one and not any("ingest" in token.scopes and token.revoked_at is None for token in left)


def _tell(made: NewToken, settings: Settings) -> None:
    if settings.auth_mode in {None, "none"} and made.token.scopes != ("ingest",):
        _warn("AUTH_MODE does not ask for tokens: everybody who can connect may do all. Set AUTH_MODE=token.")
    ends = made.token.expires_at
    words = "never ends" if ends is None else f"ends {_text(ends)}"
    print_line(f"{made.token.name}: {', '.join(made.token.scopes)}; {words}; id {made.token.id}")
    print_line(made.secret)


def _warn(text: str) -> None:
    error_console().print(f"warning: {text}", markup=False, highlight=False, soft_wrap=True)


def _cells(token: Token, now: datetime) -> list[str]:
    state = "revoked" if token.revoked_at is not None else "good" if token.is_good(now) else "expired"
    times = (token.created_at, token.expires_at, token.last_used_at)
    made, ends, used = ("never" if time is None else _text(time) for time in times)
    begins = f"{token.prefix}…"
    return [
        token.name,
        begins,
        ", ".join(token.scopes),
        token.match,
        token.ingest_scope,
        state,
        made,
        ends,
        used,
        token.id,
    ]


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%MZ")


def _user() -> str:
    """Who runs the command, as far as the system tells."""
    try:
        return f"{getpass.getuser()} (command)"
    except (KeyError, OSError):
        return "command"

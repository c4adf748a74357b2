"""Whether the numbers cover the whole history, and who counts it anew."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
from sqlalchemy import select

from alert_history.errors import Busy
from alert_history.storage.shared.elements import database_now, take_turn
from alert_history.storage.shared.session import Session, T
from alert_history.storage.shared.settings import write_setting
from alert_history.storage.shared.tables import settings

_SETTING = "rollups"
_LASTS = timedelta(seconds=60)
_REST_SECONDS = 0.2
_TRIES = 150
_TURN = select(take_turn("rollups").label("is_ours"))
_STATE = select(settings.c.value, settings.c.updated_at, database_now().label("now")).where(settings.c.name == _SETTING)


class _NotOurTurn(Exception):
    """Another process changes the numbers just now. Never leaves the storage."""


class RollupState(msgspec.Struct, frozen=True):
    """Whether the numbers cover the whole history; `holder` is the process that counts it anew."""

    is_counted: bool = False
    holder: str | None = None


async def read_state(session: Session) -> RollupState:
    """The state. Who has not said for a minute that it counts, counts no more."""
    for row in await session.fetch(_STATE):
        state = msgspec.convert(row.value, RollupState)
        is_late = row.now - row.updated_at > _LASTS
        return msgspec.structs.replace(state, holder=None) if is_late else state
    return RollupState()


async def write_state(session: Session, state: RollupState) -> None:
    """Keep the state."""
    await write_setting(session, _SETTING, msgspec.to_builtins(state))


async def has_turn(session: Session) -> bool:
    """Whether this transaction alone changes the numbers until it ends. Whoever does not get the turn changes none."""
    [(is_ours,)] = await session.fetch(_TURN)
    return bool(is_ours)


async def need_turn(session: Session) -> None:
    """Take the turn, in a work that `in_turn` does."""
    if not await has_turn(session):
        raise _NotOurTurn


async def in_turn(work: Callable[[], Awaitable[T]]) -> T:
    """Do a work as soon as nobody else changes the numbers. Raises Busy if somebody does for long."""
    for _ in range(_TRIES):
        try:
            return await work()
        except _NotOurTurn:
            await asyncio.sleep(_REST_SECONDS)
    raise Busy("another process changes the numbers all the time; try again later")

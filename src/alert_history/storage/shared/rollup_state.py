"""Whether the numbers cover the whole history, and who counts it anew."""

from datetime import timedelta

import msgspec
from sqlalchemy import select

from alert_history.storage.shared.elements import database_now, take_turn
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.settings import write_setting
from alert_history.storage.shared.tables import settings

_SETTING = "rollups"
_LASTS = timedelta(seconds=60)
_TURN = select(take_turn("rollups").label("is_ours"))
_STATE = select(settings.c.value, settings.c.updated_at, database_now().label("now")).where(settings.c.name == _SETTING)


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

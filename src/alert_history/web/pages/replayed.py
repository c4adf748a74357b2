"""What the pages say after dead letters were tried again; how it reads is in `templates/page/replayed.html.jinja`."""

import msgspec

from alert_history.engine.targets import Targets


class Replayed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many dead letters were queued again, of how many; `target` is empty where it was one alone."""

    replayed: int
    of: int
    target: str


async def replay_all(targets: Targets, name: str) -> Replayed:
    """Queue all dead letters of a target again. Raises StorageUnavailable."""
    letters = (await targets.dead_letters()).get(name, 0)
    replayed = await targets.replay_all(name)
    return Replayed(replayed, max(letters, replayed), name)

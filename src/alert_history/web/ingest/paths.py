"""The paths that alerts are sent to: what each needs, and how senders may spell it.

What is decoded there and what becomes of it is the matter of `engine.intake`.
"""

from typing import NamedTuple

from alert_history.domain.permission import Permission
from alert_history.engine.intake import WAYS_IN


class IngestPath(NamedTuple):
    """One path, served for POST alone."""

    path: str
    needs: Permission
    method: str = "POST"


PATHS = {path: IngestPath(path, needs=Permission.INGEST) for path in WAYS_IN}


def path_of(spelled: str) -> str | None:
    """The one of `PATHS` that a sender means: slashes too many, inside or at the end, change nothing.

    Senders join a prefix and a path as they like (`http://host/` and `/api/v2/alerts`). None where it means none.
    """
    if spelled in PATHS:
        return spelled
    plain = "/" + "/".join(filter(None, spelled.split("/")))
    return plain if plain in PATHS else None

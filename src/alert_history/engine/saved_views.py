"""Saved views: searches of the history under a name, shared by all who use the service.

They are one setting, which is changed as one: two people who save at once lose nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from alert_history.domain.visible import visible
from alert_history.errors import InvalidBody, NotFound
from alert_history.ids import new_id
from alert_history.ports import Clock, StoredSettings

MOST_VIEWS = 100
LONGEST_NAME = 80
LONGEST_STATE = 4000
"""In characters: all views together are some hundred kB at most."""

_SETTING = "history_views"


class SavedView(msgspec.Struct, frozen=True):
    """A view. `state` is what its URL has behind `?`."""

    id: str
    name: str
    state: str


_Views = list[SavedView]


class SavedViews:
    """Keeps views. Every call may raise StorageUnavailable."""

    def __init__(self, settings: StoredSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def all(self) -> Sequence[SavedView]:
        """All views, by name."""
        return _read(await self._settings.read(_SETTING))

    async def save(self, name: str, state: str) -> SavedView:
        """Keep a new view. Raises InvalidBody where its name is taken or unfit, or there are too many views."""
        view = SavedView(new_id(self._clock()), _checked(name), state)
        if len(state) > LONGEST_STATE:
            raise InvalidBody(f"The view is too long: {LONGEST_STATE} characters are the most.")

        def add(views: _Views) -> _Views:
            if len(views) >= MOST_VIEWS:
                raise InvalidBody(f"There are {MOST_VIEWS} views, and no room for more. Delete one that nobody needs.")
            return _with(views, view)

        await self._change(add)
        return view

    async def rename(self, view_id: str, name: str) -> None:
        """Give a view another name. Raises NotFound, or InvalidBody where the name is taken or unfit."""
        name = _checked(name)

        def rename(views: _Views) -> _Views:
            view, others = _taken_out(views, view_id)
            return _with(others, msgspec.structs.replace(view, name=name))

        await self._change(rename)

    async def delete(self, view_id: str) -> None:
        """Remove a view. Raises NotFound."""
        await self._change(lambda views: _taken_out(views, view_id)[1])

    async def _change(self, make: Callable[[_Views], _Views]) -> None:
        await self._settings.change(_SETTING, lambda kept: msgspec.to_builtins(make(_read(kept))))


def _read(kept: Any) -> _Views:
    return [] if kept is None else msgspec.convert(kept, _Views)


def _with(views: _Views, view: SavedView) -> _Views:
    """The views with one more, by name."""
    if any(each.name.casefold() == view.name.casefold() for each in views):
        raise InvalidBody(f"There is a view named {view.name} already. Choose another name, or delete that view first.")
    return sorted([*views, view], key=lambda each: (each.name.casefold(), each.id))


def _taken_out(views: _Views, view_id: str) -> tuple[SavedView, _Views]:
    """That view, and the others. Raises NotFound."""
    for view in views:
        if view.id == view_id:
            return view, [each for each in views if each is not view]
    raise NotFound("There is no such view; somebody may have deleted it.")


def _checked(name: str) -> str:
    """The name without space around it. Raises InvalidBody."""
    name = visible(name)
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidBody(f"A view has a name of 1 to {LONGEST_NAME} characters, on one line.")
    return name

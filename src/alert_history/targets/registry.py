"""Formats by name. Other packages add theirs by an entry point in the group `alert_history.targets`."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

import httpx

from alert_history.domain.target import TargetSpec
from alert_history.ports import Target

GROUP = "alert_history.targets"

Make = Callable[[TargetSpec, httpx.AsyncClient], Target]

_OURS = ("alertmanager", "apprise", "pagerduty", "rootly", "slack", "webhook")


@cache
def formats() -> dict[str, Callable[[], Make]]:
    """How to load each format's `make`, by the format's name; an entry point of our name does not replace ours."""
    plugins: dict[str, Callable[[], Make]] = {point.name: point.load for point in entry_points(group=GROUP)}
    return {**plugins, **{name: _loader(name) for name in _OURS}}


def make_target(spec: TargetSpec, client: httpx.AsyncClient) -> Target:
    """The target of a spec. Raises ValueError naming the format or key that is wrong, never a value."""
    load = formats().get(spec.format)
    if load is None:
        raise ValueError(f"format: {spec.format!r} is none of {', '.join(sorted(formats()))}")
    try:
        make = load()
    except Exception as error:  # whatever another's package does when it is imported, the other targets go on
        raise ValueError(f"format: {spec.format!r} can't be loaded: {type(error).__name__}") from error
    return make(spec, client)


def load_format(name: str) -> None:
    """Import a format, and what it uses, before its first target is made. Slow; `make_target` reports a failure."""
    with suppress(Exception):
        module = import_module(formats()[name]().__module__)
        if prepare := getattr(module, "prepare", None):
            prepare()


def _loader(name: str) -> Callable[[], Make]:
    def load() -> Make:
        make: Make = import_module(f"alert_history.targets.{name}").make
        return make

    return load

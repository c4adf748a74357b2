"""Origins of imports by name. Other packages add theirs by an entry point in the group `alert_history.imports`."""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from alert_history.errors import ConfigurationError
from alert_history.ports.past_origins import PastOrigin

GROUP = "alert_history.imports"

OURS = ("prometheus", "alertmanager", "alerta", "opsgenie", "grafana", "keep", "legacy", "jsonl", "csv", "parquet")
"""Our own, in the order in which they are offered."""


@cache
def origin_names() -> tuple[str, ...]:
    """The names of all origins, ours first; an entry point of our name does not replace ours."""
    plugins = {point.name for point in entry_points(group=GROUP)}
    return (*OURS, *sorted(plugins - set(OURS)))


@cache
def find_origin(name: str) -> PastOrigin:
    """The origin of that name. Raises: ConfigurationError where there is none, or where it can't be loaded."""
    if name in OURS:
        origin: PastOrigin = import_module(f"alert_history.origins.imports.{name}").ORIGIN
        return origin
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise ConfigurationError([f"{name!r} is no origin of imports; there are {', '.join(origin_names())}"])
    try:
        plugin: PastOrigin = points[name].load()
    except Exception as error:  # whatever another's package does when it is imported
        raise ConfigurationError([f"the origin {name!r} can't be loaded: {type(error).__name__}"]) from error
    return plugin


def title_of(name: str) -> str:
    """The name of an origin for people; its word where there is no such origin any more."""
    try:
        return find_origin(name).title
    except ConfigurationError:
        return name

"""Ports stay small: whoever implements one keeps few promises, and whoever needs one sees what it needs."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, get_type_hints

import pytest

from alert_history import ports

MOST_METHODS = 7


def _protocols() -> Iterator[type[Any]]:
    """Those of `ports`, each in the module that makes it."""
    for module_info in iter_modules(ports.__path__):
        module = import_module(f"{ports.__name__}.{module_info.name}")
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__ == module.__name__ and Protocol in kind.__mro__:
                yield kind


def _methods(protocol: type[Any]) -> list[str]:
    """Its own and those that it inherits."""
    return [
        name
        for name, member in inspect.getmembers(protocol, inspect.isfunction)
        if name == "__call__" or not name.startswith("_")
    ]


@pytest.mark.parametrize("protocol", list(_protocols()), ids=lambda protocol: protocol.__name__)
def test_a_port_has_at_most_seven_methods(protocol: type[Any]) -> None:
    assert 1 <= len(_methods(protocol)) <= MOST_METHODS


def test_every_part_of_a_store_is_a_port() -> None:
    assert set(get_type_hints(ports.Store).values()) <= set(_protocols())

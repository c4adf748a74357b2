"""Ports that tell of all alerts: whoever sees some of them only may not ask them at all."""

from typing import Any, TypeVar, cast

from alert_history.engine.reach import check_sees_all

T = TypeVar("T")


class _Refusing:
    def __init__(self, port: object) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        check_sees_all()
        return getattr(self._port, name)


def refusing(port: T) -> T:
    """The same port, of which every call raises Forbidden where who calls sees some alerts only."""
    return cast("T", _Refusing(port))

"""What a URL of Redis says. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from alert_history.urls.url import Url, UrlFault, check_socket, only_host, read_url, read_whole

_MAX_DATABASE = 2**31 - 1
_MAX_SECONDS = 3600
_SECONDS = re.compile(r"\d{1,4}(?:\.\d{1,3})?", re.ASCII)
_CLIENT_NAME = re.compile(r"[!-~]{1,64}", re.ASCII)
_FEWEST_CONNECTIONS = 4  # one listens, others send and look whether it is there
_TLS = "ssl_"


@dataclass(frozen=True, repr=False)
class RedisUrl:
    """`arguments` are the client's own; `password` is None where the URL holds none."""

    scheme: str
    password: str | None
    arguments: Mapping[str, Any]


def read_redis_url(text: str) -> RedisUrl:
    """`redis://user:password@host:6379/0`, the same with `rediss://` for TLS, or `unix:///path`. Raises: UrlFault."""
    url = read_url(text, ("redis", "rediss", "unix"))
    arguments = dict(_parameters(url))
    password = _either(url.password, arguments, "password")
    user = _either(url.user, arguments, "username")
    if user is not None:
        arguments["username"] = user
    if url.scheme == "unix":
        return RedisUrl(url.scheme, password, {**arguments, "path": _socket(url)})
    host = only_host(url)
    database = _database(url.path)
    if database is not None and "db" in arguments:
        raise UrlFault("it gives the database twice, before and after the ?")
    arguments |= {"host": host.name, "port": host.port or 6379}
    return RedisUrl(url.scheme, password, arguments if database is None else {**arguments, "db": database})


def _either(written: str | None, arguments: dict[str, Any], name: str) -> str | None:
    value: str | None = arguments.pop(name, None)
    if written is not None and value is not None:
        raise UrlFault(f"it gives the {name} twice, before and after the ?")
    return value if written is None else written


def _socket(url: Url) -> str:
    if url.hosts or not url.path.strip("/"):
        raise UrlFault("a socket is unix:///path, with three slashes")
    return check_socket(url.path)


def _database(path: str) -> int | None:
    return None if path in {"", "/"} else _whole(_MAX_DATABASE)("the database", path[1:])


def _parameters(url: Url) -> Mapping[str, Any]:
    unknown = [number for number, name in enumerate(url.parameters, start=1) if name not in _PARAMETERS]
    if unknown:
        raise UrlFault(f"its parameter number {unknown[0]} is none of {', '.join(_PARAMETERS)}")
    if url.scheme != "rediss" and any(name.startswith(_TLS) for name in url.parameters):
        raise UrlFault("it has parameters of TLS, which begins with rediss://")
    return {name: _PARAMETERS[name](name, value) for name, value in url.parameters.items()}


def _text(_: str, value: str) -> str:
    return value


def _name(name: str, value: str) -> str:
    if not _CLIENT_NAME.fullmatch(value):
        raise UrlFault(f"{name} is at most 64 visible ASCII characters")
    return value


def _whole(highest: int, lowest: int = 0) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        return read_whole(value, name, lowest=lowest, highest=highest)

    return read


def _seconds(name: str, value: str) -> float:
    if _SECONDS.fullmatch(value) and 0 < float(value) <= _MAX_SECONDS:
        return float(value)
    raise UrlFault(f"{name} is a number of seconds up to {_MAX_SECONDS}")


def _one_of(words: Mapping[str, Any]) -> Callable[[str, str], Any]:
    def read(name: str, value: str) -> Any:
        if value.lower() not in words:
            raise UrlFault(f"{name} is one of {', '.join(words)}")
        return words[value.lower()]

    return read


_YES_OR_NO = _one_of({"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False})
_PARAMETERS: Mapping[str, Callable[[str, str], Any]] = MappingProxyType(
    {
        "db": _whole(_MAX_DATABASE),
        "username": _text,
        "password": _text,
        "client_name": _name,
        "protocol": _one_of({"2": 2, "3": 3}),
        "max_connections": _whole(_MAX_DATABASE, _FEWEST_CONNECTIONS),
        "health_check_interval": _whole(_MAX_SECONDS),
        "retry_on_timeout": _YES_OR_NO,
        "socket_timeout": _seconds,
        "socket_connect_timeout": _seconds,
        "socket_keepalive": _YES_OR_NO,
        "ssl_cert_reqs": _one_of({"required": "required", "optional": "optional", "none": "none"}),
        "ssl_check_hostname": _YES_OR_NO,
        "ssl_ca_certs": _text,
        "ssl_certfile": _text,
        "ssl_keyfile": _text,
    }
)

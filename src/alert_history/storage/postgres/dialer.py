"""How all our code connects to PostgreSQL: with parts of a URL, and never with the URL itself.

So no error of the driver or of Python can hold a URL; `driver_errors` says what such an error means.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import urlencode

import asyncpg

from alert_history.storage.postgres.driver_errors import errors_without_url
from alert_history.urls.libpq import SYSTEM
from alert_history.urls.postgres import PostgresUrl

Connection: TypeAlias = "asyncpg.Connection[Any]"

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_TCP_OPTIONS = {
    name: getattr(socket, option)
    for name, option in (
        ("keepalives_idle", "TCP_KEEPIDLE"),
        ("keepalives_interval", "TCP_KEEPINTVL"),
        ("keepalives_count", "TCP_KEEPCNT"),
        ("tcp_user_timeout", "TCP_USER_TIMEOUT"),
    )
    if hasattr(socket, option)  # Linux has them all
}
_SYSTEM = ("sslrootcert", SYSTEM)


class Dialer:
    """Connects to the place of one URL. Bound to no event loop."""

    def __init__(self, url: PostgresUrl) -> None:
        self._url = url
        self._parameters = url.parameters

    async def connect(
        self,
        settings: Mapping[str, str],
        *,
        work: str,
        timeout_seconds: float,
        command_seconds: float | None = None,
    ) -> Connection:
        """A connection with settings of the server. People see the name of its `work` at the server.

        `timeout_seconds` counts unless the URL has a `connect_timeout`. Raises: StorageUnavailable.
        """
        name = f"{self._parameters.application_name or 'alert-history'} {work}"
        with errors_without_url():
            connection: Connection = await asyncpg.connect(
                **self.arguments(),
                timeout=self._parameters.numbers.get("connect_timeout", timeout_seconds),
                command_timeout=command_seconds,
                server_settings={**self._parameters.server, **settings, "application_name": name},
            )
            _set_socket(socket_of(connection), self._parameters.numbers)
            return connection

    def arguments(self) -> dict[str, Any]:
        """Place, login and TLS as asyncpg takes them. A part of TLS goes into a URL, which holds nothing else.

        Raises: OSError where a file of TLS is gone.
        """
        ports = [host.port for host in self._url.hosts]
        driver = {name: value for name, value in self._parameters.driver.items() if (name, value) != _SYSTEM}
        return {
            "dsn": f"postgresql://?{urlencode(driver)}",
            "host": [host.name for host in self._url.hosts] or None,
            "port": (ports if all(ports) else None) if ports else self._url.port,
            "user": self._url.user,
            "password": self._url.password,
            "database": self._url.database,
            "passfile": self._parameters.passfile,
            "ssl": self._system_tls if _SYSTEM in self._parameters.driver.items() else None,
        }

    @cached_property
    def _system_tls(self) -> ssl.SSLContext:
        """The TLS context, made here because asyncpg takes `system` for the name of a file."""
        driver = self._parameters.driver
        context = ssl.create_default_context()
        context.minimum_version = _VERSIONS[driver.get("ssl_min_protocol_version", "TLSv1.2")]
        context.maximum_version = _VERSIONS[driver.get("ssl_max_protocol_version", "TLSv1.3")]
        context.set_alpn_protocols(["postgresql"])
        if "sslcrl" in driver:
            context.load_verify_locations(cafile=driver["sslcrl"])
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if "sslcert" in driver:
            password = driver.get("sslpassword", "")
            context.load_cert_chain(driver["sslcert"], driver.get("sslkey"), password=lambda: password)
        return context


def socket_of(connection: Connection) -> socket.socket:
    """The socket of a connection, which the event loop owns."""
    transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001  # no other way
    own_socket: socket.socket = transport.get_extra_info("socket")
    return own_socket


def _set_socket(connection: socket.socket, numbers: Mapping[str, int]) -> None:
    """Set TCP options as libpq does: `keepalives_…` counts unless `keepalives=0`; 0 means the default of the system."""
    if connection.family == socket.AF_UNIX:
        return
    given = {name: number for name, number in numbers.items() if name in _TCP_OPTIONS and number}
    if not numbers.get("keepalives", any(name.startswith("keepalives") for name in given)):
        given = {name: number for name, number in given.items() if not name.startswith("keepalives")}
    else:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, number in given.items():
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_OPTIONS[name], number)

"""What a URL takes for granted on this machine: files that can be read, and a user to connect as. Connects to nothing.

A file that is lacking would be found out at every connection anew, by an error that names neither it nor its variable.
"""

import getpass
import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from alert_history.urls.libpq import STRICT_MODES, SYSTEM
from alert_history.urls.postgres import PostgresUrl
from alert_history.urls.redis import RedisUrl
from alert_history.urls.url import UrlFault

_CHECKED_MODES = ("verify-ca", "verify-full")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class CertificateNames(NamedTuple):
    """How one kind of URL calls the files of TLS."""

    authorities: str
    revoked: str
    certificate: str
    key: str


_POSTGRES = CertificateNames("sslrootcert", "sslcrl", "sslcert", "sslkey")
_REDIS = CertificateNames("ssl_ca_certs", "", "ssl_certfile", "ssl_keyfile")


def check_postgres(url: PostgresUrl) -> None:
    """The driver has all that it needs for this URL. Raises: UrlFault."""
    if url.user is None:
        check_user()
    if url.password is None and url.parameters.passfile is not None:
        _check_passfile(url.parameters.passfile)
    _check_postgres_tls(url.parameters.driver)


def check_redis(url: RedisUrl) -> None:
    """The client has all that it needs for this URL. Raises: UrlFault."""
    check_certificates(url.arguments, _REDIS)


def _check_postgres_tls(driver: Mapping[str, str]) -> None:
    """What asyncpg would load, and no more: it loads certificate authorities only for the modes that use them."""
    mode = driver.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    if mode == "disable":
        return
    loaded = _POSTGRES if mode in STRICT_MODES else (_POSTGRES.certificate, _POSTGRES.key)
    paths = {name: driver[name] for name in loaded if name in driver and driver[name] != SYSTEM}
    check_certificates(paths, _POSTGRES, password=driver.get("sslpassword", ""))
    has_authorities = driver.get("sslrootcert") or os.environ.get("PGSSLROOTCERT") or _is_own_file("root.crt")
    if mode in _CHECKED_MODES and not has_authorities:
        raise UrlFault(f"sslmode={mode} needs sslrootcert: a file of certificate authorities, or {SYSTEM}")


def _is_own_file(name: str) -> bool:
    """Whether it is where libpq looks by itself."""
    try:
        return (Path.home() / ".postgresql" / name).exists()
    except RuntimeError:  # there is no home
        return False


def _check_passfile(path: str) -> None:
    """The driver passes over a file that others may read, with no more than a warning."""
    _check_readable(path, "passfile")
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) or mode & _OTHERS:
        raise UrlFault("its passfile must be a plain file that nobody but its owner may read (mode 0600)")


def check_user() -> None:
    """There is a user to connect as where a URL of PostgreSQL names none. Raises: UrlFault."""
    if os.environ.get("PGUSER"):
        return
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may run as a number that has no name
        raise UrlFault("it names no user, and the user of this process has no name") from None


def check_certificates(paths: Mapping[str, str], names: CertificateNames, *, password: str = "") -> None:
    """The files at these paths, by parameter, can be read, and TLS can work with them. Raises: UrlFault."""
    for name in names:
        if name in paths:
            _check_readable(paths[name], name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in (names.authorities, names.revoked):
        if name in paths:
            with _unusable(f"its {name} is no PEM file of that kind"):
                context.load_verify_locations(cafile=paths[name])
    if names.certificate in paths:
        with _unusable(f"its {names.certificate} and {names.key} are not a certificate and its key, both in PEM"):
            context.load_cert_chain(paths[names.certificate], paths.get(names.key), password=lambda: password)
    elif names.key in paths:
        raise UrlFault(f"it has {names.key} without {names.certificate}")


def _check_readable(path: str, name: str) -> None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # the libraries, too, take `~` for a name like any other
            file.read(1)
    except OSError as error:
        raise UrlFault(f"its {name} can't be read: {error.strerror}") from None


@contextmanager
def _unusable(fault: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise UrlFault(fault) from None

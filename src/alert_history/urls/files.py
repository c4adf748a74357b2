"""What a URL takes for granted on this machine: files that can be read, and a user to connect as. Connects to nothing.

A file that is lacking would be found out at every connection anew, by an error that names neither it nor its variable.
"""

import getpass
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from alert_history.urls.url import UrlFault


class CertificateNames(NamedTuple):
    """How one kind of URL calls the files of TLS."""

    authorities: str
    revoked: str
    certificate: str
    key: str


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

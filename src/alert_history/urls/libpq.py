"""libpq's parameters in a URL of PostgreSQL: each works, changes nothing anyway, or is refused by name. Pure.

Managed databases hand out URLs with them. The driver, asyncpg, knows some; all others it takes for settings of the
server, which refuses them at each connection. https://www.postgresql.org/docs/current/libpq-connect.html lists them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from alert_history.urls.url import UrlFault, read_whole

STRICT_MODES = ("require", "verify-ca", "verify-full")
SYSTEM = "system"
"""What stands for the system's certificate authorities in `sslrootcert`."""

_MODES = ("disable", "allow", "prefer", *STRICT_MODES)
_VERSIONS = ("TLSv1.2", "TLSv1.3")
_MAX_IDLE_SECONDS = 32_767  # more than these three the kernel refuses
_MAX_PROBES = 127
_MAX_MILLISECONDS = 2**31 - 1
_MAX_CONNECT_SECONDS = 300
_PLAIN_NAME = re.compile(r"[A-Za-z_.]{1,40}", re.ASCII)

_DRIVER_WORDS: Mapping[str, tuple[str, ...]] = {
    "sslmode": _MODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _VERSIONS,
    "ssl_max_protocol_version": _VERSIONS,
    "target_session_attrs": ("any", "primary", "standby", "prefer-standby", "read-write", "read-only"),
}
_DRIVER_TEXTS = ("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl")
_SERVER_TEXTS = ("options", "search_path", "role")
_OWN_TEXTS = ("passfile", "application_name", "fallback_application_name")
_NUMBERS: Mapping[str, tuple[int, int]] = {
    "connect_timeout": (1, _MAX_CONNECT_SECONDS),
    "keepalives": (0, 1),
    "keepalives_idle": (0, _MAX_IDLE_SECONDS),
    "keepalives_interval": (0, _MAX_IDLE_SECONDS),
    "keepalives_count": (0, _MAX_PROBES),
    "tcp_user_timeout": (0, _MAX_MILLISECONDS),
}
_AS_EVER: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "gssdelegation": ("0",),
    "sslcompression": ("0",),
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
    "load_balance_hosts": ("disable",),
    "min_protocol_version": ("3.0",),
    "max_protocol_version": ("3.0", "latest"),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8"),
    "replication": ("false", "off", "no", "0"),
}
"""What asyncpg does without being asked, and all that it can do."""

_BEYOND_THE_DRIVER = (
    *("require_auth", "requirepeer", "sslcrldir", "sslkeylogfile", "krbsrvname", "gsslib", "scram_client_key"),
    *("scram_server_key", "oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"),
)
_REFUSED: Mapping[str, str] = {
    "hostaddr": "give the address in place of the host",
    "service": "give what the service stands for",
    "servicefile": "give what the service stands for",
    "requiressl": "give sslmode=require",
    **dict.fromkeys(_BEYOND_THE_DRIVER, "the driver can't do it"),
}
_PLACE_AND_LOGIN = ("host", "port", "user", "password", "dbname")
_TAKEN = (*_DRIVER_WORDS, *_DRIVER_TEXTS, *_SERVER_TEXTS, *_OWN_TEXTS, *_NUMBERS, *_AS_EVER)

NAMES = (*_PLACE_AND_LOGIN, *_TAKEN)
"""Every parameter that a URL may have."""


@dataclass(frozen=True, repr=False)
class Parameters:
    """What a URL asks for besides place and login. Without a text form: it may hold the password of a key."""

    driver: Mapping[str, str]
    """TLS and the kind of server, as asyncpg names them in a URL."""
    server: Mapping[str, str]
    passfile: str | None
    application_name: str | None
    numbers: Mapping[str, int]
    """Seconds, milliseconds and counts, for the connection and its socket."""


def read_parameters(given: Mapping[str, str], *, may_name: bool) -> Parameters:
    """Raises: UrlFault with all faults; with `may_name` a name that is not known is told, too."""
    faults = [fault for name, value in given.items() if (fault := _fault_of(name, value, may_name=may_name))]
    if faults:
        raise UrlFault("; ".join(dict.fromkeys(faults)))
    driver = _driver(given)
    return Parameters(
        driver=driver,
        server={name: given[name] for name in _SERVER_TEXTS if name in given},
        passfile=given.get("passfile"),
        application_name=given.get("application_name") or given.get("fallback_application_name"),
        numbers={name: int(given[name]) for name in _NUMBERS if name in given},
    )


def _fault_of(name: str, value: str, *, may_name: bool) -> str | None:
    if (words := _DRIVER_WORDS.get(name)) and value not in words:
        return f"{name} is one of {', '.join(words)}"
    if (words := _AS_EVER.get(name)) and value not in words:
        return f"{name} can only be {', '.join(words)} or left out, because the driver can't do more"
    if name in _REFUSED:
        return f"{name} is not taken: {_REFUSED[name]}"
    if name in _NUMBERS:
        return _number_fault(name, value)
    if name == "ssl":
        return None if value in {"true", *_MODES} else f"ssl is one of true, {', '.join(_MODES)}"
    return None if name in _TAKEN else _unknown(name, may_name=may_name)


def _number_fault(name: str, value: str) -> str | None:
    lowest, highest = _NUMBERS[name]
    try:
        read_whole(value, name, lowest=lowest, highest=highest)
    except UrlFault as fault:
        return str(fault)
    return None


def _unknown(name: str, *, may_name: bool) -> str:
    called = name if may_name and _PLAIN_NAME.fullmatch(name) else "one of its parameters"
    setting = "write a setting of the server as options=-c%20name%3Dvalue"
    return f"{called} is not known; {setting}; known are {', '.join(NAMES)}"


def _driver(given: Mapping[str, str]) -> dict[str, str]:
    """As asyncpg takes them; `ssl`, which others know, is `sslmode`. Raises: UrlFault where one excludes another."""
    driver = {name: given[name] for name in (*_DRIVER_WORDS, *_DRIVER_TEXTS) if name in given}
    if "ssl" in given:
        if "sslmode" in given:
            raise UrlFault("it has both ssl and sslmode")
        driver["sslmode"] = "require" if given["ssl"] == "true" else given["ssl"]
    if driver.get("sslrootcert") == SYSTEM and driver.setdefault("sslmode", "verify-full") != "verify-full":
        raise UrlFault(f"sslrootcert={SYSTEM} needs sslmode=verify-full")
    if driver.get("sslnegotiation") == "direct" and driver.get("sslmode") not in STRICT_MODES:
        raise UrlFault(f"sslnegotiation=direct needs sslmode to be one of {', '.join(STRICT_MODES)}")
    if driver.get("ssl_min_protocol_version", "") > driver.get("ssl_max_protocol_version", _VERSIONS[-1]):
        raise UrlFault("ssl_min_protocol_version is above ssl_max_protocol_version")
    return driver

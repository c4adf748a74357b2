"""What a URL of PostgreSQL says. Pure: it is read here and nowhere else, for the settings and for all who connect."""

from dataclasses import dataclass

from alert_history.urls.libpq import Parameters, read_parameters
from alert_history.urls.url import Host, Url, UrlFault, read_host, read_port, read_url

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "postgres+asyncpg")
_PORT = 5432


@dataclass(frozen=True, repr=False)
class PostgresUrl:
    """`hosts` are tried in order; without any, where PostgreSQL is by default. What is None has a default, too."""

    hosts: tuple[Host, ...]
    port: int | None
    user: str | None
    password: str | None
    database: str | None
    parameters: Parameters


def read_postgres_url(text: str) -> PostgresUrl:
    """`postgresql://user:password@host:5432/database`. Raises: UrlFault."""
    url = read_url(text, _SCHEMES)
    parameters = dict(url.parameters)
    may_name = not {"password", "sslpassword"} & parameters.keys()  # a piece of them may look like a name
    hosts, port = _places(url, parameters.pop("host", None), port=parameters.pop("port", None))
    return PostgresUrl(
        hosts=hosts,
        port=port,
        user=_either(url.user, parameters, "user"),
        password=_either(url.password, parameters, "password"),
        database=_either(url.path[1:] or None, parameters, "dbname", "database"),
        parameters=read_parameters(parameters, may_name=may_name),
    )


def _either(written: str | None, parameters: dict[str, str], *names: str) -> str | None:
    """What stands in front of the `?`, or after it. Drivers do not agree on which counts."""
    values = [value for value in (written, *(parameters.pop(name, None) for name in names)) if value is not None]
    if len(values) > 1:
        raise UrlFault(f"it gives the {names[0]} twice, before and after the ? or by two names")
    return values[0] if values else None


def _places(url: Url, names: str | None, *, port: str | None) -> tuple[tuple[Host, ...], int | None]:
    """The hosts, and a port for the default places where there are none."""
    if names is not None and url.hosts:
        raise UrlFault("it gives the host twice, before and after the ?")
    if port is not None and any(host.port for host in url.hosts):
        raise UrlFault("it gives the port twice, before and after the ?")
    hosts = [host.name for host in url.hosts] if names is None else [_bare(name) for name in names.split(",")]
    ports = [read_port(each) for each in port.split(",")] if port else [host.port for host in url.hosts]
    if len(ports) > 1 and len(ports) != len(hosts):
        raise UrlFault("it gives more or fewer ports than hosts")
    if not hosts:
        return (), ports[0] if ports else None
    if not any(ports):
        return tuple(Host(host, None) for host in hosts), None
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    return tuple(Host(host, each or _PORT) for host, each in zip(hosts, ports, strict=True)), None


def _bare(name: str) -> str:
    """A host of the parameter `host`, where an IPv6 address needs no brackets and has no port."""
    return read_host(name[1:-1] if name.startswith("[") and name.endswith("]") else name)

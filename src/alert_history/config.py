"""What the environment says, read once at the start.

Holds every variable, its default and what it may be. A wrong value stops the start, and all of them are told at once.
Must not connect to anything. For operators: docs/reference/configuration.md, which a test holds equal to `Settings`.
"""

import errno
import re
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alert_history.domain.classification import Mode
from alert_history.domain.flap_rules import Definition, parameters_of, read_flap_rule
from alert_history.domain.origin import parse_origins
from alert_history.domain.roles import read_role_map
from alert_history.domain.token import check_secret
from alert_history.errors import ConfigurationError, InvalidQuery
from alert_history.urls.files import check_postgres, check_redis
from alert_history.urls.hosts import read_host_names
from alert_history.urls.masking import masked_wrong_url
from alert_history.urls.postgres import read_postgres_url
from alert_history.urls.redis import read_redis_url
from alert_history.urls.secret import Secret, SecretUrl, SecretUrls
from alert_history.urls.url import UrlFault
from alert_history.urls.web import read_web_url

LogFormat = Literal["json", "console"]
AuthMode = Literal["none", "token", "oidc", "proxy"]

_MEBIBYTE = 1024 * 1024
_MAX_DAYS = 36_500  # a hundred years; many more, and there is no date that long ago
_MAX_FILE_BYTES = 64 * 1024
_YEAR_SECONDS = 31_536_000
_SHOWN_CHARACTERS = 80
_LIKENESS = 0.85

_WORD = re.compile(r"[\w.-]{1,64}", re.ASCII)
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_PATH = re.compile(r"[^\0]{1,4096}", re.DOTALL)
_ADDRESS = re.compile(r"[\w.:%-]{1,255}", re.ASCII)
_SQLITE_URL = re.compile(r"sqlite:///(?!:memory:$)[^?\0\ud800-\udfff]+")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_SCOPES = re.compile(r"(?=(?:.* )?openid(?: .*)?$)[!-~]+(?: [!-~]+)*", re.ASCII)
_CLAIM = re.compile(r"[!-~]{1,256}", re.ASCII)
_NEEDED_BY: Mapping[str | None, tuple[str, ...]] = {
    "oidc": ("oidc_issuer", "oidc_client_id", "public_url", "oidc_role_map"),
    "proxy": ("trusted_proxies", "oidc_role_map"),
}
"""What each mode of AUTH_MODE can't be without."""
_MODEL = re.compile(r"[\w.:/-]{1,128}", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,4096}", re.ASCII)
_SECRETS = re.compile(r"(?=[^,]|,+[^,])[!-~]{1,4096}", re.ASCII)
_WEBHOOK_SECRETS = "visible ASCII characters; several secrets separated by commas"
_PASSWORD = re.compile(r"[^\0\r\n]{1,4096}")
_PRICES = re.compile(r"\d{1,6}(?:\.\d{1,6})?/\d{1,6}(?:\.\d{1,6})?", re.ASCII)
_ORIGINS = "http or https URLs with commas between, `NAME=URL` to name one; special characters percent-encoded"
_A_POSTGRES_URL = "postgresql://user:password@host:5432/database, special characters in the password percent-encoded"


Given = Literal["default", "environment", "file"]
"""Where a value is from: `file` is one that `NAME_FILE` names."""


class Variable(NamedTuple):
    """A variable as an operator knows it."""

    name: str
    default: Any
    allowed: str
    meaning: str


def _matching(pattern: re.Pattern[str]) -> AfterValidator:
    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise ValueError(pattern.pattern)

    return _checked_by(check)


def networks_of(text: str | None) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks and addresses of `TRUSTED_PROXIES`; none where it is unset. Raises: ValueError."""
    return () if text is None else tuple(ip_network(part.strip(), strict=False) for part in text.split(","))


def _checked_by(check: Callable[[str], object]) -> AfterValidator:
    """Whatever `check` does not refuse, as it is; of a secret, the text is checked."""

    def checked(value: str | Secret) -> str | Secret:
        check(value.reveal() if isinstance(value, Secret) else value)
        return value

    return AfterValidator(checked)


def _check_database(text: str) -> None:
    if text.startswith("sqlite:"):
        _check_sqlite(text)
    else:
        _check_postgres(text)


def _check_sqlite(text: str) -> None:
    if not _SQLITE_URL.fullmatch(text):
        raise UrlFault("a file is sqlite:///path, without ?, and :memory: is none")


def _check_postgres(text: str) -> None:
    check_postgres(read_postgres_url(text))


def _check_redis(text: str) -> None:
    check_redis(read_redis_url(text))


class _FlapFault(ValueError):
    """What is wrong with parameters of flapping."""


class _RoleFault(ValueError):
    """What is wrong with the roles of people."""


def _check_flaps(definition: Definition, text: str) -> None:
    try:
        read_flap_rule(definition, text)
    except InvalidQuery as error:
        raise _FlapFault(str(error)) from None


def _check_roles(text: str) -> None:
    try:
        read_role_map(text)
    except InvalidQuery as error:
        raise _RoleFault(str(error)) from None


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _log_format() -> LogFormat:
    return "console" if sys.stderr.isatty() else "json"


def _whole(default: int | None, low: int, high: int, *, meaning: str) -> Any:
    allowed = f"a whole number from {low} to {high}"
    return Field(default, ge=low, le=high, description=meaning, json_schema_extra={"allowed": allowed})


def _amount(default: float, *, meaning: str) -> Any:
    allowed = "an amount from 0 to 1000000"
    extra: dict[str, Any] = {"allowed": allowed, "default": f"{default:g}"}
    return Field(default, ge=0, le=1_000_000, allow_inf_nan=False, description=meaning, json_schema_extra=extra)


def _patterns(text: str) -> str:
    """Refuses what RE2 can't compile. Imported when needed: most start without."""
    import re2

    for line in text.splitlines():
        try:
            re2.compile(line)
        except re2.error as error:
            raise ValueError(str(error)) from None
    return text


def _flag(*, default: bool, meaning: str) -> Any:
    allowed = "true or false"
    return Field(default, description=meaning, json_schema_extra={"allowed": allowed, "default": str(default).lower()})


def _text(default: str | None, allowed: str, *, meaning: str) -> Any:
    return Field(default, description=meaning, json_schema_extra={"allowed": allowed})


def _flaps(definition: Definition, name: str) -> Any:
    allowed = f"`NAME=VALUE`, with commas between, of {', '.join(parameters_of(definition))}"
    return _text(None, allowed, meaning=f"What is flapping as {name} defines it; unset: its defaults")


class Settings(BaseModel):
    """The configuration of one process. Made by `load_settings`; its text forms show no password."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    database_url: Annotated[SecretUrl, _checked_by(_check_database)] = _text(
        "sqlite:///alert_history.db",
        f"{_A_POSTGRES_URL}, or sqlite:///path (four slashes: an absolute path)",
        meaning="Where history is kept",
    )
    read_database_url: Annotated[SecretUrl, _checked_by(_check_postgres)] | None = _text(
        None, _A_POSTGRES_URL, meaning="A replica of a PostgreSQL `DATABASE_URL`, to read from"
    )
    redis_url: Annotated[SecretUrl, _checked_by(_check_redis)] | None = _text(
        None,
        "redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path; special characters percent-encoded",
        meaning="Where replicas call out to each other (optional): without it they find out a second later",
    )
    redis_password: Annotated[Secret, _matching(_PASSWORD)] | None = _text(
        None, "a line of text, as it is", meaning="The password, if it is not in `REDIS_URL`"
    )
    host: Annotated[str, _matching(_ADDRESS)] = _text(
        "0.0.0.0",  # noqa: S104  # a container that listens on loopback can't be reached at all
        "an address or a host name of this machine",
        meaning="Where to listen; `127.0.0.1` for this machine alone, `::` for IPv6 as well",
    )
    port: int = _whole(8080, 1, 65535, meaning="The port to listen on")
    workers: int = _whole(1, 1, 64, meaning="Processes that share the port")
    environment: Annotated[str, _matching(_WORD)] = _text(
        "production", "a word: letters, digits, `_`, `.`, `-`", meaning="What you call this installation"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = _text(
        "info", "debug, info, warning or error, in upper or lower case", meaning="The least severe events to log"
    )
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = Field(
        default_factory=_log_format,
        description="How events are logged, on standard error",
        json_schema_extra={"allowed": "json or console", "default": "console on a terminal, else json"},
    )
    publishing_enabled: bool = _flag(
        default=True, meaning="Whether alerts sent to `/webhook/proxy` are passed on to targets"
    )
    target_discovery_enabled: bool = _flag(
        default=False, meaning="Whether targets are looked for in Kubernetes Secrets"
    )
    target_discovery_namespace: Annotated[str, _matching(_NAMESPACE)] | None = _text(
        None,
        "a namespace: lower-case letters, digits, `-`",
        meaning="Whose Secrets; unset: the namespace we run in, or that of the kubeconfig's context",
    )
    target_discovery_kubeconfig: Annotated[str, _matching(_PATH)] | None = _text(
        None, "the path of a kubeconfig", meaning="How to reach the API server from outside the cluster"
    )
    targets_dir: Annotated[str, _matching(_PATH)] | None = _text(
        None, "the path of a folder", meaning="Where targets are looked for in files, one folder a target"
    )
    routes_file: Annotated[str, _matching(_PATH)] | None = _text(
        None,
        "the path of a YAML file with routes",
        meaning="Which alerts go to which targets, grouped how and when not; unset: each target's own `match` decides",
    )
    allow_private_targets: bool = _flag(
        default=False, meaning="Whether targets may be at private and loopback addresses"
    )
    enrichment_mode: Annotated[Mode, BeforeValidator(_lower)] = _text(
        "transparent",
        "transparent, enriched or transparent_with_recommendations",
        meaning="The mode until somebody switches it; a switch is kept in the database and outlives a restart",
    )
    enrichment_deadline_seconds: int = _whole(
        10, 1, 300, meaning="How long an alert waits for its classification before it goes out without"
    )
    llm_proxy_url: Annotated[SecretUrl, _checked_by(read_web_url)] | None = _text(
        None,
        "an http or https URL without a query",
        meaning="An OpenAI-compatible proxy; unset: alerts are classified by rules",
    )
    llm_model: Annotated[str, _matching(_MODEL)] = _text(
        "gpt-4", "the name of a model: letters, digits, `.`, `_`, `:`, `/`, `-`", meaning="The model to ask"
    )
    llm_api_key: Annotated[Secret, _matching(_TOKEN)] | None = _text(
        None, "visible ASCII characters", meaning="The key for the proxy, if it wants one"
    )
    llm_timeout_seconds: int = _whole(30, 1, 600, meaning="How long one call to the proxy may take")
    llm_cache_ttl_seconds: int = _whole(
        86_400, 1, _YEAR_SECONDS, meaning="How long a classification serves further alerts of the same shape"
    )
    llm_max_tokens_per_minute: int = _whole(
        60_000, 1, 1_000_000_000, meaning="Tokens a minute, all replicas together, before calls wait"
    )
    llm_daily_budget_usd: float = _amount(
        10.0, meaning="US dollars a day (UTC), all replicas together, before calls stop until the next day"
    )
    llm_usd_per_million_tokens: Annotated[str, _matching(_PRICES)] = _text(
        "2.5/10", "two amounts, `prompt/completion`", meaning="The price by which the daily budget is counted"
    )
    llm_redact: Annotated[str, AfterValidator(_patterns)] | None = _text(
        None, "regular expressions (RE2), one a line", meaning="What else is blanked before a text leaves for the proxy"
    )
    pagerduty_webhook_secret: Annotated[Secret, _matching(_TOKEN)] | None = _text(
        None, _WEBHOOK_SECRETS, meaning="What PagerDuty signs its webhooks to `/webhook/pagerduty` with"
    )
    rootly_webhook_secret: Annotated[Secret, _matching(_TOKEN)] | None = _text(
        None, _WEBHOOK_SECRETS, meaning="What Rootly signs its webhooks to `/webhook/rootly` with"
    )
    webhook_hmac_secret: Annotated[Secret, _matching(_SECRETS)] | None = _text(
        None, _WEBHOOK_SECRETS, meaning="What Grafana and others sign what they send with; unset: nobody looks"
    )
    alertmanager_urls: Annotated[SecretUrls, _checked_by(parse_origins)] | None = _text(
        None, _ORIGINS, meaning="Alertmanagers to compare history with; peers of a cluster under one name"
    )
    prometheus_urls: Annotated[SecretUrls, _checked_by(parse_origins)] | None = _text(
        None, _ORIGINS, meaning="Prometheus servers to compare history with; replicas under one name"
    )
    reconcile_interval_seconds: int = _whole(30, 1, 3600, meaning="How often they are asked")
    reconcile_publishes: bool = _flag(
        default=False, meaning="Whether targets hear of alerts that were found firing there, and that nobody sent"
    )
    silence_writes: bool = _flag(
        default=False,
        meaning="Whether silences may be made and ended through Alertmanager's API here; the Alertmanager gets them",
    )
    stale_after_seconds: int | None = _whole(
        None,
        1,
        _YEAR_SECONDS,
        meaning="How long an alert fires without a sign before it is called unconfirmed; unset: learnt from its sender",
    )
    stale_ends_after_seconds: int = _whole(
        604_800, 0, _YEAR_SECONDS, meaning="How long an alert stays unconfirmed before it is ended; 0: for ever"
    )
    expire_after_seconds: int = _whole(
        900,
        0,
        _YEAR_SECONDS,
        meaning="How long an alert stays unconfirmed that its sender has to send again, before it is ended",
    )
    trusted_proxies: Annotated[str, _checked_by(networks_of)] | None = _text(
        None,
        "addresses and networks, separated by commas: 10.0.0.0/8,192.168.1.7",
        meaning="Proxies that tell who sent a request, by `X-Forwarded-For` and `X-Forwarded-Proto`; unset: none does",
    )
    retention_days: int = _whole(
        365,
        1,
        _MAX_DAYS,
        meaning="How long occurrences, their events, acts of people and what was classified are kept",
    )
    audit_retention_days: int = _whole(
        365, 1, _MAX_DAYS, meaning="How long entries of the audit are kept, by whole days"
    )
    rollup_retention_days: int = _whole(
        1825, 1, _MAX_DAYS, meaning="How long the numbers of the history are kept, also when its occurrences are gone"
    )
    body_retention_days: int = _whole(7, 1, _MAX_DAYS, meaning="How long raw bodies of requests are kept")
    flap_definition: Annotated[Definition, BeforeValidator(_lower)] = _text(
        "ours", "ours, nagios, icinga, kibana or newrelic", meaning="Whose definition of flapping counts, by its name"
    )
    flap_ours: Annotated[str, _checked_by(partial(_check_flaps, "ours"))] | None = _flaps("ours", "Alert History")
    flap_nagios: Annotated[str, _checked_by(partial(_check_flaps, "nagios"))] | None = _flaps("nagios", "Nagios")
    flap_icinga: Annotated[str, _checked_by(partial(_check_flaps, "icinga"))] | None = _flaps("icinga", "Icinga 2")
    flap_kibana: Annotated[str, _checked_by(partial(_check_flaps, "kibana"))] | None = _flaps("kibana", "Kibana")
    flap_newrelic: Annotated[str, _checked_by(partial(_check_flaps, "newrelic"))] | None = _flaps(
        "newrelic", "New Relic"
    )
    max_body_bytes: int = _whole(
        10 * _MEBIBYTE, 1024, 1024 * _MEBIBYTE, meaning="The largest body of a request, also when unpacked"
    )
    max_alerts_per_request: int = _whole(10_000, 1, 1_000_000, meaning="The most alerts in one request")
    max_pending_bytes: int = _whole(
        32 * _MEBIBYTE,
        1024,
        16 * 1024 * _MEBIBYTE,
        meaning="Bodies that may wait for a commit before others are answered 503",
    )
    max_import_bytes: int = _whole(
        1024 * _MEBIBYTE,
        1024,
        1024 * 1024 * _MEBIBYTE,
        meaning="The largest file that may be sent to be imported; it lies in `TMPDIR` meanwhile",
    )
    shutdown_grace_seconds: int = _whole(25, 1, 3600, meaning="How long a stop may take after SIGTERM")
    auth_mode: Annotated[AuthMode, BeforeValidator(_lower)] | None = _text(
        None,
        "none, token, oidc or proxy",
        meaning="How callers say who they are; unset: as `none`, everybody who can connect may do all, with a warning",
    )
    auth_none_accepted: bool = _flag(
        default=False, meaning="Whether `AUTH_MODE=none` is meant so, where `ENVIRONMENT=production` is set"
    )
    admin_token: Annotated[Secret, _checked_by(check_secret)] | None = _text(
        None,
        "`aht_` and 256 random bits in base64url, 43 characters",
        meaning="A token that may do all, besides those of `alert-history token`: the first of an installation",
    )
    ingest_auth: Annotated[Literal["open", "required"], BeforeValidator(_lower)] = _text(
        "open",
        "open or required",
        meaning="Whether senders need a token; `open`: as soon as there is a token with the scope ingest",
    )
    metrics_auth: Annotated[Literal["open", "required"], BeforeValidator(_lower)] = _text(
        "open", "open or required", meaning="Whether `/metrics` needs a token with the scope read"
    )

    mcp_allowed_hosts: Annotated[str, _checked_by(read_host_names)] | None = _text(
        None,
        "host names with commas between, `*` for all",
        meaning="The names under which `/mcp` may be asked, besides `localhost`, addresses and that of `PUBLIC_URL`",
    )
    auth_proxy_user_header: Annotated[str, _matching(_HEADER)] = _text(
        "X-Forwarded-User", "the name of a header", meaning="Where a proxy of `TRUSTED_PROXIES` says who calls"
    )
    auth_proxy_groups_header: Annotated[str, _matching(_HEADER)] = _text(
        "X-Forwarded-Groups", "the name of a header", meaning="Where it says their groups, with commas between"
    )
    oidc_issuer: Annotated[str, _checked_by(read_web_url)] | None = _text(
        None, "an http or https URL without a query", meaning="The identity provider, by its issuer"
    )
    oidc_client_id: Annotated[str, _matching(_TOKEN)] | None = _text(
        None, "visible ASCII characters", meaning="What the provider calls this service"
    )
    oidc_client_secret: Annotated[Secret, _matching(_TOKEN)] | None = _text(
        None,
        "visible ASCII characters",
        meaning="The secret that goes with it; unset: a public client, by PKCE alone",
    )
    oidc_scopes: Annotated[str, _matching(_SCOPES)] = _text(
        "openid profile email",
        "words with spaces between, `openid` among them",
        meaning="What the provider is asked for",
    )
    oidc_groups_claim: Annotated[str, _matching(_CLAIM)] = _text(
        "groups",
        "the name of a claim, or its way with dots between",
        meaning="Where the provider says somebody's groups: in the ID token, or in `userinfo`",
    )
    oidc_user_claim: Annotated[str, _matching(_CLAIM)] | None = _text(
        None,
        "the name of a claim, or its way with dots between",
        meaning="What people are called by; unset: `preferred_username`, else `email`, else `sub`",
    )
    public_url: Annotated[str, _checked_by(read_web_url)] | None = _text(
        None,
        "an http or https URL without a query",
        meaning="Where browsers reach this service: the provider sends them back to `PUBLIC_URL/login/oidc/callback`",
    )
    oidc_role_map: Annotated[str, _checked_by(_check_roles)] | None = _text(
        None,
        "`GROUP=SCOPE QUERY` with `;` or lines between, of read, operate, admin; `*`: everybody who signed in",
        meaning="What people may do, by their groups, and what alone they see",
    )
    sign_in_hours: int = _whole(12, 1, 8760, meaning="How long a browser stays signed in, used or not")


def variables() -> list[Variable]:
    """Every variable, in the order of the reference page. A default that depends on something is told in words."""
    listed = []
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        words = extra if isinstance(extra, dict) else {}
        default = words.get("default", field.default)
        listed.append(Variable(name.upper(), default, str(words["allowed"]), field.description or ""))
    return listed


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the configuration. `NAME_FILE` names a file that holds the value of `NAME`, without its last newline.

    Raises: ConfigurationError with every fault: the variable, what it holds (no secrets), what is allowed.
    """
    values, faults = _given(environ)
    settings, more_faults = _validated(values)
    faults |= more_faults
    if settings is None or faults:
        raise ConfigurationError([faults[name] for name in Settings.model_fields if name in faults])
    return settings


class EffectiveSetting(NamedTuple):
    """A variable with the value that is in force, as everybody may read it; None where it is unset."""

    variable: Variable
    value: str | None
    given: Given


def effective_settings(settings: Settings, environ: Mapping[str, str]) -> list[EffectiveSetting]:
    """All variables with their values, in the order of the reference page. Of a secret only that it is set is shown."""
    return [_effective(settings, variable, environ) for variable in variables()]


def _effective(settings: Settings, variable: Variable, environ: Mapping[str, str]) -> EffectiveSetting:
    field = variable.name.lower()
    value = getattr(settings, field)
    shown = "set" if type(value) is Secret else str(value).lower() if isinstance(value, bool) else str(value)
    given: Given = "default"
    if field in settings.model_fields_set:
        given = "file" if f"{variable.name}_FILE" in environ else "environment"
    return EffectiveSetting(variable, None if value is None else shown, given)


def near_misses(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that looks like a misspelt one of ours. A guess: show it as a hint."""
    known = [variable.name for variable in variables()]
    lines = []
    for name in sorted(environ):
        likely = get_close_matches(name.removesuffix("_FILE"), known, n=1, cutoff=_LIKENESS)
        if likely and name.removesuffix("_FILE") not in known and likely[0] not in environ:
            lines.append(f"{name} is set but means nothing here; {likely[0]} does")
    return lines


def _given(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The values that are set, and the faults of those that can't be told, both by field name."""
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name in Settings.model_fields:
        try:
            value = _value(environ, name.upper())
        except ValueError as error:
            faults[name] = str(error)
            continue
        if value:
            values[name] = value
        elif value == "":  # more often an accident than a wish for the default
            faults[name] = f"{name.upper()} is empty; unset it for the default, or give {_allowed(name)}"
    return values, faults


def _value(environ: Mapping[str, str], name: str) -> str | None:
    """What is set, itself or in a file; None if nothing is. Raises ValueError with the fault."""
    path = environ.get(f"{name}_FILE")
    if path is None:
        return environ.get(name)
    if name in environ:
        raise ValueError(f"{name} and {name}_FILE are both set; unset one")
    try:
        return _read_file(Path(path)).removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        fault = "is not UTF-8 text"
    except OSError as error:
        fault = f"can't be read: {error.strerror}"
    is_secret = _secret_type(name.lower()) is not None  # which is easily put where the path belongs
    raise ValueError(f"{name}_FILE names a file that {fault}" if is_secret else f"{name}_FILE={path!r} {fault}")


def _read_file(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {_MAX_FILE_BYTES} bytes")
    return content.decode()


def _validated(values: Mapping[str, Any]) -> tuple[Settings | None, dict[str, str]]:
    """The settings if they can be made, and the faults by field name."""
    try:
        settings = Settings(**values)
    except ValidationError as error:
        faults = {str(each["loc"][0]): each.get("ctx", {}).get("error") for each in error.errors(include_url=False)}
        return None, {name: _fault(name, values[name], fault) for name, fault in faults.items()}
    if settings.read_database_url and settings.database_url.reveal().startswith("sqlite:"):
        fault = "READ_DATABASE_URL is set, but DATABASE_URL is not PostgreSQL; unset one of them"
        return settings, {"read_database_url": fault}
    return settings, _auth_faults(settings)


def _auth_faults(settings: Settings) -> dict[str, str]:
    """What of the settings on trust does not go together. What nobody wrote out is warned of at the start, not here."""
    is_production = settings.environment == "production" and "environment" in settings.model_fields_set
    if settings.auth_mode == "none" and is_production and not settings.auth_none_accepted:
        fault = (
            "AUTH_MODE=none lets everybody who can connect read all and switch modes; "
            "set AUTH_NONE_ACCEPTED=true if that is meant, else AUTH_MODE=token"
        )
        return {"auth_mode": fault}
    return {
        name: f"{name.upper()} is unset, but AUTH_MODE={settings.auth_mode} needs it: give {_allowed(name)}"
        for name in _NEEDED_BY.get(settings.auth_mode, ())
        if getattr(settings, name) is None
    }


def _fault(name: str, given: str, error: Exception | None) -> str:
    if isinstance(error, UrlFault):
        return f"{name.upper()}={masked_wrong_url(given)!r} is not allowed: {error}; give {_allowed(name)}"
    shown = _shown(name, given)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
    is_told = _secret_type(name) is SecretUrls or isinstance(
        error, (_FlapFault, _RoleFault)
    )  # it names the one of many
    why = f", because {error}" if is_told else ""
    return f"{name.upper()}={shown!r} is not allowed{why}; give {_allowed(name)}"


def _allowed(name: str) -> str:
    return next(variable.allowed for variable in variables() if variable.name == name.upper())


def _shown(name: str, text: str) -> str:
    """What was given for it, as it may be read by everybody."""
    secret = _secret_type(name)
    return text if secret is None else secret.masked(text)


def _secret_type(name: str) -> type[Secret] | None:
    """The type of a setting that is secret, wholly or in part."""
    annotation = Settings.model_fields[name].annotation
    parts = [annotation, *get_args(annotation), *(part for union in get_args(annotation) for part in get_args(union))]
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Secret)), None)

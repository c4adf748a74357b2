"""The configuration: what is allowed, how faults are message, and that no password shows."""

import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Annotated, cast

import msgspec
import pytest
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from rich.console import Console
from rich.pretty import Pretty
from structlog.processors import JSONRenderer, KeyValueRenderer

from alert_history import config
from alert_history.config import Settings, effective_settings, load_settings, near_misses, variables
from alert_history.domain.token import new_secret
from alert_history.errors import ConfigurationError
from alert_history.urls.masking import masked_url, masked_urls
from alert_history.urls.secret import Secret, SecretUrl, SecretUrls

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"
POSTGRES = "postgresql://ada:s3cret@db.example.com/alerts"
SECRET = "s3cret"  # noqa: S105  # of nothing


def faults(**environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    return caught.value.faults


def fault(**environ: str) -> str:
    (only,) = faults(**environ)
    return only


def test_an_empty_environment_serves_sqlite_on_8080() -> None:
    settings = load_settings({})
    assert (settings.database_url.reveal(), settings.port) == ("sqlite:///alert_history.db", 8080)


def test_every_variable_is_read() -> None:
    given = {
        "DATABASE_URL": POSTGRES,
        "READ_DATABASE_URL": "postgresql://replica/alerts",
        "REDIS_URL": "rediss://:pw@cache:6380/1",
        "REDIS_PASSWORD": "p@ss/wörd#1 :",
        "ENRICHMENT_MODE": "enriched",
        "ENRICHMENT_DEADLINE_SECONDS": "5",
        "LLM_PROXY_URL": "http://llm-proxy.llm-namespace:8080",
        "LLM_MODEL": "meta/llama-4:70b",
        "LLM_API_KEY": "sk-secret",
        "LLM_TIMEOUT_SECONDS": "20",
        "LLM_CACHE_TTL_SECONDS": "3600",
        "LLM_MAX_TOKENS_PER_MINUTE": "9000",
        "LLM_DAILY_BUDGET_USD": "2.5",
        "LLM_USD_PER_MILLION_TOKENS": "1/2.5",
        "LLM_REDACT": "internal-[a-z]+",
        "PAGERDUTY_WEBHOOK_SECRET": "9dDuNlSmXZ0k,of-the-other-subscription",
        "ROOTLY_WEBHOOK_SECRET": "rootly-5f2c0a91",
        "WEBHOOK_HMAC_SECRET": "of-grafana,of-grafana-before",
        "HOST": "127.0.0.1",
        "PORT": "9000",
        "WORKERS": "2",
        "ENVIRONMENT": "staging",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "console",
        "PUBLISHING_ENABLED": "false",
        "TARGET_DISCOVERY_ENABLED": "true",
        "TARGET_DISCOVERY_NAMESPACE": "alert-targets",
        "TARGET_DISCOVERY_KUBECONFIG": "~/.kube/config",
        "TARGETS_DIR": "/etc/alert-history/targets",
        "ROUTES_FILE": "/etc/alert-history/routes.yml",
        "ALLOW_PRIVATE_TARGETS": "true",
        "ALERTMANAGER_URLS": "am=http://a:9093,am=http://b:9093,http://c:9093",
        "PROMETHEUS_URLS": "https://ada:p%40ss@prometheus/eu",
        "RECONCILE_INTERVAL_SECONDS": "60",
        "RECONCILE_PUBLISHES": "true",
        "SILENCE_WRITES": "true",
        "STALE_AFTER_SECONDS": "7200",
        "STALE_ENDS_AFTER_SECONDS": "0",
        "EXPIRE_AFTER_SECONDS": "600",
        "TRUSTED_PROXIES": "10.0.0.0/8,192.168.1.7,2001:db8::/32",
        "RETENTION_DAYS": "30",
        "AUDIT_RETENTION_DAYS": "730",
        "ROLLUP_RETENTION_DAYS": "400",
        "BODY_RETENTION_DAYS": "3",
        "FLAP_DEFINITION": "nagios",
        "FLAP_OURS": "window_seconds=7200,limit=6",
        "FLAP_NAGIOS": "high_share=0.5",
        "FLAP_ICINGA": "check_interval_seconds=60",
        "FLAP_KIBANA": "look_back_window=10, status_change_threshold=3",
        "FLAP_NEWRELIC": "seconds=60",
        "MAX_BODY_BYTES": "2048",
        "MAX_ALERTS_PER_REQUEST": "5",
        "MAX_PENDING_BYTES": "4096",
        "MAX_IMPORT_BYTES": "8192",
        "SHUTDOWN_GRACE_SECONDS": "10",
        "AUTH_MODE": "token",
        "AUTH_NONE_ACCEPTED": "true",
        "ADMIN_TOKEN": new_secret(),
        "INGEST_AUTH": "required",
        "METRICS_AUTH": "required",
        "MCP_ALLOWED_HOSTS": "alerts.example,history.monitoring.svc",
        "AUTH_PROXY_USER_HEADER": "Remote-User",
        "AUTH_PROXY_GROUPS_HEADER": "Remote-Groups",
        "OIDC_ISSUER": "https://id.example/realms/ops",
        "OIDC_CLIENT_ID": "alert-history",
        "OIDC_CLIENT_SECRET": "s3cret-of-ours",
        "OIDC_SCOPES": "openid groups",
        "OIDC_GROUPS_CLAIM": "realm_access.roles",
        "OIDC_USER_CLAIM": "email",
        "PUBLIC_URL": "https://alerts.example/history",
        "OIDC_ROLE_MAP": "sre=admin; *=read",
        "SIGN_IN_HOURS": "8",
    }
    dumped = load_settings(given).model_dump().items()
    read = {name.upper(): value.reveal() if isinstance(value, Secret) else value for name, value in dumped}
    read = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in read.items()}
    assert read == given


@pytest.mark.parametrize(
    "name, value",
    [
        ("ENRICHMENT_MODE", "loud"),
        ("ENRICHMENT_DEADLINE_SECONDS", "0"),
        ("REDIS_URL", "http://cache"),
        ("LLM_PROXY_URL", "llm-proxy:8080"),
        ("LLM_DAILY_BUDGET_USD", "-1"),
        ("LLM_USD_PER_MILLION_TOKENS", "2.5"),
        ("LLM_REDACT", "fine\n(unclosed"),
    ],
)
def test_a_wrong_value_of_enrichment_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load_settings({name: value})


@pytest.mark.parametrize(
    "name, value, why",
    [
        ("FLAP_OURS", "limit=0", "limit: Expected `int` >= 1"),
        ("FLAP_OURS", "limit=1,limit=2", "names a parameter twice"),
        ("FLAP_NAGIOS", "limit=3", "'limit' is no parameter of flapping as nagios defines it"),
        ("FLAP_ICINGA", "low_share=0.5", "low_share must not be above high_share"),
    ],
)
def test_a_wrong_parameter_of_flapping_is_told_with_its_reason(name: str, value: str, why: str) -> None:
    assert f", because {why}" in fault(**{name: value}).replace(f"{value!r} ", "")


@pytest.mark.parametrize(
    "value, why",
    [("sre=root", "'root' is no scope of people"), ('a=admin {team="x"}', "narrow a token with read or operate")],
)
def test_a_wrong_role_is_told_with_its_reason(value: str, why: str) -> None:
    assert why in fault(OIDC_ROLE_MAP=value)


def test_a_mode_that_lacks_what_it_needs_is_a_fault() -> None:
    assert fault(AUTH_MODE="proxy", OIDC_ROLE_MAP="*=read").startswith("TRUSTED_PROXIES is unset, but AUTH_MODE=proxy")
    whole = load_settings({"AUTH_MODE": "proxy", "OIDC_ROLE_MAP": "*=read", "TRUSTED_PROXIES": "10.0.0.1"})
    assert whole.auth_mode == "proxy"
    with pytest.raises(ConfigurationError) as told:
        load_settings({"AUTH_MODE": "oidc"})
    assert [each.partition(" ")[0] for each in told.value.faults] == [
        "OIDC_ISSUER",
        "OIDC_CLIENT_ID",
        "PUBLIC_URL",
        "OIDC_ROLE_MAP",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///alert_history.db",
        "sqlite:////var/lib/alert-history/history.db",
        POSTGRES,
        "postgres://db/alerts",
        "postgresql+asyncpg://ada:a%2Fb%40c@db:5433/alerts?sslmode=require",
        "postgresql://ada@[2001:db8::1]:5432/alerts",
        "postgresql://ada@one:5432,two:5433/alerts",
        "postgresql:///alerts?host=/run/postgresql",
    ],
)
def test_database_urls_that_are_accepted(url: str) -> None:
    assert load_settings({"DATABASE_URL": url}).database_url.reveal() == url


@pytest.mark.parametrize(
    "url",
    [
        *("alerts", "mysql://db/alerts", "postgresql:alerts", "postgresql+psycopg://db/alerts", "http://db/alerts"),
        *("sqlite://", "sqlite:///", "sqlite://alerts.db", "sqlite:///:memory:", "sqlite:///a.db?mode=ro"),
        *("postgresql://ada:a/b@db/alerts", "postgresql://ada:a#b@db/alerts", "postgresql://db:port/alerts"),
        *("postgresql://db/alerts\n", " postgresql://db/alerts"),
    ],
)
def test_other_database_urls_stop_the_start(url: str) -> None:
    assert fault(DATABASE_URL=url).startswith("DATABASE_URL=")


@pytest.mark.parametrize(
    "name,value",
    [
        *(("PORT", "0"), ("PORT", "65536"), ("PORT", "http"), ("PORT", "80.5"), ("WORKERS", "0"), ("WORKERS", "many")),
        *(("RETENTION_DAYS", "0"), ("RETENTION_DAYS", "99999999999"), ("BODY_RETENTION_DAYS", "-1")),
        *(("ROLLUP_RETENTION_DAYS", "0"), ("AUDIT_RETENTION_DAYS", "0")),
        *(("MAX_BODY_BYTES", "10MB"), ("MAX_ALERTS_PER_REQUEST", "0"), ("MAX_PENDING_BYTES", "1")),
        *(
            ("RECONCILE_INTERVAL_SECONDS", "0"),
            ("RECONCILE_INTERVAL_SECONDS", "3601"),
            ("RECONCILE_PUBLISHES", "maybe"),
        ),
        *(("STALE_AFTER_SECONDS", "0"), ("STALE_AFTER_SECONDS", "learnt"), ("STALE_AFTER_SECONDS", "31536001")),
        *(("STALE_ENDS_AFTER_SECONDS", "-1"), ("EXPIRE_AFTER_SECONDS", "-1")),
        *(("TRUSTED_PROXIES", "proxy"), ("TRUSTED_PROXIES", "10.0.0.0/33"), ("TRUSTED_PROXIES", "10.0.0.1,")),
        *(
            ("FLAP_DEFINITION", "zabbix"),
            ("MAX_IMPORT_BYTES", "1GB"),
            ("SHUTDOWN_GRACE_SECONDS", "0"),
            ("LOG_LEVEL", "loud"),
            ("LOG_FORMAT", "xml"),
            ("HOST", "a b"),
        ),
        *(("ENVIRONMENT", "a b"), ("AUTH_MODE", "basic"), ("INGEST_AUTH", "closed")),
        ("OIDC_SCOPES", "profile"),
    ],
)
def test_a_fault_says_the_variable_the_value_and_what_is_allowed(name: str, value: str) -> None:
    allowed = {variable.name: variable.allowed for variable in variables()}
    assert fault(**{name: value}) == f"{name}={value!r} is not allowed; give {allowed[name]}"


@pytest.mark.parametrize("level", ["info", "INFO", "Info"])
def test_log_level_is_read_in_any_case(level: str) -> None:
    assert load_settings({"LOG_LEVEL": level}).log_level == "info"


def test_all_faults_are_told_at_once_in_the_order_of_the_page() -> None:
    given = {"WORKERS": "x", "PORT": "y", "WEBHOOK_HMAC_SECRET": ",", "HOST": "", "LOG_LEVEL_FILE": "/nonexistent"}
    message = faults(**given)
    assert [line.split("=")[0].split()[0] for line in message] == [
        "HOST",
        "PORT",
        "WORKERS",
        "LOG_LEVEL_FILE",
        "WEBHOOK_HMAC_SECRET",
    ]


@pytest.mark.parametrize("value", [",", ",,", "two words", "ü"])
def test_signatures_that_are_asked_for_are_not_left_out_in_silence(value: str) -> None:
    """A list without a secret would let everybody in, as if nothing had been asked for."""
    assert fault(WEBHOOK_HMAC_SECRET=value).startswith("WEBHOOK_HMAC_SECRET='***' is not allowed")
    settings = load_settings({"WEBHOOK_HMAC_SECRET": f"{SECRET},"})
    assert settings.webhook_hmac_secret is not None
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("value", ["changeme", "aht_short", "aht_" + "a" * 42, "aht_" + "ä" * 43, "A" * 47])
def test_a_first_token_that_could_be_guessed_is_a_fault_and_is_not_shown(value: str) -> None:
    message = fault(ADMIN_TOKEN=value)
    assert message.startswith("ADMIN_TOKEN='***' is not allowed")
    assert value not in message


def test_a_first_token_is_read_from_a_file_as_every_value_is(tmp_path: Path) -> None:
    secret = new_secret()
    (tmp_path / "token").write_text(f"{secret}\n")
    settings = load_settings({"ADMIN_TOKEN_FILE": str(tmp_path / "token")})
    assert settings.admin_token is not None
    assert settings.admin_token.reveal() == secret
    assert secret not in repr(settings)


@pytest.mark.parametrize("name", [variable.name for variable in variables()])
def test_a_variable_set_to_nothing_is_a_fault(name: str) -> None:
    assert fault(**{name: ""}).startswith(f"{name} is empty")


def test_a_replica_of_sqlite_is_a_fault() -> None:
    assert "READ_DATABASE_URL" in fault(READ_DATABASE_URL="postgresql://replica/alerts")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_gives_the_value_without_its_last_newline(tmp_path: Path, end: str) -> None:
    file = tmp_path / "url"
    file.write_bytes(f"{POSTGRES}{end}".encode())
    assert load_settings({"DATABASE_URL_FILE": str(file)}).database_url.reveal() == POSTGRES


def test_only_one_newline_is_taken_off_a_file(tmp_path: Path) -> None:
    file = tmp_path / "port"
    file.write_text("info\n\n")
    assert fault(LOG_LEVEL_FILE=str(file)).startswith("LOG_LEVEL=")


def test_a_variable_and_its_file_together_are_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "port"
    file.write_text("80")
    assert fault(PORT="80", PORT_FILE=str(file)) == "PORT and PORT_FILE are both set; unset one"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 100_000])
def test_a_file_that_holds_no_short_text_is_a_fault(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "port"
    file.write_bytes(content)
    assert fault(PORT_FILE=str(file)).startswith(f"PORT_FILE={str(file)!r} ")


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert "can't be read: No such file" in fault(PORT_FILE=str(tmp_path / "port"))


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).port = 1


@pytest.mark.parametrize("show", [repr, str])
def test_settings_show_no_password(show: type) -> None:
    like_a_url = f"redis://{SECRET}"
    given = {"READ_DATABASE_URL": POSTGRES, "REDIS_PASSWORD": like_a_url, "LLM_API_KEY": like_a_url}
    given |= {"ALERTMANAGER_URLS": f"http://a,am=http://ada:{SECRET}@b", "PROMETHEUS_URLS": f"http://{SECRET}@p"}
    settings = load_settings({"DATABASE_URL": POSTGRES, **given})
    assert SECRET not in show(settings)


class SettingsOfTomorrow(Settings):
    """With secrets that nobody has written down anywhere else."""

    signing_key: Secret = Secret(SECRET)
    mirror_url: SecretUrl | None = None
    peers: SecretUrls | None = None


TOMORROW = {
    "signing_key": f"key-{SECRET}",
    "mirror_url": f"https://ada:{SECRET}@mirror",
    "peers": f"a=http://{SECRET}@b",
}


def printed_by_rich(value: object) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(value, Pretty(value), Pretty(dict(value)) if isinstance(value, BaseModel) else "")
    return cast("StringIO", console.file).getvalue()


@pytest.mark.parametrize(
    "show",
    [
        *(repr, str, "{}".format, "{0!r:>9}".format, "%s".__mod__, printed_by_rich),
        lambda settings: settings.model_dump_json(),
        lambda settings: str(settings.model_dump()),
        lambda settings: str(settings.model_dump(mode="json")),
        lambda settings: str(settings.model_copy(update={"port": 1})),
        lambda settings: " ".join(f"{value} {value!r}" for _, value in settings),
        lambda settings: JSONRenderer()(None, "info", {"settings": settings, **dict(settings)}),
        lambda settings: KeyValueRenderer()(None, "info", {"settings": settings, **dict(settings)}),
        lambda settings: str(ConfigurationError([f"{settings.signing_key} {settings.mirror_url}"])),
    ],
)
def test_a_new_secret_setting_is_masked_wherever_settings_are_printed(show: Callable[[Settings], str]) -> None:
    shown = show(SettingsOfTomorrow.model_validate(TOMORROW))
    assert SECRET not in shown
    assert "***" in shown


def test_a_new_secret_setting_is_masked_in_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(SettingsOfTomorrow):
        signing_key: Annotated[Secret, AfterValidator(_refuse)] = Field(
            Secret(""), json_schema_extra={"allowed": "nothing"}
        )
        mirror_url: Annotated[SecretUrl, AfterValidator(_refuse)] | None = Field(
            None, json_schema_extra={"allowed": "nothing"}
        )
        peers: SecretUrls | None = Field(None, json_schema_extra={"allowed": "nothing"})

    monkeypatch.setattr(config, "Settings", Strict)
    for name in ("signing_key", "mirror_url"):
        assert SECRET not in fault(**{name.upper(): TOMORROW[name]})
        assert SECRET not in fault(**{f"{name.upper()}_FILE": TOMORROW[name]})


def _refuse(secret: Secret) -> Secret:
    if secret.reveal():
        raise ValueError
    return secret


def test_a_secret_is_equal_to_itself_alone() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b"), SecretUrl("a")}) == 3
    assert Secret("a") != "a"


def test_no_library_writes_a_secret_by_accident() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret(SECRET))
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret(SECRET))


@pytest.mark.parametrize(
    "name",
    ["REDIS_PASSWORD", "LLM_API_KEY", "PAGERDUTY_WEBHOOK_SECRET", "ROOTLY_WEBHOOK_SECRET", "WEBHOOK_HMAC_SECRET"],
)
def test_a_fault_shows_nothing_of_what_is_a_secret_as_a_whole(name: str) -> None:
    assert SECRET not in fault(**{name: f"redis://{SECRET}\nmore"})


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ada:{SECRET}@db/alerts",
        f"postgresql://ada:a/{SECRET}#b@db/alerts",
        f"postgresql://ada:{SECRET}",
        f"postgresql://ada:{SECRET}@db:port/alerts",
        f"postgresql://db:port/alerts?password={SECRET}&sslmode=require",
        f"ada:{SECRET}@db",
        SECRET,
    ],
)
def test_a_fault_shows_no_password(url: str) -> None:
    assert SECRET not in fault(DATABASE_URL=url)


@pytest.mark.parametrize("name", ["DATABASE_URL", "READ_DATABASE_URL", "REDIS_URL", "LLM_PROXY_URL"])
def test_a_url_that_can_not_be_read_is_told_with_the_reason_alone(name: str) -> None:
    allowed = {variable.name: variable.allowed for variable in variables()}
    scheme = {"REDIS_URL": "rediss", "LLM_PROXY_URL": "https"}.get(name, "postgresql")
    reason = "a [ or ] stands for itself only around an IPv6 address; in a password they are written %5B and %5D"
    assert fault(**{name: f"{scheme}://ada:[{SECRET}@db"}) == (
        f"{name}='{scheme}://***' is not allowed: {reason}; give {allowed[name]}"
    )


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "REDIS_PASSWORD", "LLM_API_KEY"])
def test_a_secret_where_the_path_of_its_file_belongs_is_not_shown(name: str) -> None:
    message = fault(**{f"{name}_FILE": f"postgresql://ada:{SECRET}@db"})
    assert message == f"{name}_FILE names a file that can't be read: No such file or directory"


def test_an_error_of_the_settings_themselves_shows_no_password() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"database_url": f"postgresql://ada:{SECRET}#@db"})
    assert SECRET not in str(caught.value)


def test_files_of_tls_are_looked_at_once(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    assert "its ssl_ca_certs can't be read" in fault(REDIS_URL=f"rediss://cache?ssl_ca_certs={file}")


@pytest.mark.parametrize(
    "url,shown",
    [
        (POSTGRES, "postgresql://ada:***@db.example.com/alerts"),
        ("postgresql://ada:p@ss@db/alerts", "postgresql://ada:***@db/alerts"),
        ("postgresql://:x@db/alerts", "postgresql://:***@db/alerts"),
        ("postgresql://ada@db:5432/alerts", "postgresql://ada@db:5432/alerts"),
        ("postgresql://db:5432/alerts", "postgresql://db:5432/alerts"),
        ("postgresql://[::1]:5432/alerts", "postgresql://[::1]:5432/alerts"),
        ("postgresql://db/a?sslpassword=x&user=ada", "postgresql://db/a?sslpassword=***&user=ada"),
        ("https://proxy/v1?api_key=x&b=c", "https://proxy/v1?***"),
        ("https://sk-x@proxy/v1", "https://***@proxy/v1"),
        ("https://u:p@proxy:1/v1?key=x", "https://u:***@proxy:1/v1?***"),
        ("https://proxy:1/v1", "https://proxy:1/v1"),
        ("postgresql://a[da:s3cret@db/alerts", "postgresql://a[da:***@db/alerts"),
        ("postgresql://a@b:s3cret@db/alerts", "postgresql://***@db/alerts"),
        ("postgresql://db:5432/a?password=s3@cret", "postgresql://***"),
        ("postgresql://db/a?pass%77ord=x&options=y", "postgresql://db/a?pass%77ord=***&options=y"),
        ("postgresql://ada:s3cret", "postgresql://***"),
        ("postgresql://one:1,[::1]:2/a", "postgresql://one:1,[::1]:2/a"),
        ("redis://s3cret@cache/0", "redis://***@cache/0"),
        ("redis://ada:x@cache/0?password=y", "redis://ada:***@cache/0?***"),
        ("sqlite:////var/lib/a.db", "sqlite:////var/lib/a.db"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("nonsense", "***"),
    ],
)
def test_a_masked_url_keeps_all_but_the_password(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize("name", ["ALERTMANAGER_URLS", "PROMETHEUS_URLS"])
@pytest.mark.parametrize(
    "text",
    [
        f"am=http://ada:{SECRET}@a:9093,http://b:9093?x=1",
        f"http://ada:{SECRET},{SECRET}@a",
        f"http://ada:12,{SECRET}@a:9093",
        f"http://ada:{SECRET}/=x@a,http://b",
        f"http://ada:x, http://{SECRET}@a b",
        f"{SECRET}=x@a:9093,http://b",
        f"{SECRET}",
        f"HTTP://ada:{SECRET}@a",
    ],
)
def test_a_fault_in_a_list_of_urls_shows_no_password(name: str, text: str) -> None:
    message = fault(**{name: text})
    assert message.startswith(f"{name}=")
    assert SECRET not in message


def test_a_fault_in_a_list_of_urls_says_which_and_why() -> None:
    message = fault(PROMETHEUS_URLS="p=http://ada:pw@a:9090,q=http://a:9090/")
    assert message.startswith(
        "PROMETHEUS_URLS='p=http://ada:***@a:9090,q=http://a:9090/' is not allowed, because URL 2 "
    )
    assert "(http://a:9090) is there twice; give http or https URLs" in message


@pytest.mark.parametrize(
    "text,shown",
    [
        ("am=http://ada:pw@a:9093,http://b:9093", "am=http://ada:***@a:9093,http://b:9093"),
        ("am=http://key@a", "am=http://***@a"),
        ("http://a, b = https://x:y@c/p", "http://a, b = https://x:***@c/p"),
        ("am=a:9093,http://b", "***,http://b"),
    ],
)
def test_masked_urls_keep_names_and_all_but_passwords(text: str, shown: str) -> None:
    assert masked_urls(text) == shown


def test_a_misspelt_variable_is_noticed() -> None:
    (hint,) = near_misses({"DATABSE_URL": "x"})
    assert hint == "DATABSE_URL is set but means nothing here; DATABASE_URL does"


def test_variables_of_others_are_left_alone() -> None:
    others = "HOME HOSTNAME PATH LANG LOGNAME LOG_FILE PWD SHELL TERM TZ USER VIRTUAL_ENV REDIS_URL KUBERNETES_PORT"
    assert near_misses(dict.fromkeys(others.split(), "x")) == []


def test_a_correct_variable_beside_its_misspelling_is_enough() -> None:
    assert near_misses({"RETENTION_DAY": "1", "RETENTION_DAYS": "1"}) == []


def test_the_reference_page_is_equal_to_the_settings() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    written = [(name, default.strip("`"), allowed, meaning) for name, default, allowed, meaning in rows]
    assert written == [
        (v.name, "unset" if v.default is None else str(v.default), v.allowed, v.meaning) for v in variables()
    ]


def test_every_setting_is_a_variable() -> None:
    assert [variable.name.lower() for variable in variables()] == list(Settings.model_fields)


def test_effective_settings_say_where_each_value_is_from_and_show_no_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET)
    environ = {
        "DATABASE_URL": POSTGRES,
        "LLM_API_KEY_FILE": str(tmp_path / "key"),
        "ALERTMANAGER_URLS": f"eu=http://ada:{SECRET}@am-0:9093",
        "PORT": "9000",
        "PUBLISHING_ENABLED": "false",
    }
    shown = effective_settings(load_settings(environ), environ)
    assert [each.variable for each in shown] == variables()
    by_name = {each.variable.name: (each.value, each.given) for each in shown}
    assert by_name["DATABASE_URL"] == ("postgresql://ada:***@db.example.com/alerts", "environment")
    assert by_name["LLM_API_KEY"] == ("set", "file")
    assert by_name["ALERTMANAGER_URLS"] == ("eu=http://ada:***@am-0:9093", "environment")
    assert by_name["PORT"] == ("9000", "environment")
    assert by_name["PUBLISHING_ENABLED"] == ("false", "environment")
    assert by_name["REDIS_PASSWORD"] == (None, "default")
    assert by_name["RETENTION_DAYS"] == ("365", "default")
    assert SECRET not in repr(shown)

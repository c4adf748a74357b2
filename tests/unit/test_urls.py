"""URLs are read in one way, or refused with a reason that holds nothing of them."""

import re
from pathlib import Path

import pytest

from alert_history.urls.files import CertificateNames, check_certificates, check_postgres, check_user
from alert_history.urls.libpq import NAMES
from alert_history.urls.postgres import read_postgres_url
from alert_history.urls.redis import read_redis_url
from alert_history.urls.url import Host, UrlFault, read_url
from alert_history.urls.web import read_web_url

FILES = CertificateNames("sslrootcert", "sslcrl", "sslcert", "sslkey")


def test_all_parts_are_read_and_decoded() -> None:
    url = read_url("x://a%40b:p%5B%5D%25%2F%c3%a9:x@[2001:db8::1]:5432,db_2.example.:1/c%20d?e=f%26g&h=i%3D", ["x"])
    assert (url.user, url.password) == ("a@b", "p[]%/é:x")
    assert url.hosts == (Host("2001:db8::1", 5432), Host("db_2.example.", 1))
    assert (url.path, dict(url.parameters)) == ("/c d", {"e": "f&g", "h": "i="})


def test_what_is_not_there_is_none() -> None:
    url = read_url("x://:@", ["x"])
    assert (url.user, url.password, url.hosts, url.path, dict(url.parameters)) == (None, None, (), "", {})


@pytest.mark.parametrize(
    "url, reason",
    [
        ("s3cret", "it begins with none of x://"),
        ("y://ada:s3cret@db", "it begins with none of x://"),
        ("x://ada:s3[cret@db", "%5B"),
        ("x://ada:s3]cret@db", "%5B"),
        ("x://ada:[s3cret]@db", "%5B"),
        ("x://s3[cret:x@db", "%5B"),
        ("x://ada:x@db/s3[cret", "%5B"),
        ("x://ada:s3@cret@db", "%40"),
        ("x://ada:s3/cret@db", "%2F"),
        ("x://ada:12/s3cret@db", "%2F"),
        ("x://ada:s3?cret@db", "%3F"),
        ("x://ada:s3#cret@db", "%23"),
        ("x://ada:s3%cret@db", "%25"),
        ("x://ada:s3cret%@db", "%25"),
        ("x://ada:s3cret%ff@db", "UTF-8"),
        ("x://ada:s3cret\udcff@db", "UTF-8"),
        ("x://ada:s3cret%00@db", "%00"),
        ("x://ada:s3 cret@db", "%20"),
        ("x://ada:s3\u3000cret@db", "%20"),
        ("x://ada:s3cret@db\n", "%20"),
        ("x://ada:s3cret", "a host or a port"),
        ("x://ada:s3cret@db:", "a host or a port"),
        ("x://ada:s3cret@db:0", "a port is a whole number from 1 to 65535"),
        ("x://ada:s3cret@db:65536", "a port is a whole number from 1 to 65535"),
        ("x://ada:s3cret@:5432", "a host or a port"),
        ("x://ada:s3cret@db,", "a host or a port"),
        ("x://ada:s3cret@,db", "a host or a port"),
        ("x://ada:s3cret@db..example", "a host or a port"),
        (f"x://ada:s3cret@{'d' * 64}", "a host or a port"),
        (f"x://ada:s3cret@{'d.' * 127}d", "a host or a port"),
        ("x://ada:s3cret@dü", "a host or a port"),
        ("x://ada:s3cret@256.1.1.1", "IPv4"),
        ("x://ada:s3cret@[::gg]", "IPv6"),
        ("x://ada:s3cret@[127.0.0.1]", "IPv6"),
        ("x://ada:s3cret@[fe80::1%25a'b]", "IPv6"),
        ("x://ada:s3cret@[::1]x", "%5B"),
        ("x://ada:s3cret@[::1", "%5B"),
        (f"x://ada:s3cret@%2F{'d' * 100}", "the path of a socket"),
        ("x://ada:s3cret@db?s3cret", "parameter number 1"),
        ("x://ada:x@db?password=s3cret&s3cret", "parameter number 2"),
        ("x://ada:x@db?a=1&s3cret=", "parameter number 2"),
        ("x://ada:x@db?password=s3cret+s3cret", "parameter number 1"),
        ("x://ada:x@db?s3cret=1&s3cret=2", "parameter number 2"),
        (f"x://ada:s3cret@db/{'d' * 9000}", "longer than"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_not_shown(url: str, reason: str) -> None:
    with pytest.raises(UrlFault) as caught:
        read_url(url, ["x"])
    assert reason in str(caught.value)
    assert not {"s3c", "cre", "ret"} & {str(caught.value)[at : at + 3] for at in range(len(str(caught.value)))}
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, hosts, port",
    [
        ("postgresql://", (), None),
        ("postgresql:///alerts?port=5433", (), 5433),
        ("postgresql+asyncpg://db/alerts", (Host("db", None),), None),
        ("postgres://one,two:5433/alerts", (Host("one", 5432), Host("two", 5433)), None),
        ("postgresql://one,two/alerts?port=5433", (Host("one", 5433), Host("two", 5433)), None),
        ("postgresql://one,two/alerts?port=1,2", (Host("one", 1), Host("two", 2)), None),
        ("postgresql:///alerts?host=/run/postgresql", (Host("/run/postgresql", None),), None),
        ("postgresql:///alerts?host=::1,%5B::2%5D&port=5433", (Host("::1", 5433), Host("::2", 5433)), None),
        ("postgresql://ada@%2Frun%2Fpostgresql/alerts", (Host("/run/postgresql", None),), None),
        ("postgresql://one,[fe80::1%25eth0]:6/alerts", (Host("one", 5432), Host("fe80::1%eth0", 6)), None),
    ],
)
def test_postgres_is_found_at_every_place_a_url_can_name(url: str, hosts: tuple[Host, ...], port: int | None) -> None:
    read = read_postgres_url(url)
    assert (read.hosts, read.port) == (hosts, port)


@pytest.mark.parametrize("given", ["ada:s3cret@db/alerts", "db?user=ada&password=s3cret&dbname=alerts"])
def test_a_login_counts_before_and_after_the_question_mark(given: str) -> None:
    url = read_postgres_url(f"postgresql://{given}")
    assert (url.user, url.password, url.database) == ("ada", "s3cret", "alerts")


@pytest.mark.parametrize(
    "url, reason",
    [
        ("postgresql://ada@db/alerts?user=bob", "user twice"),
        ("postgresql://ada:x@db/alerts?password=y", "password twice"),
        ("postgresql://db/alerts?dbname=b", "dbname twice"),
        ("postgresql://db?database=a&dbname=b", "dbname twice"),
        ("postgresql://db/alerts?host=other", "host twice"),
        ("postgresql://db:1/alerts?port=2", "port twice"),
        ("postgresql://one,two/alerts?port=1,2,3", "more or fewer ports"),
        ("postgresql://db/alerts?port=x", "a port is"),
        ("postgresql:///alerts?host=a,", "a host or a port"),
        ("postgresql:///alerts?host=a:5432", "IPv6"),
        ("mysql://db/alerts", "it begins with none of postgresql://"),
    ],
)
def test_a_postgres_url_that_says_two_things_is_refused(url: str, reason: str) -> None:
    with pytest.raises(UrlFault, match=reason):
        read_postgres_url(url)


@pytest.mark.parametrize(
    "query, reason",
    [
        ("channel_binding=require", "channel_binding can only be disable, prefer or left out"),
        ("gssencmode=require", "gssencmode can only be disable, prefer or left out"),
        ("sslcompression=1", "sslcompression can only be 0"),
        ("sslsni=0", "sslsni can only be 1"),
        ("sslcertmode=require", "sslcertmode can only be allow"),
        ("load_balance_hosts=random", "load_balance_hosts can only be disable"),
        ("client_encoding=latin1", "client_encoding can only be utf8"),
        ("replication=database", "replication can only be false"),
        ("max_protocol_version=3.2", "max_protocol_version can only be"),
        ("connect_timeout=0", "connect_timeout is a whole number from 1 to 300"),
        ("connect_timeout=10s", "connect_timeout is a whole number from 1 to 300"),
        ("keepalives=2", "keepalives is a whole number from 0 to 1"),
        ("keepalives_idle=32768", "keepalives_idle is a whole number from 0 to 32767"),
        ("keepalives_count=128", "keepalives_count is a whole number from 0 to 127"),
        ("tcp_user_timeout=-1", "tcp_user_timeout is a whole number"),
        ("sslmode=parse", "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("ssl=maybe", "ssl is one of true, disable"),
        ("ssl=true&sslmode=require", "both ssl and sslmode"),
        ("sslnegotiation=direct", "sslnegotiation=direct needs sslmode"),
        ("sslnegotiation=direct&sslmode=prefer", "sslnegotiation=direct needs sslmode"),
        ("sslrootcert=system&sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
        ("ssl_min_protocol_version=TLSv1.1", "ssl_min_protocol_version is one of TLSv1.2, TLSv1.3"),
        ("ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "is above"),
        ("target_session_attrs=master", "target_session_attrs is one of any, primary"),
        ("hostaddr=127.0.0.1", "hostaddr is not taken: give the address in place of the host"),
        ("service=x", "service is not taken"),
        ("requiressl=1", "requiressl is not taken: give sslmode=require"),
        ("require_auth=scram-sha-256", "require_auth is not taken: the driver can't do it"),
        ("krbsrvname=postgres", "krbsrvname is not taken: the driver can't do it"),
        ("statement_timeout=5", "statement_timeout is not known; write a setting of the server as options="),
        ("pgbouncer=true", "pgbouncer is not known"),
        ("sslpassword=x&pgbouncer=true", "one of its parameters is not known"),
        ("p%C3%A9=true", "one of its parameters is not known"),
    ],
)
def test_a_parameter_that_can_not_be_kept_is_refused_by_name(query: str, reason: str) -> None:
    with pytest.raises(UrlFault) as caught:
        read_postgres_url(f"postgresql://ada@db/alerts?{query}")
    assert reason in str(caught.value)


def test_all_parameters_that_can_not_be_kept_are_told_at_once() -> None:
    with pytest.raises(UrlFault) as caught:
        read_postgres_url("postgresql://db/alerts?channel_binding=require&connect_timeout=no&service=x&sslmode=no")
    assert [fault.split()[0] for fault in str(caught.value).split("; ")] == [
        *("channel_binding", "connect_timeout", "service", "sslmode")
    ]


def test_what_may_be_a_piece_of_a_password_is_not_taken_for_a_name() -> None:
    with pytest.raises(UrlFault) as caught:
        read_postgres_url("postgresql://db/alerts?password=x&cret=y")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("word, mode", [("true", "require"), ("require", "require"), ("disable", "disable")])
def test_ssl_is_another_name_of_sslmode(word: str, mode: str) -> None:
    assert read_postgres_url(f"postgresql+asyncpg://db?ssl={word}").parameters.driver == {"sslmode": mode}


def test_the_authorities_of_the_system_mean_that_the_name_is_checked() -> None:
    driver = read_postgres_url("postgresql://db?sslrootcert=system").parameters.driver
    assert driver == {"sslrootcert": "system", "sslmode": "verify-full"}


def test_the_page_on_postgresql_tells_of_every_parameter() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "use-postgresql.md").read_text()
    parameters = {
        name for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert parameters >= {*NAMES, "ssl"}


# --- Redis ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, arguments",
    [
        ("redis://cache", {"host": "cache", "port": 6379}),
        ("rediss://ada:x@[::1]:1/2", {"host": "::1", "port": 1, "db": 2, "username": "ada"}),
        ("redis://cache/?db=3&protocol=3", {"host": "cache", "port": 6379, "db": 3, "protocol": 3}),
        ("unix:///run/redis.sock?db=1", {"path": "/run/redis.sock", "db": 1}),
        ("redis://cache?socket_timeout=1.5&socket_keepalive=No", {"socket_timeout": 1.5, "socket_keepalive": False}),
        ("rediss://cache?ssl_cert_reqs=none", {"ssl_cert_reqs": "none"}),
    ],
)
def test_redis_is_told_what_its_url_says(url: str, arguments: dict[str, object]) -> None:
    assert read_redis_url(url).arguments.items() >= arguments.items()


@pytest.mark.parametrize(
    "url, reason",
    [
        ("redis://", "one host"),
        ("redis://one,two", "one host"),
        ("redis://%2Frun%2Fredis", "one host"),
        ("redis://cache/first", "the database is a whole number"),
        ("redis://cache/99999999999", "the database is a whole number"),
        ("redis://cache/1?db=2", "database twice"),
        ("redis://:x@cache?password=y", "password twice"),
        ("redis://cache?decode_responses=yes", "parameter number 1"),
        ("redis://cache?protocol=4", "protocol is one of 2, 3"),
        ("redis://cache?socket_timeout=soon", "socket_timeout is a number"),
        ("redis://cache?max_connections=1", "max_connections is a whole number from 4"),
        ("redis://cache?client_name=a%20b", "client_name is"),
        ("redis://cache?ssl_cert_reqs=none", "rediss://"),
        ("rediss://cache?ssl_cert_reqs=maybe", "ssl_cert_reqs is one of"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix:///", "three slashes"),
        (f"unix:///{'d' * 200}", "the path of a socket"),
    ],
)
def test_a_redis_url_that_its_client_would_choke_on_is_refused(url: str, reason: str) -> None:
    with pytest.raises(UrlFault, match=reason):
        read_redis_url(url)


# --- the web ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://proxy", "http://u:p%5B@proxy:8080/v1/", "http://[::1]:1/a/b"])
def test_a_web_url_has_one_host(url: str) -> None:
    assert len(read_web_url(url).hosts) == 1


@pytest.mark.parametrize("url", ["https://", "https:///v1", "https://a,b/v1", "https://a/v1?key=x", "https://%2Ftmp"])
def test_a_web_url_with_another_shape_is_refused(url: str) -> None:
    with pytest.raises(UrlFault):
        read_web_url(url)


# --- what a URL takes for granted -------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_named_by_its_parameter(tmp_path: Path) -> None:
    with pytest.raises(UrlFault, match="its sslrootcert can't be read: No such file or directory"):
        check_certificates({"sslrootcert": str(tmp_path / "ca.pem")}, FILES)


@pytest.mark.parametrize("name", ["sslrootcert", "sslcrl", "sslcert"])
def test_a_file_that_holds_no_certificate_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "text"
    file.write_text("no certificate")
    with pytest.raises(UrlFault, match=name):
        check_certificates({name: str(file)}, FILES)


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch()
    with pytest.raises(UrlFault, match="sslkey without sslcert"):
        check_certificates({"sslkey": str(file)}, FILES)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything, and no variables of libpq."""
    monkeypatch.setattr("os.environ", {"HOME": str(tmp_path)})
    return tmp_path


def test_a_mode_that_checks_the_server_needs_authorities(home: Path) -> None:
    url = read_postgres_url("postgresql://ada@db?sslmode=verify-full")
    with pytest.raises(UrlFault, match="sslmode=verify-full needs sslrootcert"):
        check_postgres(url)
    (home / ".postgresql").mkdir()
    (home / ".postgresql" / "root.crt").touch()
    check_postgres(url)


@pytest.mark.parametrize("mode", ["disable", "prefer"])
def test_a_file_that_is_not_used_need_not_be_there(home: Path, mode: str) -> None:
    check_postgres(read_postgres_url(f"postgresql://ada@db?sslmode={mode}&sslrootcert={home}/none&sslcrl={home}/none"))


def test_a_file_of_passwords_that_others_may_read_is_refused(home: Path) -> None:
    file = home / "pgpass"
    url = read_postgres_url(f"postgresql://ada@db?passfile={file}")
    with pytest.raises(UrlFault, match="its passfile can't be read: No such file"):
        check_postgres(url)
    file.touch(mode=0o644)
    with pytest.raises(UrlFault, match="mode 0600"):
        check_postgres(url)
    file.chmod(0o600)
    check_postgres(url)
    with pytest.raises(UrlFault, match="its passfile can't be read: Is a directory"):
        check_postgres(read_postgres_url(f"postgresql://ada@db?passfile={home}"))


def test_a_process_without_a_name_needs_a_user_in_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setattr("pwd.getpwuid", dict[int, str]().__getitem__)
    with pytest.raises(UrlFault, match="names no user"):
        check_user()
    monkeypatch.setattr("os.environ", {"PGUSER": "ada"})
    check_user()

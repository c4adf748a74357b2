"""URLs are read in one way, or refused with a reason that holds nothing of them."""

from pathlib import Path

import pytest

from alert_history.urls.files import CertificateNames, check_certificates, check_user
from alert_history.urls.postgres import read_postgres_url
from alert_history.urls.redis import read_redis_url
from alert_history.urls.url import Host, UrlFault, read_url
from alert_history.urls.web import read_web_url

NAMES = CertificateNames("sslrootcert", "sslcrl", "sslcert", "sslkey")


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
    assert (url.user, url.password, url.database, dict(url.parameters)) == ("ada", "s3cret", "alerts", {})


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
        check_certificates({"sslrootcert": str(tmp_path / "ca.pem")}, NAMES)


@pytest.mark.parametrize("name", ["sslrootcert", "sslcrl", "sslcert"])
def test_a_file_that_holds_no_certificate_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "text"
    file.write_text("no certificate")
    with pytest.raises(UrlFault, match=name):
        check_certificates({name: str(file)}, NAMES)


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch()
    with pytest.raises(UrlFault, match="sslkey without sslcert"):
        check_certificates({"sslkey": str(file)}, NAMES)


def test_a_process_without_a_name_needs_a_user_in_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setattr("pwd.getpwuid", dict[int, str]().__getitem__)
    with pytest.raises(UrlFault, match="names no user"):
        check_user()
    monkeypatch.setattr("os.environ", {"PGUSER": "ada"})
    check_user()

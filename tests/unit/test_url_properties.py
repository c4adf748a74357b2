"""Whatever a URL holds: what is accepted every library takes, and no text of ours shows a piece of its password."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import httpx2
import pytest
from asyncpg.connect_utils import _parse_connect_arguments  # type: ignore[attr-defined]  # the stubs leave it out
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from alert_history.config import Settings, load_settings
from alert_history.domain.receipt import Receipt
from alert_history.engine.ingest import Ingest
from alert_history.engine.switchboard import Switchboard
from alert_history.enrichers.proxy import base_url
from alert_history.errors import AlertHistoryError, ConfigurationError
from alert_history.signals import redis as signals
from alert_history.storage import open_store
from alert_history.storage.postgres.dialer import Dialer
from alert_history.storage.probe import probe
from alert_history.urls.masking import masked_url, masked_wrong_url
from alert_history.urls.postgres import read_postgres_url
from tests.conformance.samples import alert, receipt
from tests.processes import HOST, free_port

PORT = free_port()
LETTERS = "QXZ"  # no text of ours holds three characters with one of these among them
ODD = "[]/?#@:%&=+,;!$'\"\\ \n\t~^|<>`{}()*-._0123456789é℀／＠\u3000\udcff"
PASSWORDS = st.text(LETTERS + ODD, min_size=3, max_size=12)
READABLE = PASSWORDS.filter(lambda text: "\udcff" not in text)


def mostly(*sound: str, odd: str) -> st.SearchStrategy[str]:
    """What is accepted three times out of four, so that a URL of several such parts sometimes is."""
    return st.one_of(*[st.sampled_from(sound)] * 3, st.sampled_from(odd.split(" ")))


HOSTS = mostly(
    *("db", "db_1.example.", "127.0.0.1", "[::1]", "[fe80::1%25eth0]"),
    odd="256.1.1.1 1.2.3 [::gg] [v1.x] [1  a..b xn--a dü a,b a, a,[::1] %2Frun %2frun,db a%zz a%00 " + "a" * 64,
)
PORTS = mostly("", ":1", ":65535", odd=": :0 :65536 :99999 :x :1_0 :١")
PATHS = mostly("", "/", "/1", odd="/a /a/b /a[b /é // /%00 /%ff")
QUERIES = mostly(
    "", odd="? ?x ?= ?& ?a=b ?port=1 ?port=x ?port=1,2 ?host=c ?host=/run ?host=::1 ?host=, ?dbname=b ?db=1"
)
LIBPQ = st.lists(
    mostly(
        *("sslmode=disable", "sslmode=require", "ssl=true", "target_session_attrs=read-write", "connect_timeout=10"),
        *("keepalives=1", "keepalives_idle=30", "gssencmode=prefer", "channel_binding=prefer", "application_name=a"),
        odd="sslmode=parse sslmode=verify-full sslrootcert=/no sslcert=/no sslkey=/no sslcrl=/no sslrootcert=system "
        "sslnegotiation=direct sslnegotiation=x ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2 "
        "ssl_min_protocol_version=SSLv3 target_session_attrs=x gsslib=x krbsrvname=x service=x passfile=/no port=1 a=b",
    ),
    min_size=1,
    max_size=4,
).map(lambda each: f"?{'&'.join(each)}")
REDIS_QUERIES = mostly(
    "", "?protocol=3&socket_timeout=1", odd="?db=1 ?db=x ?protocol=9 ?decode_responses=1 ?retry=1 ?a=b"
)
LOGINS = st.one_of(
    st.just(""), PASSWORDS.map("ada:{}@".format), *[READABLE.map(lambda text: f"ada:{quote(text, safe='')}@")] * 3
)


def urls(queries: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """All that follows the scheme."""
    return st.builds("{}{}{}{}{}".format, LOGINS, HOSTS, PORTS, PATHS, queries)


def pieces(password: str) -> set[str]:
    """What must not show: three characters in a row, as they are or percent-encoded."""
    texts = [password, quote(password, safe="", errors="surrogatepass")]
    triples = {text[at : at + 3] for text in texts for at in range(len(text) - 2)}
    return {piece for piece in triples if set(piece) & set(LETTERS)}


def accepted(**environ: str) -> Settings | None:
    try:
        return load_settings(environ)
    except ConfigurationError:
        return None


@given(urls(st.one_of(QUERIES, LIBPQ)))
def test_the_driver_takes_every_postgres_url_that_is_accepted(rest: str) -> None:
    if accepted(DATABASE_URL=f"postgresql://{rest}") is None:
        return
    url = read_postgres_url(f"postgresql://{rest}")
    names = "command_timeout direct_tls server_settings target_session_attrs krbsrvname gsslib service servicefile"
    options: Any = dict.fromkeys(names.split())
    sizes = {"statement_cache_size": 1, "max_cached_statement_lifetime": 1, "max_cacheable_statement_size": 1}
    places, login, _ = _parse_connect_arguments(**options, **sizes, **Dialer(url).arguments())
    assert (login.password, login.database) == (url.password, url.database or login.user)
    assert len(places) == len(url.hosts) or not url.hosts
    for place, host in zip(places, url.hosts, strict=False):
        assert host.name in place


@given(st.sampled_from(["redis://", "rediss://", "unix://"]), urls(REDIS_QUERIES))
def test_the_client_takes_every_redis_url_that_is_accepted(scheme: str, rest: str) -> None:
    if accepted(REDIS_URL=scheme + rest) is not None:
        pool = signals.make_client(scheme + rest, None).connection_pool
        pool.connection_class(**pool.connection_kwargs)


@given(urls(QUERIES))
def test_the_clients_take_every_web_url_that_is_accepted(rest: str) -> None:
    if accepted(LLM_PROXY_URL=f"http://{rest}") is not None:
        assert httpx.URL(base_url(f"http://{rest}")).host
        assert httpx2.URL(base_url(f"http://{rest}")).host


SHAPES: dict[str, Callable[[str], dict[str, str]]] = {
    "postgres": lambda pw: {"DATABASE_URL": f"postgresql://ada:{pw}@{HOST}:{PORT}/alerts?sslmode=disable"},
    "postgres-tail": lambda pw: {"DATABASE_URL": f"postgresql://ada:12{pw}@{HOST}:{PORT}/alerts"},
    "postgres-user": lambda pw: {"DATABASE_URL": f"postgresql://:{pw}@{HOST}"},
    "postgres-bad-user": lambda pw: {"DATABASE_URL": f"postgresql://a[d/a?:{pw}@{HOST}"},
    "postgres-no-host": lambda pw: {"DATABASE_URL": f"postgresql://ada:s{pw.replace('@', '')}"},  # no port
    "postgres-two-hosts": lambda pw: {"DATABASE_URL": f"postgresql://ada:{pw}@one,[::1]:5/alerts"},
    "postgres-query": lambda pw: {"DATABASE_URL": f"postgresql://db:1/alerts?user=ada&password={pw}"},
    "postgres-other": lambda pw: {"DATABASE_URL": f"mysql://ada:{pw}@db/alerts"},
    "replica": lambda pw: {"READ_DATABASE_URL": f"postgresql://ada:{pw}@db"},
    "redis": lambda pw: {"REDIS_URL": f"redis://:{pw}@{HOST}:{PORT}/0"},
    "redis-user": lambda pw: {"REDIS_URL": f"redis://{pw.replace(':', '')}@{HOST}:{PORT}/0"},
    "redis-query": lambda pw: {"REDIS_URL": f"redis://{HOST}?password={pw}"},
    "redis-socket": lambda pw: {"REDIS_URL": f"unix://ada:{pw}@/run/redis.sock"},
    "redis-password": lambda pw: {"REDIS_PASSWORD": pw},
    "llm": lambda pw: {"LLM_PROXY_URL": f"https://ada:{pw}@proxy/v1"},
    "llm-user": lambda pw: {"LLM_PROXY_URL": f"https://{pw.replace(':', '')}:@proxy/v1"},
    "llm-query": lambda pw: {"LLM_PROXY_URL": f"https://proxy/v1?key={pw}"},
    "bare": lambda pw: {"DATABASE_URL": pw},
    "file": lambda pw: {"DATABASE_URL_FILE": f"postgresql://ada:{pw}@db"},
    "password-file": lambda pw: {"REDIS_PASSWORD_FILE": f"/{pw.replace(chr(10), '')}"},
}


@pytest.mark.parametrize("shape", SHAPES)
@given(st.one_of(PASSWORDS, READABLE.map(lambda text: quote(text, safe=""))))
def test_neither_a_fault_nor_the_settings_show_a_piece_of_a_password(shape: str, password: str) -> None:
    environ = SHAPES[shape](password)
    try:
        loaded = load_settings(environ)
        shown = f"{loaded!r} {loaded}" + " ".join(map(masked_url, environ.values()))
    except ConfigurationError as error:
        shown = "".join(traceback.format_exception(error))
    shown += " ".join(map(masked_wrong_url, environ.values()))
    assert [piece for piece in pieces(password) if piece in shown] == []


@settings(deadline=None, max_examples=30)
@given(
    READABLE, st.sampled_from([f"{HOST}:{PORT}", f"localhost:{PORT}", f"nowhere.invalid,[::1]:{PORT}", "%2Fnowhere"])
)
def test_no_error_on_the_way_to_the_database_shows_a_piece_of_its_password(password: str, place: str) -> None:
    loaded = accepted(DATABASE_URL=f"postgresql://ada:{quote(password, safe='')}@{place}/alerts")
    if loaded is not None:
        shown = asyncio.run(everything_told(loaded.database_url.reveal()))
        assert [piece for piece in pieces(password) if piece in shown] == []


async def everything_told(database_url: str) -> str:
    """All that callers, probes and logs are told of a database that is away."""
    store = open_store(database_url)
    ingest = Ingest(store.recorder, max_pending_bytes=1_000_000, switchboard=Switchboard())
    with capture_logs() as logs:
        running = asyncio.create_task(ingest.run())
        answers = [await outcome(ingest.submit(each)) for each in receipts()]
        answers += [await outcome(store.lifecycle.open()), await outcome(store.lifecycle.check())]
        answers += [await outcome(store.history.find("0123456789abcdef-1")), await outcome(probe(database_url))]
        ingest.stop()
        await running
        await store.lifecycle.close()
    return "\n".join([*answers, *map(str, logs)])


def receipts() -> list[Receipt]:
    return [receipt(alert())]


async def outcome(call: Any) -> str:
    """The answer, or the error with all that a log would show of it."""
    try:
        return str(await call)
    except AlertHistoryError as error:
        return "".join(traceback.format_exception(error))


@settings(deadline=None, max_examples=30)
@given(READABLE)
def test_no_fault_of_redis_shows_a_piece_of_its_password(password: str) -> None:
    fault = asyncio.run(signals.probe(f"redis://ada:{quote(password, safe='')}@{HOST}:{PORT}/0"))
    assert fault is not None
    assert [piece for piece in pieces(password) if piece in fault] == []

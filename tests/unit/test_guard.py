"""The guard: which addresses are called, that the one checked is the one called, and what else targets can't do."""

import asyncio
import gzip
import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from alert_history import __version__
from alert_history.domain.addresses import why_forbidden
from alert_history.errors import Rejected
from alert_history.targets.guard import MAX_ANSWER_BYTES, ForbiddenAddress, guarded_client
from tests.processes import HOST, find_program, free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAME = "hooks.example.test"
SHORT = httpx.Timeout(30, connect=0.5)
SHARED = httpx.Timeout(30, connect=4)  # each of two addresses gets half of it

NEVER = [
    *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"),
    *("168.63.129.16", "169.254.1.1", "fe80::1", "fe80::1%1", "fd00:ec2::254%1"),
    *("224.0.0.1", "239.1.2.3", "ff02::1", "0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1"),  # noqa: S104  # nobody listens there
    *("::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0.0.0.0"),
    *("2001:0:a9fe:a9fe::1", "64:ff9b:1::808:808"),
]
PRIVATE = [
    *("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("100.64.0.1", "198.18.0.1", "192.0.2.1", "fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
    *("2002:a00:1::1", "2001:db8::1", "fec0::1"),
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "169.253.1.1"]


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [False, True])
def test_some_addresses_are_never_called(address: str, *, allow_private: bool) -> None:
    assert why_forbidden(ip_address(address), allow_private=allow_private)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_called_only_if_allowed(address: str) -> None:
    assert "ALLOW_PRIVATE_TARGETS" in (why_forbidden(ip_address(address), allow_private=False) or "")
    assert why_forbidden(ip_address(address), allow_private=True) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    assert why_forbidden(ip_address(address), allow_private=False) is None


@dataclass
class Listener:
    """A server that answers everything alike, and keeps what it was sent."""

    port: int
    received: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"


@asynccontextmanager
async def listening(answer: bytes = OK, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    listener = Listener(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            listener.received.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left, as some tests want
        finally:
            writer.close()

    if tls is not None:
        tls.sni_callback = lambda _, name, __: listener.names.append(name)
    server = await asyncio.start_server(serve, HOST, 0, ssl=tls)
    async with server:
        listener.port = server.sockets[0].getsockname()[1]
        yield listener


def resolving(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _, __: addresses


# --- what is refused ---


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.1", "[::ffff:127.0.0.1]", "[::1]"]
)
async def test_this_machine_is_refused_however_it_is_spelt(host: str) -> None:
    async with listening() as listener, guarded_client(allow_private=False) as client:
        with pytest.raises(ForbiddenAddress, match="loopback"):
            await client.post(f"http://{host}:{listener.port}/")
    assert listener.received == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:169.254.169.254]"])
async def test_metadata_is_refused_even_where_private_addresses_are_allowed(host: str) -> None:
    async with guarded_client(allow_private=True) as client:
        with pytest.raises(ForbiddenAddress):
            await client.get(f"http://{host}/latest/meta-data/")


async def test_a_name_is_judged_by_its_address() -> None:
    async with listening() as listener, guarded_client(allow_private=False, resolve=resolving(HOST)) as client:
        with pytest.raises(ForbiddenAddress):
            await client.post(f"http://{NAME}:{listener.port}/")
        assert listener.received == []


async def test_the_refusal_holds_nothing_of_the_url() -> None:
    async with guarded_client(allow_private=False, resolve=resolving("10.0.0.1")) as client:
        with pytest.raises(ForbiddenAddress) as caught:
            await client.post("https://user:hunter2@secret-name.test/services/T0/B0/token")
    assert str(caught.value) == "10.0.0.1 is a private address, which needs ALLOW_PRIVATE_TARGETS"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused(status: int) -> None:
    answer = f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with listening(answer.encode()) as listener, guarded_client(allow_private=True) as client:
        with pytest.raises(Rejected, match=f"redirect .{status}."):
            await client.post(listener.url)


async def test_a_redirect_is_refused_also_where_the_caller_would_follow_it() -> None:
    answer = b"HTTP/1.1 302 Elsewhere\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    async with listening(answer) as listener, guarded_client(allow_private=True) as client:
        with pytest.raises(Rejected):
            await client.get(listener.url, follow_redirects=True)
    assert len(listener.received) == 1


@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "unix:///run/x"])
async def test_other_schemes_are_refused(url: str) -> None:
    async with guarded_client(allow_private=True) as client:
        with pytest.raises(Rejected, match="http"):
            await client.get(url)


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    async with listening() as listener, guarded_client(allow_private=True) as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.get(listener.url, headers={"Authorization": "a\r\nX-Injected: 1"})
    assert not any(b"X-Injected" in received for received in listener.received)


# --- what is called ---


async def test_loopback_is_called_where_private_addresses_are_allowed() -> None:
    async with listening() as listener, guarded_client(allow_private=True) as client:
        assert (await client.post(listener.url)).text == "ok"


async def test_the_address_that_was_checked_is_the_one_called() -> None:
    answers = iter([[HOST], ["169.254.169.254"]])
    async with (
        listening() as listener,
        guarded_client(allow_private=True, resolve=lambda _, __: next(answers)) as client,
    ):
        assert (await client.get(f"http://{NAME}:{listener.port}/")).text == "ok"
    assert next(answers) == ["169.254.169.254"], "it was looked up once"


async def test_the_host_header_is_the_name() -> None:
    async with listening() as listener, guarded_client(allow_private=True, resolve=resolving(HOST)) as client:
        await client.get(f"http://{NAME}:{listener.port}/")
    assert f"Host: {NAME}:{listener.port}\r\n".encode() in listener.received[0]


async def test_it_says_who_calls() -> None:
    async with listening() as listener, guarded_client(allow_private=True, resolve=resolving(HOST)) as client:
        await client.get(f"http://{NAME}:{listener.port}/")
    assert f"User-Agent: alert-history/{__version__}\r\n".encode() in listener.received[0]


async def test_of_several_addresses_the_forbidden_are_left_out() -> None:
    async with listening() as listener:
        resolve = resolving("169.254.169.254", HOST, "fe80::1")
        async with guarded_client(allow_private=True, resolve=resolve) as client:
            assert (await client.get(f"http://{NAME}:{listener.port}/")).text == "ok"


async def test_an_address_that_refuses_is_passed_over() -> None:
    async with (
        listening() as listener,
        guarded_client(allow_private=True, resolve=resolving("127.9.9.9", "::1", HOST)) as client,
    ):
        assert (await client.get(f"http://{NAME}:{listener.port}/")).text == "ok"


async def test_an_address_that_says_nothing_leaves_time_for_the_next() -> None:
    silent = "127.0.0.2"
    async with listening() as listener:
        with socket.create_server((silent, listener.port), backlog=0), ExitStack() as stack:
            for _ in range(4):  # more than it queues: the system answers no further ones
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((silent, listener.port))
            client = guarded_client(allow_private=True, resolve=resolving(silent, HOST), timeout=SHARED)
            async with client:
                assert (await client.get(f"http://{NAME}:{listener.port}/")).text == "ok"


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's identity for NAME, trusted by clients made from now on."""
    openssl = find_program("openssl", package="openssl")
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}", "-days", "1"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}", "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def test_tls_goes_by_the_name(certificate: ssl.SSLContext) -> None:
    async with (
        listening(tls=certificate) as listener,
        guarded_client(allow_private=True, resolve=resolving(HOST)) as client,
    ):
        assert (await client.get(f"https://{NAME}:{listener.port}/")).text == "ok"
    assert listener.names == [NAME]


async def test_a_certificate_of_another_name_is_not_trusted(certificate: ssl.SSLContext) -> None:
    async with (
        listening(tls=certificate) as listener,
        guarded_client(allow_private=True, resolve=resolving(HOST)) as client,
    ):
        with pytest.raises(httpx.ConnectError):
            await client.get(f"https://other.example.test:{listener.port}/")
    assert listener.received == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as proxy, listening() as listener:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with guarded_client(allow_private=True) as client:
            await client.get(listener.url)
    assert (len(proxy.received), len(listener.received)) == (0, 1)


async def test_no_url_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with listening() as listener, guarded_client(allow_private=True) as client:
        await client.post(f"{listener.url}services/T0/B0/token")
    assert "token" not in caplog.text


# --- what goes wrong ---


def _no_such_host(host: str, port: int) -> Sequence[str]:
    raise OSError(f"no {host} at {port}")


async def test_a_name_that_can_not_be_resolved_is_a_connection_error() -> None:
    async with guarded_client(allow_private=True, resolve=_no_such_host) as client:
        with pytest.raises(httpx.ConnectError, match="can't be resolved"):
            await client.get(f"http://{NAME}/")


async def test_a_closed_port_is_a_connection_error() -> None:
    async with guarded_client(allow_private=True) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{HOST}:{free_port()}/")


async def test_a_lookup_that_hangs_ends_in_time_and_holds_up_nobody() -> None:
    is_over = threading.Event()

    def resolve(host: str, _: int) -> Sequence[str]:
        if host != NAME:
            is_over.wait(30)
        return [HOST]

    try:
        async with (
            listening() as listener,
            guarded_client(allow_private=True, resolve=resolve) as client,
        ):
            hanging = [client.get(f"http://hang-{number}.test/", timeout=SHORT) for number in range(16)]
            tasks = [asyncio.create_task(call) for call in hanging]
            assert (await client.get(f"http://{NAME}:{listener.port}/")).text == "ok"
            errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(error) for error in errors} == {httpx.ConnectTimeout}
    finally:
        is_over.set()


async def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES * 3)
    async with listening(answer) as listener, guarded_client(allow_private=True) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="more than"):
            await client.get(listener.url)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with listening(head.encode() + bomb) as listener, guarded_client(allow_private=True) as client:
        assert (await client.get(listener.url)).content == bomb


@pytest.mark.parametrize("answer", [b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
async def test_an_answer_that_is_no_http_is_a_transport_error(answer: bytes) -> None:
    async with listening(answer) as listener, guarded_client(allow_private=True) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(listener.url)

"""Apprise kept in check: it waits no longer, connects nowhere else and tells no more than other targets."""

import asyncio
import io
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx
import pytest

from alert_history.domain.target import Message, Outgoing, TargetSpec
from alert_history.errors import Rejected, Retryable
from alert_history.targets import apprise as apprise_target
from alert_history.targets.apprise import OF_THIS_MACHINE, PLAIN_WEBHOOKS, AppriseTarget, make
from alert_history.targets.apprise_text import text_of
from alert_history.targets.guard import guarded_client
from tests.processes import free_port
from tests.vendors import gotify, server
from tests.vendors.gotify import Gotify
from tests.vendors.messages import BLANK, HOSTILE, classification, message, outgoing, resolved
from tests.vendors.server import Day, VendorServer, replies, serving

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # one of apprise's plug-ins

TIMEOUT_SECONDS = 1.0
LONGEST_SECONDS = 4 * TIMEOUT_SECONDS + 20


def target(*urls: str, allow_private: bool = True) -> AppriseTarget:
    client = guarded_client(allow_private=allow_private, timeout=httpx.Timeout(TIMEOUT_SECONDS))
    return make(TargetSpec(name="t", format="apprise", fields={"url": ", ".join(urls)}), client)


@pytest.fixture
async def vendor() -> AsyncIterator[VendorServer]:
    async with serving(Gotify()) as running:
        yield running


def shown(running: VendorServer) -> list[dict[str, str]]:
    assert isinstance(running.vendor, Gotify)
    return running.vendor.messages


# --- What is told -----------------------------------------------------------------------------------------------------


async def test_service_shows_the_alert(vendor: VendorServer) -> None:
    await target(gotify.url(vendor.url)).send(message())
    assert [(post["title"], post["message"].split("\n")) for post in shown(vendor)] == [
        (
            "🟠 FIRING · DiskFull · warning · shop · db-1:9100",
            [
                "/var is 97 % full",
                "Firing since 2026-11-24 12:00 UTC",
                "It fills up at 2 GB an hour.",
                "Runbook: https://runbooks.example/disk-full",
                "Source: https://prometheus.example/graph?g0.expr=up",
                "",
                "namespace=shop, instance=db-1:9100, job=node",
                "",
                "Sent by: https://alertmanager.example",
            ],
        )
    ]


async def test_group_is_one_message(vendor: VendorServer) -> None:
    alerts = tuple(outgoing(labels={"alertname": "DiskFull", "instance": f"db-{i}"}) for i in range(12))
    await target(gotify.url(vendor.url)).send(Message("key", (*alerts, resolved())))
    (post,) = shown(vendor)
    assert post["title"].startswith("🔴 12 FIRING, 1 RESOLVED · DiskFull")
    assert "…and 3 more" in post["message"]


@pytest.mark.parametrize("kind", HOSTILE)
async def test_service_takes_hostile_alerts(vendor: VendorServer, kind: str) -> None:
    await target(gotify.url(vendor.url)).send(message(HOSTILE[kind]))
    assert len(shown(vendor)) == 1


@pytest.mark.parametrize("name", BLANK)
def test_title_says_that_a_blank_name_is_none(name: str) -> None:
    assert text_of([outgoing(labels={"alertname": name})]).title == "🔴 FIRING · alert without a name"


@pytest.mark.parametrize(
    "alerts, kind",
    [
        ([outgoing(labels={"severity": "critical"})], "failure"),
        ([outgoing(labels={"severity": "warning"})], "warning"),
        ([outgoing(labels={"severity": "info"})], "info"),
        ([resolved()], "success"),
    ],
)
def test_kind_follows_what_is_most_urgent(alerts: Sequence[Outgoing], kind: str) -> None:
    assert text_of(alerts).kind == kind


@pytest.mark.parametrize("call", ["@everyone", "@here", "<@123>", "<@&456>", "<!channel>"])
def test_alert_calls_nobody(call: str) -> None:
    text = text_of([outgoing(labels={"alertname": call}, annotations={"summary": call, "description": call})])
    assert call not in text.title + text.body


async def test_every_url_is_told(vendor: VendorServer) -> None:
    async with serving(Gotify()) as other:
        await target(gotify.url(vendor.url), gotify.url(other.url)).send(message())
        assert (len(shown(vendor)), len(shown(other))) == (1, 1)


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", " ,\n "])
def test_urls_are_told_apart(between: str) -> None:
    spec = TargetSpec(
        name="t",
        format="apprise",
        fields={"url": between.join(["ntfy://ntfy.example/one,two", f"gotify://gotify.example/{gotify.TOKEN}"])},
    )
    assert make(spec, httpx.AsyncClient()).url_shown() == "apprise: ntfy, Gotify"


# --- Bad days ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404])
async def test_what_can_never_succeed_is_rejected(vendor: VendorServer, status: int) -> None:
    vendor.script(replies(status, Location=f"{vendor.url}/message"))
    with pytest.raises(Rejected, match=f"Gotify answered {status}") as raised:
        await target(gotify.url(vendor.url)).send(message())
    assert (raised.value.is_gone, len(vendor.requests)) == (False, 1)


async def test_410_says_that_it_is_gone(vendor: VendorServer) -> None:
    vendor.script(replies(410))
    with pytest.raises(Rejected) as raised:
        await target(gotify.url(vendor.url)).send(message())
    assert raised.value.is_gone


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_what_may_pass_is_retryable(vendor: VendorServer, status: int) -> None:
    vendor.script(replies(status))
    with pytest.raises(Retryable, match=f"Gotify answered {status}"):
        await target(gotify.url(vendor.url)).send(message())


@pytest.mark.parametrize("day", [server.hangs, server.drips_headers, server.resets, server.babbles])
async def test_a_service_that_does_not_answer_is_given_up_in_time(vendor: VendorServer, day: Day) -> None:
    vendor.script(day)
    began = time.monotonic()
    with pytest.raises(Retryable):
        await target(gotify.url(vendor.url)).send(message())
    assert time.monotonic() - began < LONGEST_SECONDS


async def test_a_service_that_is_not_there_is_retryable() -> None:
    with pytest.raises(Retryable, match="Gotify did not take it"):
        await target(gotify.url(f"http://127.0.0.1:{free_port()}")).send(message())


async def test_a_service_that_never_ends_holds_one_thread_and_no_other_target(vendor: VendorServer) -> None:
    async with serving(Gotify()) as slow:
        slow.script(*[server.drips_headers] * 3)
        stuck = target(gotify.url(slow.url))
        for _ in range(3):
            with pytest.raises(Retryable):
                await stuck.send(message())
        assert len(slow.requests) == 1
        await asyncio.wait_for(target(gotify.url(vendor.url)).send(message()), timeout=LONGEST_SECONDS)


async def test_one_failure_of_several_may_pass(vendor: VendorServer) -> None:
    async with serving(Gotify()) as broken:
        broken.script(replies(500))
        both = target(gotify.url(vendor.url), gotify.url(broken.url))
        with pytest.raises(Retryable, match="1 of 2 services failed: Gotify answered 500"):
            await both.send(message())


# --- Where it may connect to ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_is_not_reached_unless_private_targets_are_allowed(vendor: VendorServer, host: str) -> None:
    url = gotify.url(vendor.url.replace("127.0.0.1", host))
    with pytest.raises(Rejected, match=r"Gotify is at (127\.0\.0\.1|::1), a loopback address"):
        await target(url, allow_private=False).send(message())
    assert vendor.requests == []


async def test_metadata_address_is_never_reached() -> None:
    with pytest.raises(Rejected, match=r"169\.254\.169\.254, a cloud's metadata address"):
        await target(gotify.url("http://169.254.169.254")).send(message())


async def test_mail_server_is_checked_too() -> None:
    with pytest.raises(Rejected, match="a loopback address"):
        await target("mailto://me:word@x.example:2525?smtp=127.0.0.1&to=a@x.example", allow_private=False).send(
            message()
        )


async def test_redirect_is_not_followed_whatever_the_url_asks_for(vendor: VendorServer) -> None:
    vendor.script(replies(307, Location=f"{vendor.url}/message"))
    with pytest.raises(Rejected, match="answered 307"):
        await target(f"{gotify.url(vendor.url)}?redirect=yes").send(message())
    assert len(vendor.requests) == 1


def test_other_threads_are_not_watched(vendor: VendorServer) -> None:
    target(gotify.url(vendor.url), allow_private=False)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{free_port()}", trust_env=False)


@pytest.mark.parametrize("scheme", sorted(PLAIN_WEBHOOKS))
def test_plain_webhook_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match=rf"URL 1 begins with {scheme}://.*the format webhook"):
        target(f"{scheme}://hooks.example/secret-path", allow_private=False)


async def test_plain_webhook_is_called_where_private_targets_are_allowed(vendor: VendorServer) -> None:
    vendor.script(replies(200))
    await target(f"json://{vendor.url.removeprefix('http://')}/hook").send(message())
    assert vendor.requests[0].json()["title"].startswith("🟠 FIRING · DiskFull")


@pytest.mark.parametrize("scheme", sorted(OF_THIS_MACHINE))
def test_service_of_this_machine_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match=f"URL 1 begins with {scheme}://"):
        target(f"{scheme}://")


def test_url_that_reads_a_file_is_refused() -> None:
    hook, token = "123456789012345678", "a" * 68
    with pytest.raises(ValueError, match="URL 1 names a file to read"):
        target(f"discord://{hook}/{token}?template=/etc/passwd")


# --- Secrets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that reaches the log of the process, from DEBUG on."""
    root, written = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(written), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_nothing_of_the_url_is_told(
    vendor: VendorServer, status: int, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.script(server.echoes(status))
    gotify_target = target(gotify.url(vendor.url))
    reason = ""
    try:
        await gotify_target.send(message())
    except (Rejected, Retryable) as error:
        reason = str(error)
    everything = f"{reason} {gotify_target.url_shown()} {gotify_target!r} {log.getvalue()} {capsys.readouterr()}"
    assert gotify.TOKEN not in everything


@pytest.mark.parametrize(
    "url", ["nonsense://hunter22", "hunter22", "gotify://", "tgram://hunter22", "https://hunter22.example/x"]
)
def test_url_that_can_not_be_used_is_a_fault_that_does_not_repeat_it(
    url: str, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="key url: URL 1 is none that apprise understands") as raised:
        target(url, "ntfy://ntfy.example/topic")
    assert "hunter22" not in f"{raised.value} {log.getvalue()} {capsys.readouterr()}"
    assert raised.value.__cause__ is None


def test_missing_key_is_named() -> None:
    with pytest.raises(ValueError, match="key url is missing"):
        make(TargetSpec(name="t", format="apprise", fields={}), httpx.AsyncClient())


def test_it_says_what_to_install_where_apprise_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    apprise_target._library.cache_clear()  # noqa: SLF001  # what a fresh process would find
    with pytest.raises(ValueError, match=r"pip install 'apprise>=2\.3'"):
        target("ntfy://ntfy.example/topic")
    apprise_target._library.cache_clear()  # noqa: SLF001


@pytest.mark.parametrize("url, rate", [("ntfy://ntfy.example/topic", 60 / 5.5), (gotify.url("http://x.example"), 60)])
def test_rate_is_what_the_slowest_service_takes(url: str, rate: float) -> None:
    assert target(url, gotify.url("http://y.example")).default_rate_per_minute == pytest.approx(rate)


def test_text_says_what_alerts_mean_once() -> None:
    alerts = [
        outgoing(labels={"alertname": "DiskFull", "pod": f"p{i}"}, classification=classification()) for i in (1, 2)
    ]
    body = text_of(alerts).body
    assert (
        body.count("Classified: critical · capacity · 92 % sure · by gpt-4\nThe volume is full within an hour\n") == 1
    )
    assert "Recommended:\n• Rotate the logs\n• Grow the volume" in body


def test_text_says_why_alerts_are_not_classified() -> None:
    assert "not classified: no answer in time" in text_of([outgoing(unenriched="no answer in time")]).body


def test_text_shows_how_urgent_the_classification_says_it_is() -> None:
    assert text_of([outgoing(classification=classification(severity="noise"))]).kind == "info"


def test_classification_calls_nobody() -> None:
    loud = classification(summary="@everyone", probable_cause="@here", recommendations=("<!channel>",))
    body = text_of([outgoing(classification=loud)]).body
    assert not {"@everyone", "@here", "<!channel>"} & set(body.replace(":", " ").split())

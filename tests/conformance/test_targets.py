"""What every target promises, each tried against a local server that behaves as its vendor does, on good and bad days.

A format joins by a line in FORMATS; its vendor is in tests/vendors.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Protocol

import httpx
import msgspec
import pytest

from alert_history.domain.alert import Status
from alert_history.domain.target import OutgoingAct, Sent, TargetSpec
from alert_history.errors import DeliveryError, Rejected, Retryable
from alert_history.ports import Target
from alert_history.targets.guard import guarded_client
from alert_history.targets.registry import make_target
from tests.processes import free_port
from tests.vendors import alertmanager_receiver, pagerduty, rootly, server, slack, webhook
from tests.vendors.messages import (
    BLANK,
    HOSTILE,
    SHOUT,
    STARTED,
    acknowledged,
    classification,
    classified,
    message,
    outgoing,
    resolved,
)
from tests.vendors.server import Day, Request, VendorServer, replies, serving

TIMEOUT_SECONDS = 5.0
SHORT_TIMEOUT_SECONDS = 0.5
GIVEN_UP_SECONDS = 4 * SHORT_TIMEOUT_SECONDS + 20  # the four timeouts of an exchange, and what a busy machine adds
LONGEST_REASON = 300


class Vendor(server.Vendor, Protocol):
    """A vendor that counts what it took and keeps what it refused."""

    @property
    def taken(self) -> int: ...

    @property
    def refusals(self) -> list[str]: ...


@dataclass(frozen=True)
class Format:
    """A format under test. `fields` gives a target's keys for a server's URL; `secrets` is what may never be shown.

    `wrong_fields` gives keys that the vendor refuses, or is None where it knows no key. `required` are the keys
    without which no target can be made.
    """

    vendor: Callable[[], Vendor]
    fields: Callable[[str], dict[str, str]]
    wrong_fields: Callable[[str], dict[str, str]] | None
    secrets: tuple[str, ...]
    required: tuple[str, ...]


FORMATS = {
    "alertmanager": Format(
        alertmanager_receiver.AlertmanagerReceiver,
        alertmanager_receiver.fields,
        alertmanager_receiver.wrong_fields,
        alertmanager_receiver.SECRETS,
        ("url",),
    ),
    "pagerduty": Format(
        pagerduty.PagerDuty, pagerduty.fields, pagerduty.wrong_fields, pagerduty.SECRETS, ("integration_key",)
    ),
    "rootly": Format(rootly.Rootly, rootly.fields, rootly.wrong_fields, rootly.SECRETS, ("api_key",)),
    "slack": Format(slack.Slack, slack.fields, slack.wrong_fields, slack.SECRETS, ("webhook_url",)),
    "webhook": Format(webhook.Webhook, webhook.fields, webhook.wrong_fields, webhook.SECRETS, ("url",)),
}


SHOWN: dict[str, frozenset[str]] = {
    "pagerduty": frozenset({"acknowledged"}),
    "rootly": frozenset({"acknowledged", "noted"}),
    "slack": frozenset({"acknowledged", "noted"}),
    "webhook": frozenset({"acknowledged", "noted"}),
}
"""The acts of people that each format can show; a format that is not here shows none."""

FOR_PEOPLE = ("pagerduty", "rootly", "slack")
"""Those that write what people read. The others pass the labels on as they are."""


@dataclass(frozen=True)
class Place:
    """A target, and its vendor's server."""

    name: str
    format: Format
    vendor: Vendor
    server: VendorServer
    client: httpx.AsyncClient

    @property
    def target(self) -> Target:
        return self.made(self.format.fields(self.server.url))

    def made(self, fields: dict[str, str]) -> Target:
        return make_target(TargetSpec(name="t", format=self.name, fields=fields), self.client)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The client that targets are given when the service runs."""
    async with guarded_client(allow_private=True, timeout=httpx.Timeout(TIMEOUT_SECONDS)) as opened:
        yield opened


@pytest.fixture(params=FORMATS)
async def place(request: pytest.FixtureRequest, client: httpx.AsyncClient) -> AsyncIterator[Place]:
    """Every format in turn."""
    tried = FORMATS[request.param]
    vendor = tried.vendor()
    async with serving(vendor) as running:
        yield Place(request.param, tried, vendor, running, client)


async def failure(place: Place, day: Day) -> DeliveryError:
    """What sending raises on such a day; one request was all that was tried."""
    place.server.script(day)
    with pytest.raises(DeliveryError) as raised:
        await place.target.send(message())
    assert len(place.server.requests) == 1
    return raised.value


async def reason_given(place: Place, day: Day) -> str:
    """Why sending failed on such a day; empty if it did not."""
    place.server.script(day)
    try:
        await place.target.send(message())
    except DeliveryError as error:
        return str(error)
    return ""


# --- Good days --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["expired", "inferred", "reconciled"])
async def test_vendor_is_told_why_an_end_that_no_sender_said_is_one(place: Place, kind: str) -> None:
    sent = await place.target.send(message())
    end = resolved(event=kind, reason="its sender fell silent", confirmed_at=STARTED, external_id=sent.external_id)
    await place.target.send(message(end, key="01936a3c-ended"))
    assert (place.vendor.refusals, place.vendor.taken) == ([], 2)
    assert b"its sender fell silent" in place.server.requests[-1].body
    await place.target.send(message(msgspec.structs.replace(end, event="resolved", reason=""), key="01936a3c-resolved"))
    assert b"silent" not in place.server.requests[-1].body


async def test_vendor_takes_a_firing_and_its_resolve(place: Place) -> None:
    sent = await place.target.send(message())
    await place.target.send(message(resolved(external_id=sent.external_id), key="01936a3c-resolved"))
    assert (place.vendor.refusals, place.vendor.taken) == ([], 2)


async def test_vendor_takes_a_resolve_of_what_it_was_never_told(place: Place) -> None:
    await place.target.send(message(resolved()))
    assert place.vendor.refusals == []
    assert place.vendor.taken


async def test_vendor_takes_changed_annotations(place: Place) -> None:
    sent = await place.target.send(message())
    changed = outgoing(event="annotations_changed", annotations={"summary": "99 %"}, external_id=sent.external_id)
    await place.target.send(message(changed, key="01936a3c-changed"))
    assert place.vendor.refusals == []
    assert any(b"99 %" in request.body for request in place.server.requests)


async def test_vendor_is_told_what_the_alert_means(place: Place) -> None:
    await place.target.send(message(outgoing(classification=classification())))
    assert place.vendor.refusals == []
    content = b"".join(request.body for request in place.server.requests)
    assert [
        word for word in (b"full within an hour", b"Grow the volume", b"critical", b"gpt-4") if word not in content
    ] == []


async def test_vendor_is_told_why_the_alert_is_not_classified(place: Place) -> None:
    await place.target.send(message(outgoing(unenriched="the proxy did not answer in time")))
    assert place.vendor.refusals == []
    assert any(b"the proxy did not answer in time" in request.body for request in place.server.requests)


async def test_vendor_is_told_of_no_classification_where_none_is_wanted(place: Place) -> None:
    await place.target.send(message())
    content = b"".join(request.body for request in place.server.requests).lower()
    assert b"not classified" not in content
    assert b"classification_" not in content


@pytest.mark.parametrize("status", ["firing", "resolved"])
@pytest.mark.parametrize("is_known", [True, False])
async def test_vendor_takes_a_classification_that_follows(place: Place, status: Status, *, is_known: bool) -> None:
    sent = await place.target.send(message()) if is_known else Sent()
    if status == "resolved":
        await place.target.send(message(resolved(external_id=sent.external_id), key="01936a3c-resolved"))
    before = len(place.server.requests)
    await place.target.send(message(classified(status=status, external_id=sent.external_id), key="01936a3c-classified"))
    assert place.vendor.refusals == []
    if place.target.takes_follow_ups and is_known and place.name != "pagerduty":
        assert any(b"full within an hour" in request.body for request in place.server.requests[before:])


async def test_a_classification_that_follows_too_late_opens_nothing(place: Place) -> None:
    sent = await place.target.send(message())
    await place.target.send(message(resolved(external_id=sent.external_id), key="01936a3c-resolved"))
    before = len(place.server.requests)
    await place.target.send(message(classified(status="resolved", external_id=sent.external_id), key="01936a3c-late"))
    opens = [b'"trigger"', b'"triggered"', b'"status":"firing"', b"FIRING"]
    bodies = [request.body for request in place.server.requests[before:]]
    assert [word for word in opens for body in bodies if word in body] == []


ACTS = [(name, kind) for name, kinds in SHOWN.items() for kind in sorted(kinds)]


@pytest.mark.parametrize("place, kind", ACTS, indirect=["place"])
@pytest.mark.parametrize("status", ["firing", "resolved"])
async def test_vendor_is_told_what_a_person_did(place: Place, kind: str, status: Status) -> None:
    sent = await place.target.send(message())
    known = {"external_id": sent.external_id}
    if status == "resolved":
        await place.target.send(message(resolved(**known), key="01936a3c-resolved"))
    before = len(place.server.requests)
    await place.target.send(message(acknowledged(event=kind, status=status, **known), key="01936a3c-act"))
    assert place.vendor.refusals == []
    bodies = b"".join(request.body for request in place.server.requests[before:])
    assert [word for word in (b"ada", b"I look into it") if word not in bodies] == []
    opens = [b'"trigger"', b'"triggered"', b'"status":"open"']
    assert [word for word in opens if word in bodies] == []


@pytest.mark.parametrize("place, kind", ACTS, indirect=["place"])
@pytest.mark.parametrize("act", [OutgoingAct(SHOUT, SHOUT * 90, STARTED), OutgoingAct("", "", STARTED)])
async def test_vendor_takes_hostile_acts(place: Place, kind: str, act: OutgoingAct) -> None:
    sent = await place.target.send(message())
    acted_alert = acknowledged(event=kind, act=act, external_id=sent.external_id)
    await place.target.send(message(acted_alert, key="01936a3c-act"))
    assert place.vendor.refusals == []


async def test_a_format_says_which_acts_it_can_show(place: Place) -> None:
    assert getattr(place.target, "shown_acts", frozenset()) == SHOWN.get(place.name, frozenset())


@pytest.mark.parametrize("kind", HOSTILE)
async def test_vendor_takes_hostile_alerts(place: Place, kind: str) -> None:
    await place.target.send(message(HOSTILE[kind]))
    assert place.vendor.refusals == []
    assert place.vendor.taken


@pytest.mark.parametrize("place", FOR_PEOPLE, indirect=True)
@pytest.mark.parametrize("name", BLANK)
async def test_people_are_told_of_an_alert_without_a_name(place: Place, name: str) -> None:
    await place.target.send(message(outgoing(labels={"alertname": name, "instance": name, "node": "n1"})))
    assert place.vendor.refusals == []
    assert b"alert without a name" in place.server.requests[-1].body


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_alert_adds_no_header(place: Place, kind: str) -> None:
    await place.target.send(message())
    usual = header_names(place.server.requests[-1])
    await place.target.send(message(HOSTILE[kind]))
    assert header_names(place.server.requests[-1]) == usual


def header_names(request: Request) -> set[str]:
    return set(request.headers)


async def test_the_same_message_twice_says_the_same(place: Place) -> None:
    await place.target.send(message())
    first = place.server.requests[:]
    await place.target.send(message())
    assert [(r.path, r.body) for r in place.server.requests] == [(r.path, r.body) for r in first * 2]


# --- Bad days ---------------------------------------------------------------------------------------------------------


async def test_a_wrong_key_is_rejected(place: Place) -> None:
    if place.format.wrong_fields is None:
        pytest.skip("this vendor knows no keys")
    target = place.made(place.format.wrong_fields(place.server.url))
    with pytest.raises(Rejected):
        await target.send(message())
    assert place.vendor.refusals


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422])
async def test_what_can_never_succeed_is_rejected(place: Place, status: int) -> None:
    error = await failure(place, replies(status))
    assert isinstance(error, Rejected)
    assert not error.is_gone


async def test_410_says_that_it_is_gone(place: Place) -> None:
    error = await failure(place, replies(410))
    assert isinstance(error, Rejected)
    assert error.is_gone


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_retryable(place: Place, status: int) -> None:
    error = await failure(place, replies(status))
    assert isinstance(error, Retryable)
    assert error.after_seconds is None


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds_is_told(place: Place, status: int) -> None:
    error = await failure(place, replies(status, Retry_After="17"))
    assert isinstance(error, Retryable)
    assert error.after_seconds == 17


async def test_retry_after_as_a_date_is_told_as_the_vendor_reads_its_clock(place: Place) -> None:
    vendors_now = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    until = vendors_now + timedelta(seconds=90)
    dates = {"Date": format_datetime(vendors_now, usegmt=True), "Retry_After": format_datetime(until, usegmt=True)}
    error = await failure(place, replies(429, **dates))
    assert isinstance(error, Retryable)
    assert error.after_seconds == 90


@pytest.mark.parametrize("word", ["soon", "-5", "1e9", "", "9" * 40, "Tue, 99 Foo 2026 00:00:00 GMT"])
async def test_a_retry_after_that_makes_no_sense_is_ignored(place: Place, word: str) -> None:
    error = await failure(place, replies(429, Retry_After=word))
    assert isinstance(error, Retryable)
    assert error.after_seconds is None


@pytest.mark.parametrize("day", [server.hangs, server.drips_headers, server.drips_body])
async def test_a_slow_vendor_is_given_up_in_time(place: Place, day: Day) -> None:
    async with guarded_client(allow_private=True, timeout=httpx.Timeout(SHORT_TIMEOUT_SECONDS)) as client:
        async with asyncio.timeout(GIVEN_UP_SECONDS):
            error = await failure(replace(place, client=client), day)
    assert isinstance(error, Retryable)


@pytest.mark.parametrize("day", [server.resets, server.tears, server.babbles])
async def test_a_broken_connection_is_retryable(place: Place, day: Day) -> None:
    assert isinstance(await failure(place, day), Retryable)


async def test_a_vendor_that_is_not_there_is_retryable(place: Place) -> None:
    target = place.made(place.format.fields(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Retryable):
        await target.send(message())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(place: Place, status: int) -> None:
    error = await failure(place, replies(status, Location=f"{place.server.url}/elsewhere"))
    assert isinstance(error, Rejected)


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_garbage_body_is_no_crash(place: Place, status: int) -> None:
    garbage = b"\xff\x00\xed\xa0\x80<html>{[" + bytes(range(256)) * 1000
    reason = await reason_given(place, replies(status, garbage))
    assert reason.isprintable()
    assert len(reason) <= LONGEST_REASON


async def test_after_a_bad_day_the_same_target_is_told_again(place: Place) -> None:
    target = place.target
    for day in (server.resets, server.tears, server.babbles, replies(500)):
        place.server.script(day)
        with pytest.raises(Retryable):
            await target.send(message())
    await target.send(message())
    assert place.vendor.refusals == []


# --- Secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 404, 429, 500])
async def test_an_error_holds_no_secret_even_where_the_vendor_repeats_it(place: Place, status: int) -> None:
    reason = await reason_given(place, server.echoes(status))
    assert [secret for secret in place.format.secrets if secret in reason] == []
    assert len(reason) <= LONGEST_REASON


async def test_what_is_shown_holds_no_secret(place: Place) -> None:
    shown = f"{place.target.url_shown()} {place.target!r}"
    assert [secret for secret in place.format.secrets if secret in shown] == []


@pytest.mark.parametrize("name", FORMATS)
async def test_what_is_shown_holds_no_password(name: str, client: httpx.AsyncClient) -> None:
    fields = FORMATS[name].fields("https://somebody:hunter22@vendor.example:8443")
    for way in ("token", "auth_header"):
        fields.pop(way, None)
    shown = make_target(TargetSpec(name="t", format=name, fields=fields), client).url_shown()
    assert "hunter22" not in shown
    assert "vendor.example:8443" in shown


@pytest.mark.parametrize("name", FORMATS)
async def test_a_missing_key_is_named(name: str, client: httpx.AsyncClient) -> None:
    for key in FORMATS[name].required:
        fields = FORMATS[name].fields("https://vendor.example")
        del fields[key]
        with pytest.raises(ValueError, match=key):
            make_target(TargetSpec(name="t", format=name, fields=fields), client)


@pytest.mark.parametrize(
    "url", ["vendor.example", "ftp://vendor.example", "https:///path", "http://[::1", "https://a b/"]
)
@pytest.mark.parametrize("name", FORMATS)
async def test_a_url_that_is_none_is_a_fault_that_does_not_repeat_it(
    name: str, url: str, client: httpx.AsyncClient
) -> None:
    fields = {key: url if "url" in key else value for key, value in FORMATS[name].fields("https://x").items()}
    with pytest.raises(ValueError, match=r"key [a-z_]*url") as raised:
        make_target(TargetSpec(name="t", format=name, fields=fields), client)
    assert raised.value.__cause__ is None
    assert url not in str(raised.value)


@pytest.mark.parametrize("name", FORMATS)
async def test_it_says_how_much_it_takes(name: str, client: httpx.AsyncClient) -> None:
    spec = TargetSpec(name="t", format=name, fields=FORMATS[name].fields("https://vendor.example"))
    assert 0 < make_target(spec, client).default_rate_per_minute <= 6000


@pytest.mark.parametrize(
    "name, takes", [("alertmanager", False), ("pagerduty", True), ("rootly", True), ("slack", True), ("webhook", True)]
)
async def test_it_says_whether_it_takes_a_classification_later(
    name: str, client: httpx.AsyncClient, *, takes: bool
) -> None:
    spec = TargetSpec(name="t", format=name, fields=FORMATS[name].fields("https://vendor.example"))
    assert make_target(spec, client).takes_follow_ups is takes

"""What is particular to webhooks: the body, the headers and the signature."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from alert_history.domain.target import TargetSpec
from alert_history.targets.webhook import WebhookTarget, make, sign
from tests.vendors.messages import ENDED, STARTED, classification, classified, message, outgoing, resolved


class Sent:
    """Every request that was made; each is answered 200."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, text="thanks")

    async def headers(self, **fields: str) -> httpx.Headers:
        """Those of a message to a target with these keys."""
        spec = TargetSpec(name="t", format="webhook", fields={"url": "https://x.example/hook"} | fields)
        await make(spec, self.client).send(message())
        return self.requests[-1].headers


@pytest.fixture
async def sent() -> AsyncIterator[Sent]:
    sent = Sent()
    yield sent
    await sent.client.aclose()


def fault(**fields: str) -> str:
    with pytest.raises(ValueError, match="key") as raised:
        make(TargetSpec(name="t", format="webhook", fields={"url": "https://x.example"} | fields), httpx.AsyncClient())
    return str(raised.value)


async def body(sent: Sent, alert: Any) -> Any:
    target = WebhookTarget("https://x.example/hook", sent.client, headers={}, signing_key=None)
    await target.send(message(alert, key="01936a3c"))
    return msgspec.json.decode(sent.requests[-1].content)


async def test_body_says_all_that_is_known_of_a_firing(sent: Sent) -> None:
    alert = outgoing()
    assert await body(sent, alert) == {
        "type": "alert.fired",
        "id": "01936a3c",
        "timestamp": "2026-11-24T12:00:00.123456Z",
        "version": "1",
        "data": {
            "occurrence_id": alert.occurrence_id,
            "fingerprint": alert.fingerprint,
            "event": "fired",
            "status": "firing",
            "labels": alert.labels,
            "annotations": alert.annotations,
            "starts_at": "2026-11-24T12:00:00.123456Z",
            "ends_at": None,
            "received_at": "2026-11-24T12:00:00.123456Z",
            "receiver": "team-db",
            "group_key": alert.group_key,
            "generator_url": alert.generator_url,
            "external_url": alert.external_url,
            "details": alert.details,
            "classification": None,
            "enrichment": {"status": "transparent", "reason": None},
            "scope": "",
            "ended_by": None,
            "confirmed_at": None,
            "reason": "",
            "act": None,
        },
    }


async def test_body_says_how_an_end_is_known(sent: Sent) -> None:
    event = await body(sent, resolved(event="inferred", reason="its group goes on without it", confirmed_at=STARTED))
    assert event["data"]["ended_by"] == "inferred"
    assert event["data"]["reason"] == "its group goes on without it"
    assert event["data"]["confirmed_at"] == "2026-11-24T12:00:00.123456Z"


async def test_body_says_what_the_alert_means(sent: Sent) -> None:
    event = await body(sent, outgoing(classification=classification()))
    assert event["data"]["enrichment"] == {"status": "enriched", "reason": None}
    assert event["data"]["classification"] == {
        "severity": "critical",
        "confidence": 0.92,
        "category": "capacity",
        "summary": "The volume is full within an hour",
        "probable_cause": "Logs of a crash loop are not rotated",
        "recommendations": ["Rotate the logs", "Grow the volume"],
        "reasoning": "It grew by 2 GB an hour all day",
        "tags": ["disk", "logs"],
        "source": "llm",
        "model": "gpt-4",
        "at": "2026-11-24T12:00:00.123456Z",
        "is_noise_by_history": False,
    }


async def test_body_says_why_there_is_no_classification(sent: Sent) -> None:
    event = await body(sent, outgoing(unenriched="no answer in time"))
    assert event["data"]["enrichment"] == {"status": "unenriched", "reason": "no answer in time"}
    assert event["data"]["classification"] is None


async def test_classification_that_follows_is_an_event_of_its_own(sent: Sent) -> None:
    event = await body(sent, classified())
    assert (event["type"], event["data"]["event"], event["data"]["status"]) == (
        "alert.classified",
        "classified",
        "firing",
    )


async def test_body_of_a_resolve_says_when_it_ended(sent: Sent) -> None:
    event = await body(sent, resolved())
    assert (event["type"], event["data"]["ends_at"]) == ("alert.resolved", ENDED.isoformat().replace("+00:00", "Z"))


def test_signature_is_that_of_the_specifications_own_libraries() -> None:
    assert (
        sign(
            b'{"test": 2432232314}',
            key=base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp="1614265330",
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("secret", ["whsec_MDEyMzQ1Njc4OWFiY2RlZg==", "0123456789abcdef"])
async def test_a_secret_is_base64_behind_whsec_and_plain_text_else(sent: Sent, secret: str) -> None:
    headers = await sent.headers(signing_secret=secret)
    assert headers["webhook-signature"] == sign(
        sent.requests[-1].content,
        key=b"0123456789abcdef",
        message_id=headers["webhook-id"],
        timestamp=headers["webhook-timestamp"],
    )


async def test_the_same_id_and_body_go_out_on_every_attempt(sent: Sent) -> None:
    first, second = await sent.headers(), await sent.headers()
    assert first["webhook-id"] == second["webhook-id"]
    assert sent.requests[0].content == sent.requests[1].content


async def test_timestamp_is_when_it_is_sent_in_seconds(sent: Sent) -> None:
    target = WebhookTarget(
        "https://x.example", sent.client, headers={}, signing_key=b"k", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    await target.send(message())
    assert sent.requests[-1].headers["webhook-timestamp"] == "1767225600"


async def test_nothing_is_signed_without_a_secret(sent: Sent) -> None:
    headers = await sent.headers()
    assert "webhook-signature" not in headers
    assert "authorization" not in headers


@pytest.mark.parametrize(
    "key, header, value",
    [
        ("auth_header", "authorization", "Basic dXNlcjpwYXNz"),
        ("token", "authorization", "Bearer Basic dXNlcjpwYXNz"),
        ("api_key", "x-api-key", "Basic dXNlcjpwYXNz"),
        ("header_X_Scope_OrgID", "x-scope-orgid", "Basic dXNlcjpwYXNz"),
        ("header_authorization", "authorization", "Basic dXNlcjpwYXNz"),
    ],
)
async def test_a_key_sets_its_header(sent: Sent, key: str, header: str, value: str) -> None:
    assert (await sent.headers(**{key: "Basic dXNlcjpwYXNz"}))[header] == value


@pytest.mark.parametrize(
    "name", ["host", "Content_Length", "transfer_encoding", "Webhook_Id", "webhook_signature", "connection", "proxy_x"]
)
def test_a_header_that_is_ours_cannot_be_set(name: str) -> None:
    assert f"header_{name}" in fault(**{f"header_{name}": "v"})


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "x" * 300])
def test_a_header_name_must_be_one(name: str) -> None:
    assert fault(**{f"header_{name}": "v"}) == "key header_…: what follows is no name of a header"


@pytest.mark.parametrize("key", ["auth_header", "token", "api_key", "header_X_A"])
@pytest.mark.parametrize("value", ["a\r\nX-Injected: yes", "a\nb", "a\x00b", "ä", "a\x7fb", "a\tb\x0b"])
def test_a_header_value_can_add_no_header(key: str, value: str) -> None:
    assert fault(**{key: value}) == f"key {key} holds a character that can't stand in a header"


@pytest.mark.parametrize(
    "fields",
    [
        {"token": "aaaa", "api_key": "bbbb"},
        {"auth_header": "aaaa", "token": "bbbb"},
        {"token": "aaaa", "header_Authorization": "bbbb"},
        {"header_X_A": "aaaa", "header_x_a": "bbbb"},
        {"url": "https://user:aaaa@x.example", "token": "bbbb"},
    ],
    ids=str,
)
def test_two_keys_for_one_header_are_a_fault(fields: dict[str, str]) -> None:
    reason = fault(**fields)
    assert "aaaa" not in reason
    assert "bbbb" not in reason


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64", "whsec_abc"])
def test_a_broken_signing_secret_is_a_fault(secret: str) -> None:
    assert fault(signing_secret=secret) == "key signing_secret begins with whsec_, so base64 must follow"

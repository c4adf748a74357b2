"""Who signs what is sent needs no token, and who signs it wrongly or too long ago is refused, on each ingest path.

The signatures below are those of `openssl dgst -sha256 -hmac KEY`, over the file of `tests/data` as it lies there.
Holds: `web.ingest.signed_senders`, `web.ingest.signature`.
"""

import asyncio
import gzip
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alert_history.engine.tokens import TokenBook
from alert_history.web.http.gate import Gate
from alert_history.web.ingest.signed_senders import SignedSenders
from alert_history.web.ingest.webhook import KnownSenders
from tests.trust import MemoryTokens
from tests.unit.test_webhook import Answer, Door

pytestmark = pytest.mark.timeout(20)

BODY = (Path(__file__).parents[1] / "data" / "grafana-11" / "firing-and-resolved.json").read_bytes()
KEY, OLDER_KEY = "grafana-contact-point-2026", "older-secret"
OF_BODY = "608b5cc1f253453aef97d2e37a2cb278832fcdba815d01deb9b8239495c62b89"
OF_BODY_BY_OLDER_KEY = "ed3e3ef5b97c8e87a93327034c1435003dbae08d7a273f3b24df7841dbab44cb"
TIME = "1769000000"  # 2026-01-21T12:53:20Z
OF_TIME_AND_BODY = "9a7ba9f63b8282198b3adc08fd64d44ba565ef888bb245f79c0f1e48a0f8f3c0"  # of `1769000000:` and the body
NOW = datetime(2026, 1, 21, 12, 53, 20, tzinfo=UTC)

GRAFANA = "X-Grafana-Alerting-Signature"
OURS = "X-Alert-History-Signature"
GRAFANA_TIME = "X-Grafana-Alerting-Signature-Timestamp"


def headers(**given: str) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them; an underscore stands for a hyphen."""
    sent = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in given.items()]
    return [(b"content-type", b"application/json"), *sent]


def signed(value: str, *, header: str = GRAFANA, time: str = "", time_header: str = GRAFANA_TIME) -> dict[str, str]:
    return {header: value, **({time_header: time} if time else {})}


@asynccontextmanager
async def door_for(*secrets: str, is_closed: bool = True, now: datetime = NOW) -> AsyncIterator[Door]:
    """Ingest that needs a token, and takes signatures of these secrets."""
    gate = Gate(TokenBook(MemoryTokens(), clock=lambda: now, known=[]), is_open=True, is_ingest_closed=is_closed)
    door = Door(gate=gate, senders=KnownSenders(SignedSenders(secrets)), clock=lambda: now)
    running = asyncio.create_task(door.ingest.run())
    try:
        yield door
    finally:
        door.ingest.stop()
        await running


async def post(door: Door, sent: dict[str, str], body: bytes = BODY, *, path: str = "/webhook") -> Answer:
    return await door.post([body], headers(**sent), path=path)


@pytest.mark.parametrize(
    "secrets, sent",
    [
        ([KEY], signed(OF_BODY)),
        ([KEY], signed(OF_BODY.upper())),
        ([KEY], signed(OF_TIME_AND_BODY, time=TIME)),
        ([KEY], signed(OF_TIME_AND_BODY, time=TIME, time_header="X-Grafana-Alerting-Timestamp")),
        ([KEY], signed(OF_BODY, header=OURS)),
        ([KEY], signed(f"sha256={OF_BODY}", header=OURS)),
        ([KEY], signed(OF_TIME_AND_BODY, header=OURS, time=TIME, time_header="X-Alert-History-Timestamp")),
        ([KEY, OLDER_KEY], signed(OF_BODY)),
        ([KEY, OLDER_KEY], signed(OF_BODY_BY_OLDER_KEY)),
        ([OLDER_KEY], signed(f"{OF_BODY}, {OF_BODY_BY_OLDER_KEY}", header=OURS)),
    ],
)
@pytest.mark.parametrize("path", ["/webhook", "/webhook/proxy"])
async def test_what_is_signed_rightly_needs_no_token(secrets: Sequence[str], sent: dict[str, str], path: str) -> None:
    async with door_for(*secrets) as door:
        answer = await post(door, sent, path=path)
    assert (answer.status, answer.body) == (200, answer.body)


@pytest.mark.parametrize(
    "sent",
    [
        signed("0" * 64),
        signed(""),
        signed("ÿ"),
        signed(OF_BODY[:-1]),
        signed(OF_BODY_BY_OLDER_KEY),
        signed(OF_BODY, time=TIME),  # the time was added by another
        signed(OF_TIME_AND_BODY),  # the time was taken away
        signed(OF_TIME_AND_BODY, time="1769000001"),  # the time was made younger
        signed(OF_TIME_AND_BODY, time=TIME, time_header="X-Other-Timestamp"),
    ],
)
@pytest.mark.parametrize("is_closed", [True, False])
async def test_what_is_signed_wrongly_is_refused_also_where_nobody_needs_a_token(
    sent: dict[str, str],
    is_closed: bool,  # noqa: FBT001  # a table's column
) -> None:
    async with door_for(KEY, is_closed=is_closed) as door:
        with capture_logs() as logs:
            answer = await post(door, sent)
        assert (answer.status, answer.problem) == (401, "wrong-signature")
        assert door.refused("wrong-signature") == 1
        assert not door.recorder.has_begun.is_set()
    [log] = [each for each in logs if each["event"] == "webhook_refused"]
    assert log["log_level"] == "warning"
    assert "WEBHOOK_HMAC_SECRET" in log["reason"]
    assert KEY not in str(logs)


async def test_a_changed_body_is_refused() -> None:
    async with door_for(KEY) as door:
        assert (await post(door, signed(OF_BODY), BODY.replace(b"firing", b"firinG", 1))).status == 401


@pytest.mark.parametrize(
    "seconds, status",
    [(0, 200), (300, 200), (301, 401), (86_400, 401), (-300, 200), (-301, 401)],
)
async def test_a_signature_is_good_for_five_minutes_of_difference_between_the_clocks(seconds: int, status: int) -> None:
    async with door_for(KEY, now=NOW + timedelta(seconds=seconds)) as door:
        answer = await post(door, signed(OF_TIME_AND_BODY, time=TIME))
        assert answer.status == status
        assert door.refused("stale-signature") == (status == 401)
    if seconds > 300:
        assert f"{seconds} s ago" in answer.body.decode()
    elif status == 401:
        assert "301 s ahead of our clock" in answer.body.decode()


@pytest.mark.parametrize("time", ["1769000000000", "2026-01-21T12:53:20Z", "-1", "9" * 400])
async def test_a_time_that_is_no_time_is_refused_even_where_it_was_signed(time: str) -> None:
    made = hmac.digest(KEY.encode(), f"{time}:".encode() + BODY, "sha256").hex()
    async with door_for(KEY) as door:
        answer = await post(door, signed(made, time=time))
    assert (answer.status, answer.problem) == (401, "stale-signature")


async def test_what_is_packed_is_signed_as_it_is_sent() -> None:
    packed = gzip.compress(BODY)
    made = hmac.digest(KEY.encode(), packed, "sha256").hex()
    async with door_for(KEY) as door:
        good = await post(door, signed(made) | {"Content-Encoding": "gzip"}, packed)
        bad = await post(door, signed(OF_BODY) | {"Content-Encoding": "gzip"}, packed)
    assert (good.status, bad.status) == (200, 401)


async def test_a_bomb_that_is_not_signed_is_never_unpacked() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    async with door_for(KEY) as door:
        answer = await post(door, signed("0" * 64) | {"Content-Encoding": "gzip"}, bomb)
    assert (answer.status, answer.problem) == (401, "wrong-signature")


async def test_without_a_signature_the_rule_of_tokens_holds() -> None:
    async with door_for(KEY, is_closed=True) as door:
        assert (await post(door, {})).problem == "not-signed-in"
    async with door_for(KEY, is_closed=False) as door:
        assert (await post(door, {})).status == 200


async def test_without_a_secret_nobody_looks_at_signatures() -> None:
    async with door_for(is_closed=False) as door:
        assert (await post(door, signed("0" * 64))).status == 200
    async with door_for(is_closed=True) as door:
        assert (await post(door, signed(OF_BODY))).problem == "not-signed-in"


async def test_a_right_signature_is_good_whatever_else_the_request_carries() -> None:
    """Grafana may send a password for a proxy in front as well."""
    async with door_for(KEY) as door:
        assert (await post(door, signed(OF_BODY) | {"Authorization": "Basic eDp5"})).status == 200


async def test_a_body_that_is_too_large_is_refused_before_its_signature_is_made() -> None:
    async with door_for(KEY) as door:
        answer = await door.post([b" " * 90_000] * 3, headers(**signed(OF_BODY)))
    assert answer.status == 413

"""What a target's answer means, and what its reason says."""

from datetime import UTC, datetime

import httpx
import pytest

from alert_history.domain.target import TargetSpec
from alert_history.errors import Rejected, Retryable
from alert_history.targets import answers
from alert_history.targets.answers import Answer, refusal

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def refused(status: int, body: bytes, *secrets: str) -> Retryable | Rejected:
    return refusal(Answer(status, {}, body), now=NOW, secrets=secrets)


def wait(status: int, **headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = refusal(Answer(status, named, b""), now=NOW)
    assert isinstance(error, Retryable)
    return error.after_seconds


def test_a_date_counts_from_now_where_the_answer_is_not_dated() -> None:
    assert wait(503, retry_after="Tue, 24 Nov 2026 12:01:00 GMT") == 60


def test_a_date_that_has_passed_means_at_once() -> None:
    assert wait(503, retry_after="Tue, 24 Nov 2026 11:00:00 GMT") == 0


def test_no_wait_is_longer_than_a_day() -> None:
    assert wait(429, retry_after="999999999") == 24 * 3600


def test_fractions_of_a_second_are_read() -> None:
    assert wait(429, retry_after="1.5") == 1.5


@pytest.mark.parametrize("name", ["ratelimit_reset", "x_ratelimit_reset"])
@pytest.mark.parametrize("value", ["30", str(int(NOW.timestamp()) + 30)])
def test_the_reset_of_a_rate_limit_is_a_wait_or_a_time(name: str, value: str) -> None:
    assert wait(429, **{name: value}) == 30


def test_retry_after_goes_before_the_reset() -> None:
    assert wait(429, retry_after="5", ratelimit_reset="30") == 5


def test_a_reset_means_nothing_where_no_limit_was_hit() -> None:
    assert wait(503, ratelimit_reset="30") is None


def test_the_reason_says_what_the_vendor_said_on_one_line() -> None:
    body = b"<html><h1>Bad\r\n gateway</h1>\x00 \xe2\x80\xae try  later</html>"
    assert str(refused(502, body)) == "answered 502: Bad gateway try later"


def test_the_reason_is_the_status_where_nothing_was_said() -> None:
    assert str(refused(502, b" \n")) == "answered 502"


def test_what_the_vendor_said_is_cut_to_200_characters() -> None:
    quotation = str(refused(400, b"x" * 5000)).removeprefix("answered 400: ")
    assert (len(quotation), quotation[-1]) == (200, "…")


def test_a_secret_at_the_cut_is_not_shown_in_part() -> None:
    assert "hun" not in str(refused(400, b"x" * 195 + b"hunter22", "hunter22"))


def test_a_secret_inside_another_leaves_no_rest() -> None:
    assert str(refused(400, b"a Bearer-abcdef z", "abcdef", "Bearer-abcdef")) == "answered 400: a *** z"


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://api.example", "https://api.example"),
        ("https://api.example/", "https://api.example"),
        ("http://api.example:8080/a/b?c=d#e", "http://api.example:8080/…"),
        ("https://user:pass@api.example/x", "https://api.example/…"),
        ("https://[::1]:9000/x", "https://[::1]:9000/…"),
    ],
)
def test_only_where_a_url_is_is_shown(url: str, shown: str) -> None:
    assert answers.url_shown(url) == shown


async def test_what_a_url_holds_is_kept_out_of_the_reason() -> None:
    url = "https://user:hunter22@api.example/hooks/T0KEN0T0KEN0T0KEN0?key=qu%2Fery"

    def echo(request: httpx.Request) -> httpx.Response:
        text = f"no {request.url} {request.url.path} {request.url.query.decode()} T0KEN0T0KEN0T0KEN0 qu/ery hunter22"
        return httpx.Response(404, text=text)

    async with httpx.AsyncClient(transport=httpx.MockTransport(echo)) as client:
        with pytest.raises(Rejected) as raised:
            await answers.post(client, url, body=b"{}")
    assert [part for part in ("hunter22", "T0KEN0", "ery") if part in str(raised.value)] == []


@pytest.mark.parametrize(
    "error, words",
    [
        (httpx.ConnectTimeout("https://secret"), "no connection in time"),
        (httpx.ReadTimeout("https://secret"), "no answer in time"),
        (httpx.PoolTimeout("https://secret"), "no free connection in time"),
        (httpx.ConnectError("https://secret"), "can't connect"),
        (httpx.RemoteProtocolError("https://secret"), "the connection broke before it answered"),
    ],
)
async def test_why_it_was_not_reached_is_said_without_the_url(error: httpx.TransportError, words: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        with pytest.raises(Retryable) as raised:
            await answers.post(client, "https://secret", body=b"{}")
    assert (str(raised.value), raised.value.__cause__) == (words, None)


async def test_a_name_that_cannot_be_resolved_is_said() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(Retryable, match="its name can't be resolved"):
            await answers.post(client, "http://no-such-host.invalid", body=b"{}")


def test_the_first_of_several_keys_counts() -> None:
    spec = TargetSpec(name="t", format="x", fields={"b": "2", "a": "1"})
    assert answers.required(spec, "a", "b") == "1"


def test_keys_that_are_all_missing_are_named() -> None:
    with pytest.raises(ValueError, match="key a or b is missing"):
        answers.required(TargetSpec(name="t", format="x", fields={"a": ""}), "a", "b")

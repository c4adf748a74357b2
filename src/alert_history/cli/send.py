"""`alert-history send`: saved payloads are posted as Alertmanager posts them."""

import random
import time
from typing import Annotated, Any

import httpx
import msgspec
from cyclopts import Parameter

from alert_history import __version__
from alert_history.cli.console import print_error, print_line
from alert_history.cli.payloads import Payload, read_payloads
from alert_history.errors import ConfigurationError
from alert_history.urls.masking import masked_url, masked_wrong_url
from alert_history.urls.url import UrlFault, only_host
from alert_history.urls.web import read_web_url

_HEADERS = {"Content-Type": "application/json", "User-Agent": f"Alertmanager/0.28.1 (alert-history/{__version__})"}
_WEBHOOK_PATH = "/webhook/proxy"
_ALERTS_PATH = "/api/v2/alerts"
_INGEST_PATHS = (_ALERTS_PATH, _WEBHOOK_PATH, "/webhook")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0
_SHOWN_CHARACTERS = 300


class Failure(Exception):
    """The service refused a payload. The message says why."""


def send(
    *files: Annotated[
        str,
        Parameter(
            name="FILE",
            allow_leading_hyphen=True,
            help="JSON payloads; .jsonl holds one a line; - is standard input.",
        ),
    ],
    to: Annotated[str, Parameter(help="The service, or the full URL of one of its ingest paths.")] = (
        "http://localhost:8080"
    ),
) -> int:
    """Post files in order; exit code 1 if a payload was refused. Raises: ConfigurationError on wrong usage."""
    if not files:
        raise ConfigurationError(["send needs a FILE, or - for standard input"])
    if unknown := [file for file in files if file.startswith("--")]:
        raise ConfigurationError([f"send has no option {unknown[0]}; a file of that name is ./{unknown[0]}"])
    try:
        host = only_host(read_web_url(to))
    except UrlFault as fault:
        shown = masked_wrong_url(to)
        raise ConfigurationError([f"--to {shown} is not allowed: {fault}; give http://host:port"]) from None
    is_complete = True
    with httpx.Client(trust_env=host.name not in _LOOPBACK, timeout=_TIMEOUT_SECONDS, headers=_HEADERS) as client:
        for file in files:
            is_complete &= _send_file(client, file, to=to.rstrip("/"))
    return int(not is_complete)


def _send_file(client: httpx.Client, file: str, *, to: str) -> bool:
    """Whether the service took all payloads of a file."""
    is_complete = True
    try:
        for payload in read_payloads(file):
            is_complete &= _send_payload(client, payload, to=to)
    except OSError as error:
        print_error(f"{file}: {error.strerror}")
        return False
    return is_complete


def _send_payload(client: httpx.Client, payload: Payload, *, to: str) -> bool:
    try:
        answer = _post(client, _url(to, payload.body), body=payload.body)
    except Failure as failure:
        print_error(f"{payload.name}: {failure}")
        return False
    print_line(f"{payload.name}: {_receipt(answer)}")
    return True


def _url(to: str, body: bytes) -> str:
    if to.endswith(_INGEST_PATHS):
        return to
    return to + (_ALERTS_PATH if _is_from_prometheus(body) else _WEBHOOK_PATH)


def _is_from_prometheus(body: bytes) -> bool:
    """Whether a body is an array of alerts. Other bytes are posted all the same: the service says what is wrong."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(document, list) or not document:
        return False
    return isinstance(document[0], dict) and "labels" in document[0]


def _post(client: httpx.Client, url: str, *, body: bytes) -> httpx.Response:
    """The answer of success. Raises Failure: at once on a lasting fault, else after the last attempt."""
    failure = Failure("not sent")
    for attempt in range(_ATTEMPTS):
        pause_seconds = _FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1)  # noqa: S311  # spreads, hides nothing
        try:
            answer = client.post(url, content=body)
        except httpx.TransportError as error:
            failure = Failure(f"{masked_url(url)}: {str(error) or type(error).__name__}")
        else:
            if answer.is_success:
                return answer
            failure = Failure(f"{masked_url(url)} answered {answer.status_code}: {_detail(answer)}")
            if not answer.is_server_error:
                break
            pause_seconds = max(pause_seconds, _retry_after(answer))
        if attempt + 1 < _ATTEMPTS:
            time.sleep(pause_seconds)
    raise failure


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE_SECONDS) if text.isdecimal() else 0.0


def _detail(answer: httpx.Response) -> str:
    """The detail of a problem, or the start of any other answer."""
    problem = _json_object(answer)
    detail = problem.get("detail") or problem.get("title") or answer.text
    return " ".join(str(detail).split())[:_SHOWN_CHARACTERS] or answer.reason_phrase


def _receipt(answer: httpx.Response) -> str:
    receipt = _json_object(answer)
    if "receipt_id" not in receipt:
        return f"{answer.status_code} {answer.reason_phrase}"
    counts = ", ".join(f"{receipt.get(name, 0)} {name}" for name in ("received", "stored", "repeated", "quarantined"))
    return f"{counts} (receipt {receipt['receipt_id']})"


def _json_object(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

"""An OpenAI-compatible proxy on a free port: it checks requests as OpenAI does, keeps them, and has bad days.

In a test, beside the service or the enricher::

    async with llm_proxy() as server:                 # a task; server.url goes into LLM_PROXY_URL, KEY into LLM_API_KEY
        server.script(hangs, busy(after_seconds=7))   # the next requests' days, one each; then it answers again
        server.script(*[hangs] * ALWAYS)              # all of them
        …
        server.vendor.questions()                     # the alerts that each request asked about

From a test that can't hold a loop, as a process: `python -m tests.llm_proxy [--day NAME]` prints its URL as the first
line, then one line of JSON for each question; with `--day` each request has that day.

What it says follows from what it was asked, so that a test can tell what the prompt held: the severity is the label's,
or noise where most occurrences were over within a minute; the summary holds alertname, namespace and the annotation
`summary`; the cause names what else began; the recommendations are those of similar occurrences; the reasoning tells
how often it fired. `LlmProxy(takes="tools")` and `takes="text"` are older proxies, that refuse what they don't know, or
with `is_lax` pass over it. More days, for any server, are in tests/vendors/server.py.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tests.vendors.server import (
    Day,
    Reply,
    Request,
    VendorServer,
    babbles,
    drips_body,
    drips_headers,
    hangs,
    json_reply,
    replies,
    resets,
    serving,
    tears,
)

KEY = "sk-test-0123456789abcdefghijklmnop"
MODEL = "gpt-4"
ALWAYS = 10_000
HUGE_BYTES = 10 * 1024 * 1024

Takes = Literal["schema", "tools", "text"]
_PATHS = frozenset({"/v1/chat/completions", "/v1/models"})
_KNOWN = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "response_format", "tools"} | {
    "tool_choice"
}
_UNKNOWN_TO: Mapping[Takes, frozenset[str]] = {
    "schema": frozenset(),
    "tools": frozenset({"response_format", "max_completion_tokens"}),
    "text": frozenset({"response_format", "max_completion_tokens", "tools", "tool_choice"}),
}
_MOSTLY = 0.8
_ENOUGH = 5


@dataclass
class LlmProxy:
    """One proxy. `asked` holds the bodies of the requests that it answered, oldest first."""

    takes: Takes = "schema"
    is_lax: bool = False
    counts_usage: bool = True
    key: str | None = KEY
    models: Sequence[str] = (MODEL,)
    asked: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    on_question: Callable[[list[dict[str, Any]]], None] = lambda _: None

    def questions(self) -> list[list[dict[str, Any]]]:
        """The alerts that each request asked about, as the prompt held them."""
        return [alerts_in(body) for body in self.asked]

    def answer(self, request: Request) -> Reply:
        path, _, _ = request.path.partition("?")
        if path not in _PATHS:
            return self._refuse(404, f"Invalid URL ({request.method} {path})", None)
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            given = request.headers.get("authorization", "")
            return self._refuse(401, f"Incorrect API key provided: {given}", "invalid_api_key")
        if path == "/v1/models":
            return json_reply(
                200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
            )
        try:
            body = request.json()
        except msgspec.DecodeError:
            return self._refuse(400, "We could not parse the JSON body of your request", None)
        return self._complete(body)

    def _complete(self, body: dict[str, Any]) -> Reply:
        if body["model"] not in self.models:
            return self._refuse(404, f"The model `{body['model']}` does not exist", "model_not_found")
        unknown = set() if self.is_lax else set(body) & _UNKNOWN_TO[self.takes]
        faults = [f"Unrecognized request argument: {name}" for name in sorted(unknown)] + list(_faults(body))
        if faults:
            return self._refuse(400, f"{faults[0]} in {msgspec.json.encode(body).decode()}", "unsupported_parameter")
        self.asked.append(body)
        self.on_question(alerts_in(body))
        return self.completion(body, {"classifications": [classified(alert) for alert in alerts_in(body)]})

    def completion(self, body: Mapping[str, Any], document: object, **message: Any) -> Reply:
        """A chat completion that says `document`, in the form that was asked for if the proxy knows it."""
        text = msgspec.json.encode(document).decode()
        if self.takes == "schema" and "response_format" in body:
            answer: dict[str, Any] = {"content": text}
        elif self.takes in {"schema", "tools"} and "tools" in body:
            call = {"id": "call_1", "type": "function", "function": {"name": "classifications", "arguments": text}}
            answer = {"content": None, "tool_calls": [call]}
        elif "JSON" in body["messages"][0]["content"].rpartition("\n\n")[2]:
            answer = {"content": f"Here it is:\n```json\n{text}\n```\nAnything else?"}
        else:
            answer = {"content": "These alerts look quite serious, I would have a look at them."}
        return self._chat(answer | message, len(msgspec.json.encode(body)), len(text))

    def _chat(self, message: Mapping[str, Any], asked_bytes: int, said_bytes: int) -> Reply:
        usage = {"prompt_tokens": asked_bytes // 4, "completion_tokens": said_bytes // 4}
        answer: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}],
        }
        total = {"total_tokens": sum(usage.values())}
        return json_reply(200, answer | ({"usage": usage | total} if self.counts_usage else {}))

    def _refuse(self, status: int, message: str, code: str | None) -> Reply:
        self.refusals.append(message)
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        return json_reply(status, {"error": error})


def alerts_in(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries between the marks of a request's last message."""
    content = body["messages"][-1]["content"]
    assert content.count("<alerts>") == content.count("</alerts>") == 1, content
    inside = content.partition("<alerts>")[2].partition("</alerts>")[0]
    alerts: list[dict[str, Any]] = msgspec.json.decode(inside)["alerts"]
    return alerts


def classified(alert: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """What this model says of an entry."""
    labels, past = alert["labels"], alert["history"]
    month, brief = past["fired_before"]["last_30_days"], past["over_by_itself_within_a_minute"]
    severity = labels.get("severity", "warning")
    is_noise = month >= _ENOUGH and brief >= _MOSTLY * month
    usual = {
        "id": alert["id"],
        "severity": "noise" if is_noise else severity if severity in {"critical", "info"} else "warning",
        "confidence": 0.9,
        "category": "resource",
        "summary": f"{labels['alertname']} in {labels.get('namespace', '')}: {alert['annotations'].get('summary', '')}",
        "probable_cause": f"It began with {', '.join(past['also_began_within_five_minutes'])}.",
        "recommendations": [step for occurrence in past["similar"] for step in occurrence["recommended"]]
        or ["Look at its graph."],
        "reasoning": f"It fired {month} times in 30 days, {brief} of them for less than a minute.",
        "tags": sorted(labels)[:3],
    }
    return usual | changes


def _faults(body: Mapping[str, Any]) -> Iterator[str]:
    """What OpenAI says against a request."""
    yield from (f"Unknown parameter: {name}" for name in set(body) - _KNOWN)
    roles = [message.get("role") for message in body["messages"]]
    if roles != ["system", "user"] or not all(isinstance(message["content"], str) for message in body["messages"]):
        yield "Invalid value for 'messages'"
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield "Set only one of max_tokens and max_completion_tokens"
    if (form := body.get("response_format")) is not None:
        if form["type"] != "json_schema" or not form["json_schema"]["strict"]:
            yield "Invalid value for 'response_format'"
        yield from _schema_faults(form["json_schema"]["schema"])
    if "tool_choice" in body:
        names = [tool["function"]["name"] for tool in body.get("tools", [])]
        if body["tool_choice"]["function"]["name"] not in names:
            yield "Tool choice not found in 'tools'"


def _schema_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    """By the rules of strict mode: all is required, nothing more allowed, and no word that it does not know."""
    unknown = set(schema) - {"type", "properties", "required", "additionalProperties", "items", "enum", "description"}
    yield from (f"Invalid schema for response_format: '{name}' is not permitted" for name in unknown)
    if schema["type"] == "object":
        if schema.get("additionalProperties") is not False or set(schema["required"]) != set(schema["properties"]):
            yield "Invalid schema for response_format: all must be required and 'additionalProperties' false"
        for inner in schema["properties"].values():
            yield from _schema_faults(inner)
    if schema["type"] == "array":
        yield from _schema_faults(schema["items"])


@asynccontextmanager
async def llm_proxy(vendor: LlmProxy | None = None) -> AsyncIterator["Server"]:
    """A running proxy; connections still open are cut at the end."""
    vendor = vendor or LlmProxy()
    async with serving(vendor) as server:
        yield Server(server, vendor)


@dataclass
class Server:
    """A running proxy: where it is, what it was sent, what comes next."""

    running: VendorServer
    vendor: LlmProxy

    @property
    def url(self) -> str:
        """For LLM_PROXY_URL."""
        return self.running.url

    @property
    def requests(self) -> list[Request]:
        """All that came, oldest first, bad days included."""
        return self.running.requests

    def script(self, *days: Day) -> None:
        """Have these days, one a request, before answering again."""
        self.running.script(*days)


# --- Days -------------------------------------------------------------------------------------------------------------


def answers(document: object, **message: Any) -> Day:
    """Says this instead of what follows from the question; `message` has further keys of the message."""
    return _answers_by(lambda _: document, **message)


def twists(**changes: Any) -> Day:
    """Says of every alert what it would, but for these."""
    return _answers_by(lambda body: {"classifications": [classified(a, **changes) for a in alerts_in(body)]})


def says(text: str, *, finish_reason: str = "stop", usage: object = None) -> Day:
    """Has this text for its answer, whatever it was asked for."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return replies(200, msgspec.json.encode({"choices": [choice], "usage": usage}), content_type="application/json")


def busy(after_seconds: float | None = None, *, status: int = 429) -> Day:
    """Over its rate, with or without saying for how long."""
    error = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
    headers = {} if after_seconds is None else {"retry_after": f"{after_seconds:g}"}
    return replies(status, msgspec.json.encode(error), content_type="application/json", **headers)


def refuses(status: int, code: str | None = None, message: str = "No.") -> Day:
    """An error in OpenAI's form."""
    error = {"error": {"message": message, "type": "invalid_request_error", "code": code}}
    return replies(status, msgspec.json.encode(error), content_type="application/json")


def _answers_by(document: Callable[[Any], object], **message: Any) -> Day:
    async def day(request: Request, writer: asyncio.StreamWriter) -> None:
        body = request.json()
        reply = LlmProxy().completion(body, document(body), **message)
        await replies(200, reply.body, content_type="application/json")(request, writer)

    return day


async def drips(_: Request, writer: asyncio.StreamWriter) -> None:
    """Answers 200 and then a space at a time, which JSON allows, without ever coming to an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)  # what makes a slow server slow


async def floods(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answers with HUGE_BYTES, or as many of them as the other side reads."""
    del request
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {HUGE_BYTES}\r\n\r\n".encode())
    for _ in range(HUGE_BYTES // 65_536):
        writer.write(b" " * 65_536)
        await writer.drain()


def slow(seconds: float) -> Day:
    """Answers as it would, but late."""

    async def day(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)  # what makes a slow server slow
        document = {"classifications": [classified(alert) for alert in alerts_in(request.json())]}
        await answers(document)(request, writer)

    return day


DAYS: Mapping[str, Day] = {
    "busy": busy(),
    "busy-7s": busy(7),
    "content-filter": says("", finish_reason="content_filter"),
    "cut-short": says('{"classifications":[', finish_reason="length"),
    "drips": drips,
    "drips-error": drips_body,
    "drips-headers": drips_headers,
    "floods": floods,
    "hangs": hangs,
    "html": replies(200, "<html>Please log in</html>", content_type="text/html"),
    "malformed": says('{"classifications": [{"id": "a1", "severity":'),
    "no-http": babbles,
    "redirects": replies(307, location="http://127.0.0.1:9/"),
    "refuses": answers({}, content=None, refusal="I can't help with that."),
    "resets": resets,
    "server-error": replies(500, "boom"),
    "slow-1s": slow(1),
    "tears": tears,
    "unavailable-3s": busy(3, status=503),
    "unknown-model": refuses(404, "model_not_found"),
    "wrong-enum": twists(severity="catastrophic"),
    "wrong-key": refuses(401, "invalid_api_key"),
}
"""By the names that `--day` takes."""


async def _serve(day: str | None) -> None:
    vendor = LlmProxy(on_question=lambda alerts: print(msgspec.json.encode(alerts).decode(), flush=True))
    async with llm_proxy(vendor) as server:
        if day is not None:
            server.script(*[DAYS[day]] * ALWAYS)
        print(server.url, flush=True)
        await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.llm_proxy", description="An OpenAI-compatible proxy.")
    parser.add_argument("--day", choices=sorted(DAYS))
    asyncio.run(_serve(parser.parse_args(arguments).day))


if __name__ == "__main__":
    main(sys.argv[1:])

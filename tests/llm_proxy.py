"""An OpenAI-compatible proxy that behaves as real ones do, on good days and bad. It runs in this process.

`mood` says what the next answers are; `requests` holds the bodies that came. A good answer classifies each alert it
finds in the question as `severity`, and says in `reasoning` which alertname it read.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.processes import HOST, free_port

KEY = "sk-a-key-of-the-proxy"


class LlmProxy:
    """The server. Moods: good hang 500 429 garbage refusal enum huge no_schema no_tools missing no_usage wrong_id."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mood = "good"
        self.severity = "warning"
        self.requests: list[dict[str, Any]] = []
        self.released = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def alerts(self, number: int = -1) -> list[dict[str, Any]]:
        """The alerts of a question as they came."""
        found: list[dict[str, Any]] = json.loads(self.requests[number]["messages"][1]["content"])["alerts"]
        return found

    async def answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "wrong key"}}, status_code=401)
        body = await request.json()
        self.requests.append(body)
        if (refused := self._refused(body)) is not None:
            return refused
        if self.mood == "hang":
            await self.released.wait()
        if self.mood == "huge":
            return StreamingResponse(_endless(), media_type="application/json")
        if self.mood == "garbage":
            return Response("<html>", media_type="application/json")
        return JSONResponse(self._completion(body))

    def _refused(self, body: dict[str, Any]) -> Response | None:
        statuses: dict[str, Callable[[], bool]] = {
            "no_schema": lambda: "response_format" in body,
            "no_tools": lambda: "response_format" in body or "tools" in body,
        }
        if self.mood == "500":
            return JSONResponse({"error": {"message": "boom"}}, status_code=500)
        if self.mood == "429":
            return JSONResponse({"error": {"message": "slow down"}}, status_code=429, headers={"retry-after": "7"})
        if self.mood in statuses and statuses[self.mood]():
            return JSONResponse({"error": {"message": "unknown parameter"}}, status_code=400)
        return None

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        text = json.dumps({"alerts": self._said(body)})
        if self.mood == "refusal":
            message["refusal"] = "I can't help with that."
        elif "tools" in body:
            call = {"id": "c1", "type": "function", "function": {"name": "classify_alerts", "arguments": text}}
            message["tool_calls"] = [call]
        else:
            message["content"] = text if "response_format" in body else f"Here you are:\n```json\n{text}\n```"
        made: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        }
        if self.mood != "no_usage":
            made["usage"] = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
        return made

    def _said(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        alerts = json.loads(body["messages"][1]["content"])["alerts"]
        said = [
            {
                "id": alert["id"] + (100 if self.mood == "wrong_id" else 0),
                "severity": "dreadful" if self.mood == "enum" else self.severity,
                "confidence": 0.9,
                "category": "storage",
                "summary": "It fills up.",
                "probable_cause": "Logs.",
                "recommendations": ["Look."] * 9,
                "reasoning": f"I read {alert['labels'].get('alertname')}.",
                "tags": ["disk"],
            }
            for alert in alerts
        ]
        return said[:1] if self.mood == "missing" else said


async def _endless() -> AsyncIterator[bytes]:
    yield b'{"choices": [{"message": {"content": "'
    for _ in range(200):
        yield b"x" * 65536


@asynccontextmanager
async def llm_proxy() -> AsyncIterator[LlmProxy]:
    """A running one."""
    proxy = LlmProxy()
    app = Starlette(routes=[Route("/v1/chat/completions", proxy.answer, methods=["POST"])])
    config = uvicorn.Config(app, host=HOST, port=proxy.port, log_level="error", lifespan="off")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.should_exit = True
        await serving

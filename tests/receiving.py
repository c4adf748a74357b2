"""A webhook of somebody's, in the test's own process: what reached it can be waited for."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.processes import HOST, free_port


class Receiver:
    """Takes everything; `requests` holds headers and decoded bodies in the order they came."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}/hook"
        self.requests: asyncio.Queue[tuple[dict[str, str], dict[str, object]]] = asyncio.Queue()

    async def take(self, request: Request) -> Response:
        await self.requests.put((dict(request.headers), json.loads(await request.body())))
        return Response(status_code=204)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that serves."""
    made = Receiver()
    app = Starlette(routes=[Route("/hook", made.take, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=made.port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)
    yield made
    server.should_exit = True
    await serving

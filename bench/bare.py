"""HTTP alone: the service's server, with an application that reads a request and answers it at once.

`python -m bench.bare PORT`. What it costs is what an alert costs before our code sees its bytes.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from tests.processes import HOST, Server, free_port

from alert_history.web.http.connection import Connection
from bench.notifications import FOLDER

_BODY = b'{"status":"success","receipt_id":"%s","received":10,"stored":10,"repeated":0}' % (b"0" * 36)
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_BODY)).encode()),
    (b"x-request-id", b"0" * 36),
]


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read the whole body, and answer 200."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


@contextmanager
def bare_server() -> Iterator[Server]:
    """One that is running, as a process of its own."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    server = Server(
        name="bare",
        command=[sys.executable, "-m", "bench.bare", str(port)],
        folder=FOLDER.parent,
        port=port,
        url=url,
        is_ready=lambda: _answers(url),
    )
    try:
        server.start()
        yield server
    finally:
        server.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def main() -> None:
    """Serve as `alert-history serve` does."""
    uvicorn.run(
        answer,
        host=HOST,
        port=int(sys.argv[1]),
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="off",
    )


if __name__ == "__main__":
    main()

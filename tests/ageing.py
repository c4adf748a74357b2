"""A proxy before an Alertmanager or a Prometheus, which makes it look as if it had run for hours.

Real servers that a test has just started must not correct anything. Nothing else of their answers is changed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

from tests.processes import HOST, Server

_STARTED = re.compile(rb'"(uptime|startTime|lastConfigTime)":"([^"]+)"')
_AGE = timedelta(hours=9)


def _older(match: re.Match[bytes]) -> bytes:
    text = match[2].decode()
    seconds, _, _ = text.removesuffix("Z").partition(".")
    then = datetime.fromisoformat(f"{seconds}+00:00") - _AGE
    return b'"%s":"%s"' % (match[1], then.isoformat().replace("+00:00", "Z").encode())


@contextmanager
def aged(server: Server) -> Iterator[str]:
    """The URL at which the server looks as if it had run for hours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer = httpx.get(server.url + self.path, trust_env=False, timeout=10)
            except httpx.TransportError:
                self.close_connection = True
                return
            body = _STARTED.sub(_older, answer.content)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers.get("content-type", "application/json"))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    proxy = ThreadingHTTPServer((HOST, 0), Handler)
    thread = Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://{HOST}:{proxy.server_port}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()

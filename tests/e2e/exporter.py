"""A tiny exporter: an HTTP server whose `/metrics` text the test decides, for a real Prometheus to scrape."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.processes import HOST

Render = Callable[[str], str | None]


@contextmanager
def exporter(render: Render) -> Iterator[str]:
    """Serves `render(path)` as metrics, 503 where it is None; yields `host:port`, a scrape target."""
    server = ThreadingHTTPServer((HOST, 0), _handler(render))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(render: Render) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = render(self.path)
            self.send_response(503 if text is None else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            with suppress(ConnectionError):  # whoever scrapes has given up: nothing that a test has to hear of
                self.wfile.write((text or "").encode())

        def log_message(self, *_: object) -> None:
            """Says nothing: a test's output is its own."""

    return Handler


class Gauge:
    """One metric whose value the test sets: `render` is what an exporter serves."""

    def __init__(self, sample: str, value: float) -> None:
        self.sample = sample
        self.value = value

    def render(self, _path: str) -> str:
        """The text format of it, whatever the path."""
        return f"{self.sample} {self.value}\n"

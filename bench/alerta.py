"""Alerta, a peer: from PyPI, in an environment of its own, as it comes, on the PostgreSQL of the run.

Its documents want it behind a WSGI server, in several processes. gunicorn keeps connections open only with threads, and
loads the application before the processes part: each of them would make tables, and get into deadlocks with the others.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.processes import HOST, Server, free_port

from bench.databases import fetch_value
from bench.notifications import FOLDER

VERSION = (FOLDER / "alerta.in").read_text().partition("alerta-server==")[2].split()[0]
WORKERS = 4
PATH = "/webhooks/prometheus"
"""Behind the proxy that its documents show, this is `/api/webhooks/prometheus`."""

_THREADS = 4
_KEEP_ALIVE_SECONDS = 75
_SETTINGS = "AUTH_REQUIRED = False\nSECRET_KEY = 'bench'\nDATABASE_URL = {url!r}\n"
_APPLICATION = "from alerta import create_app\n\napp = create_app()\n"
_STORED = "SELECT count(*) + coalesce(sum(duplicate_count), 0) FROM alerts"


def install_alerta(folder: Path) -> Path:
    """Make its environment in that folder; the Python of it. Raises: subprocess.CalledProcessError."""
    uv = str(Path(sys.executable).parent / "uv")
    python = folder / "bin/python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes"]
    subprocess.run([*install, "--requirements", str(FOLDER / "alerta.lock")], check=True)
    return python


@contextmanager
def alerta_server(python: Path, url: str, *, folder: Path, settings: str = "") -> Iterator[Server]:
    """One that is running on that database, which gets its tables. `settings` are added to those of the benchmark."""
    folder.mkdir()
    (folder / "alertad.conf").write_text(_SETTINGS.format(url=url) + settings)
    (folder / "wsgi.py").write_text(_APPLICATION)
    port = free_port()
    base = f"http://{HOST}:{port}"
    gunicorn = [str(python), "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--no-control-socket", "--preload"]
    words = ["--workers", f"{WORKERS}", "--threads", f"{_THREADS}", "--keep-alive", f"{_KEEP_ALIVE_SECONDS}"]
    server = Server(
        name="alerta",
        command=[*gunicorn, *words, "wsgi:app"],
        folder=folder,
        port=port,
        url=base,
        is_ready=lambda: _answers(base),
        environment={"ALERTA_SVR_CONF_FILE": str(folder / "alertad.conf"), "HOME": str(folder)},
    )
    try:
        server.start()
        yield server
    finally:
        server.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/management/gtg", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def count_stored(url: str) -> int:
    """How many alerts it has in its database. It joins alerts of one event on one instance, and counts them."""
    return int(fetch_value(url, _STORED))

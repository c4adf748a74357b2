"""Real servers for tests: each on a loopback port and in a folder of its own, and gone when the test is.

Holds how PostgreSQL, Redis, Prometheus, Alertmanager and our own service are set up. Each is a context manager
that yields a running `Server`. Must not know what any test checks.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import httpx

from tests.processes import HOST, STOP_TIMEOUT_SECONDS, Server, find_program, free_port


def _answers_ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@contextmanager
def _own_folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(server: Server) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.close()


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


QUICK = {"fsync": "off"}
"""Settings of a PostgreSQL that does not wait for the disk: what it committed survives its end, not the machine's."""

_AT_ONCE_SECONDS = 10.0


@dataclass
class PostgresServer(Server):
    """A PostgreSQL server. `url` names its maintenance database; tests take one of their own each."""

    psql: str = "psql"
    _numbers: Iterator[int] = field(default_factory=count)

    def create_database(self, *, template: str = "template1") -> str:
        """The URL of a fresh database, copied from `template` (a name; nobody may be connected to that one)."""
        name = f"{template}_copy_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"{self.url.rpartition('/')[0]}/{name}"

    def drop_database(self, url: str) -> None:
        """Removes a database that `create_database` gave, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def execute(self, sql: str) -> str:
        """Runs one statement in the maintenance database; the answer as psql prints it bare."""
        command = [self.psql, self.url, "--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, timeout=STOP_TIMEOUT_SECONDS, check=False)
        assert done.returncode == 0, f"{sql}: {done.stderr}"
        return done.stdout.strip()

    def recover(self) -> None:
        """Running and not paused again, whatever a test did to it."""
        if self.is_running:
            self.resume()
        else:
            self.start()

    def close(self) -> None:
        """Ends it by an immediate shutdown: killed, it would leave shared memory behind until the machine restarts."""
        if self.is_running:
            self.resume()
            os.kill(self.pid, signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                self.wait(timeout_seconds=_AT_ONCE_SECONDS)
        super().close()


@contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A PostgreSQL of its own with `fsync=on` and no passwords; `settings` are added to its command line.

    As root it runs as the user `postgres`, because PostgreSQL refuses root.
    """
    installed = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    postgres = find_program("postgres", package="postgresql", places=installed)
    with _own_folder("postgres") as folder:
        server = _postgres(Path(postgres).resolve().parent, folder, settings=settings or {})
        with _running(server):
            yield server


def _postgres(programs: Path, folder: Path, *, settings: Mapping[str, str]) -> PostgresServer:
    data, port = folder / "data", free_port()
    as_owner = _as_postgres_user(folder)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*as_owner, *initdb, "--locale=C.UTF-8"], cwd=folder, check=True, capture_output=True, timeout=120)
    options = {
        "fsync": "on",
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
        "log_timezone": "UTC",
        **settings,
    }
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    url = f"postgresql://postgres@{HOST}:{port}/postgres"
    return PostgresServer(
        name="postgres",
        command=[*as_owner, str(programs / "postgres"), "-D", str(data), *words],
        folder=folder,
        port=port,
        url=url,
        is_ready=lambda: subprocess.run([str(programs / "pg_isready"), "-qd", url], check=False).returncode == 0,
        stop_signal=signal.SIGINT,
        psql=str(programs / "psql"),
    )


def _as_postgres_user(folder: Path) -> list[str]:
    """Words before a command that run it as the owner of `folder`: `postgres` for root, nobody else for others.

    setpriv replaces itself by the command (runuser would stay as its parent, and swallow signals).
    """
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    setpriv = find_program("setpriv", package="util-linux")
    return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--pdeathsig", "KILL"]


# --- Redis, Prometheus, Alertmanager ----------------------------------------------------------------------------------


@contextmanager
def redis_server() -> Iterator[Server]:
    """A Redis that keeps nothing on disk and at most 64 MB in memory, dropping the least used: as ours is set up."""
    program = find_program("redis-server", package="redis-server")
    with _own_folder("redis") as folder:
        port = free_port()
        words = f"--bind {HOST} --port {port} --maxmemory 64mb --maxmemory-policy allkeys-lru".split()
        server = Server(
            name="redis",
            command=[program, *words, "--save", "", "--dir", str(folder)],
            folder=folder,
            port=port,
            url=f"redis://{HOST}:{port}/0",
            is_ready=lambda: _redis_pongs(port),
        )
        with _running(server):
            yield server


def _redis_pongs(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


@contextmanager
def prometheus_server(config: str, rules: str = "", *, args: Sequence[str] = ()) -> Iterator[Server]:
    """A Prometheus with this `prometheus.yml`; `rules` lies beside it as `rules.yml`, for `rule_files` to name."""
    program = find_program("prometheus", package="prometheus")
    with _own_folder("prometheus") as folder:
        (folder / "prometheus.yml").write_text(config)
        (folder / "rules.yml").write_text(rules)
        words = ["--config.file=prometheus.yml", f"--storage.tsdb.path={folder / 'data'}"]
        server = _web_server("prometheus", [program, *words, *args], folder=folder)
        with _running(server):
            yield server


@contextmanager
def alertmanager_server(config: str, *, args: Sequence[str] = (), cluster_address: str = "") -> Iterator[Server]:
    """An Alertmanager with this `alertmanager.yml`; a single one unless it has an address for peers."""
    program = find_program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    with _own_folder("alertmanager") as folder:
        (folder / "alertmanager.yml").write_text(config)
        words = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}"]
        words.append(f"--cluster.listen-address={cluster_address}")
        server = _web_server("alertmanager", [program, *words, *args], folder=folder)
        with _running(server):
            yield server


def _web_server(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    listens_by: str = "--web.listen-address",
    ready: str = "/-/ready",
) -> Server:
    """Prometheus and its relatives: they take an address by `listens_by` and answer `ready`."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    return Server(
        name=name,
        command=[*command, f"{listens_by}={HOST}:{port}"],
        folder=folder,
        port=port,
        url=url,
        is_ready=lambda: _answers_ok(f"{url}{ready}"),
    )


_victoria_server = partial(_web_server, listens_by="-httpListenAddr", ready="/health")


@contextmanager
def victoria_metrics_server(*, args: Sequence[str] = ()) -> Iterator[Server]:
    """An empty VictoriaMetrics, for vmalert to ask."""
    program = find_program("victoria-metrics", package="victoria-metrics")
    with _own_folder("victoria-metrics") as folder:
        server = _victoria_server(
            "victoria-metrics", [program, f"-storageDataPath={folder / 'data'}", *args], folder=folder
        )
        with _running(server):
            yield server


@contextmanager
def vmalert_server(rules: str, *, args: Sequence[str] = ()) -> Iterator[Server]:
    """A vmalert with these rules; `args` name its `-datasource.url` and `-notifier.url`."""
    program = find_program("vmalert", package="victoria-metrics")
    with _own_folder("vmalert") as folder:
        (folder / "rules.yml").write_text(rules)
        server = _victoria_server("vmalert", [program, "-rule=rules.yml", *args], folder=folder)
        with _running(server):
            yield server


# --- S3 ---------------------------------------------------------------------------------------------------------------


@contextmanager
def s3_server() -> Iterator[Server]:
    """A server that speaks S3 (moto), without buckets: a `PUT` of `/name` makes one. It takes any credentials."""
    with _own_folder("s3") as folder:
        port = free_port()
        url = f"http://{HOST}:{port}"
        server = Server(
            name="s3",
            command=[sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)],
            folder=folder,
            port=port,
            url=url,
            is_ready=lambda: _answers_ok(f"{url}/moto-api/"),
        )
        with _running(server):
            yield server


# --- OpenID Connect ---------------------------------------------------------------------------------------------------


@contextmanager
def oidc_provider() -> Iterator[Server]:
    """A provider of OpenID Connect; `tests.identity` says what can be done with it."""
    with _own_folder("oidc") as folder:
        port = free_port()
        url = f"http://{HOST}:{port}"
        server = Server(
            name="oidc",
            command=[sys.executable, "-m", "tests.oidc_provider", str(port)],
            folder=folder,
            port=port,
            url=url,
            is_ready=lambda: _answers_ok(f"{url}/.well-known/openid-configuration"),
            environment={"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        with _running(server):
            yield server


# --- our own ----------------------------------------------------------------------------------------------------------


@contextmanager
def service(env: Mapping[str, str] | None = None, args: Sequence[str] = ()) -> Iterator[Server]:
    """`python -m alert_history serve`, ready; `env` is all it sees of ours besides PATH, and where the code is."""
    with unstarted_service(env, args) as server:
        server.start()
        yield server


@contextmanager
def unstarted_service(env: Mapping[str, str] | None = None, args: Sequence[str] = ()) -> Iterator[Server]:
    """The same before its first start, for tests of the start itself."""
    with _own_folder("alert-history") as folder:
        port = free_port()
        url = f"http://{HOST}:{port}"
        server = Server(
            name="alert-history",
            command=[sys.executable, "-m", "alert_history", "serve", "--host", HOST, "--port", str(port), *args],
            folder=folder,
            port=port,
            url=url,
            is_ready=lambda: _answers_ok(f"{url}/readyz"),
            environment={"PYTHONPATH": str(_source_folder()), "LOG_LEVEL": "info", **(env or {})},
        )
        try:
            yield server
        finally:
            server.close()


def _source_folder() -> Path:
    spec = find_spec("alert_history")
    assert spec is not None, "alert_history can't be imported"
    assert spec.origin is not None
    return Path(spec.origin).parent.parent

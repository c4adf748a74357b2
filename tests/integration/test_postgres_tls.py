"""TLS to a real PostgreSQL, as the parameters of DATABASE_URL say."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from alert_history.errors import StorageUnavailable
from tests.integration.test_postgres_parameters import connected
from tests.processes import HOST, find_program
from tests.servers import PostgresServer, postgres_server

SETTINGS = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "client.crt", "ssl": "on"}


class Secured:
    """A PostgreSQL with TLS, whose user `ada` needs the certificate of the client."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server = server
        self.authorities = folder / "server.crt"
        self.certificate = folder / "client.crt"
        self.key = folder / "client.key"
        self.locked_key = folder / "locked.key"

    def url(self, query: str, *, user: str = "postgres", host: str = "localhost") -> str:
        files = {"CA": self.authorities, "CERT": self.certificate, "LOCKED": self.locked_key, "KEY": self.key}
        for name, file in files.items():
            query = query.replace(name, str(file))
        return f"postgresql://{user}@{host}:{self.server.port}/postgres?{query}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    openssl = find_program("openssl", package="openssl")
    for name, subject in (("server", "localhost"), ("client", "ada")):
        words = f"req -x509 -newkey rsa:2048 -nodes -subj /CN={subject} -days 1 -addext subjectAltName=DNS:{subject}"
        files = ["-out", str(folder / f"{name}.crt"), "-keyout", str(folder / f"{name}.key")]
        subprocess.run([openssl, *words.split(), *files], check=True, capture_output=True)
    lock = [openssl, "rsa", "-aes256", "-passout", "pass:sesame", "-in", "client.key", "-out", "locked.key"]
    subprocess.run(lock, cwd=folder, check=True, capture_output=True)
    with postgres_server() as server:
        _secure(server, folder)
        yield Secured(server, folder)


def _secure(server: PostgresServer, folder: Path) -> None:
    data = server.folder / "data"
    owner = data.stat()
    for name in ("server.crt", "server.key", "client.crt"):
        (data / name).write_bytes((folder / name).read_bytes())
        (data / name).chmod(0o600)
        os.chown(data / name, owner.st_uid, owner.st_gid)
    for setting in (
        "ssl_cert_file = 'server.crt'",
        "ssl_key_file = 'server.key'",
        "ssl_ca_file = 'client.crt'",
        "ssl = on",
    ):
        server.execute(f"ALTER SYSTEM SET {setting}")
    server.execute("CREATE ROLE ada SUPERUSER LOGIN")
    (data / "pg_hba.conf").write_text("hostssl all ada all trust clientcert=verify-full\nhost all postgres all trust\n")
    server.execute("SELECT pg_reload_conf()")
    server.terminate()
    server.start()


@pytest.mark.parametrize(
    "query",
    [
        *("sslmode=require", "sslmode=verify-ca&sslrootcert=CA", "sslmode=verify-full&sslrootcert=CA", "ssl=true"),
        *("sslmode=require&ssl_min_protocol_version=TLSv1.3", "sslmode=require&ssl_max_protocol_version=TLSv1.2"),
    ],
)
async def test_tls_works_as_the_url_says(secured: Secured, query: str) -> None:
    async with connected(secured.url(query)) as connection:
        version = await connection.fetchval("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert version == ("TLSv1.2" if "max" in query else "TLSv1.3")


@pytest.mark.parametrize(
    "files", ["sslcert=CERT&sslkey=KEY", "sslcert=CERT&sslkey=LOCKED&sslpassword=sesame"], ids=["plain", "locked"]
)
@pytest.mark.parametrize("authorities", ["CA", "system"])
async def test_the_certificate_of_a_client_is_shown(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, files: str, authorities: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.authorities))  # the system's, then
    url = secured.url(f"sslmode=verify-full&sslrootcert={authorities}&{files}", user="ada")
    async with connected(url) as connection:
        assert await connection.fetchval("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "/CN=ada"


async def test_the_system_is_asked_for_authorities_and_by_name(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = secured.url("sslrootcert=system")
    with pytest.raises(StorageUnavailable, match="TLS: self-signed certificate"):
        async with connected(url):
            raise AssertionError("nobody trusts it")
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.authorities))
    async with connected(url) as connection:
        assert connection.is_in_transaction() is False
    with pytest.raises(StorageUnavailable, match=r"TLS: .* certificate is not valid for"):
        async with connected(secured.url("sslrootcert=system", host=HOST)):
            raise AssertionError("it has another name")

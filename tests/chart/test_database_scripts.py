"""The scripts that the chart gives PostgreSQL's pods, run as there: its user, its dumps, its restore."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests import servers
from tests.chart.rendering import render
from tests.payloads import alert, webhook
from tests.processes import HOST, wait_until

PASSWORD = 'it\'s a #"strange" pässword\\'  # noqa: S105  # made up
USER = "alerthistory"
TIMEOUT_SECONDS = 60


class Pod:
    """Runs the chart's scripts against one PostgreSQL, from the ConfigMaps that hold them."""

    def __init__(self, server: servers.PostgresServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.backups = folder / "backup"
        self.backups.mkdir()
        rendered = render()
        for name in ("alert-history-postgresql", "alert-history-backup"):
            for script, text in rendered.named("ConfigMap", name)["data"].items():
                (folder / script).write_text(text, encoding="utf-8")

    def run(self, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", self.folder / script],
            env={**self._environment(), **env},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def backup(self, **env: str) -> Path:
        done = self.run("backup.sh", **env)
        assert done.returncode == 0, done.stderr
        return self.backups / done.stdout.partition(":")[0]

    def sql(self, statement: str) -> str:
        """As the service's user."""
        psql = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement]
        done = subprocess.run(
            psql, env=self._environment(), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tables(self) -> dict[str, str]:
        """Each table's rows as one checksum."""
        names = self.sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition ORDER BY 1"
        )
        rows = (
            'SELECT count(*), md5(string_agg(each, chr(10) ORDER BY each)) FROM (SELECT t::text AS each FROM "{}" t) s'
        )
        return {name: self.sql(rows.format(name)) for name in names.split()}

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@{HOST}:{self.server.port}/{USER}"

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "PGHOST": HOST,
            "PGPORT": str(self.server.port),
            "PGUSER": USER,
            "PGDATABASE": USER,
            "PGPASSWORD": PASSWORD,
            "SERVICE_USER": USER,
            "SERVICE_DATABASE": USER,
            "SERVICE_PASSWORD": PASSWORD,
            "BACKUP_DIR": str(self.backups),
            "RETENTION_DAYS": "14",
            "KEEP_AT_LEAST": "2",
        }


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    """A PostgreSQL on which the image's entrypoint has just run the chart's script, and which asks for passwords."""
    with servers.postgres_server(servers.QUICK) as server:
        made = Pod(server, tmp_path)
        done = made.run("create-user.sh")
        assert done.returncode == 0, done.stderr
        rules = Path(server.execute("SHOW hba_file"))
        rules.write_text(f"host all postgres {HOST}/32 trust\nhost all all {HOST}/32 scram-sha-256\n", encoding="utf-8")
        server.execute("SELECT pg_reload_conf()")
        yield made


@pytest.fixture
def filled(pod: Pod) -> Pod:
    """The same with the service's tables, and forty alerts in them."""
    with servers.service({"DATABASE_URL": pod.url, "PGPASSWORD": PASSWORD}) as service:
        body = webhook(*(alert(number) for number in range(40)))
        answer = httpx.post(
            f"{service.url}/webhook", content=body, headers={"Content-Type": "application/json"}, trust_env=False
        )
        assert answer.json()["stored"] == 40
        service.terminate()
    _wait_for_nobody(pod)
    return pod


def _wait_for_nobody(pod: Pod) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'alerthistory'"
    wait_until(lambda: pod.server.execute(count) == "0", "all connections are closed")


def test_the_services_user_owns_its_database_and_nothing_else(pod: Pod) -> None:
    role = pod.server.execute(f"SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = '{USER}'")
    assert role == "f|f|f"
    assert pod.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == USER


def test_a_restored_dump_is_what_was_dumped(filled: Pod) -> None:
    before = filled.tables()
    filled.backup()
    filled.sql("DELETE FROM alerts; CREATE TABLE later (id int); DROP TABLE quarantine CASCADE")
    done = filled.run("restore.sh")
    assert done.returncode == 0, done.stderr
    assert filled.tables() == before
    assert before["alerts"].startswith("40|")


def test_a_restored_database_can_be_dumped_and_restored_again(filled: Pod) -> None:
    before = filled.tables()
    for _ in range(2):
        filled.backup()
        assert filled.run("restore.sh").returncode == 0
    assert filled.tables() == before


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_dump_that_breaks_off_changes_nothing(filled: Pod, share: float) -> None:
    dump = filled.backup()
    before = filled.tables()
    whole = dump.read_bytes()
    dump.write_bytes(whole[: int(len(whole) * share)])
    assert filled.run("restore.sh").returncode != 0
    assert filled.tables() == before


def test_nothing_is_restored_under_the_feet_of_a_service(filled: Pod) -> None:
    filled.backup()
    with servers.service({"DATABASE_URL": filled.url, "PGPASSWORD": PASSWORD}):
        done = filled.run("restore.sh")
    assert done.returncode != 0
    assert "scale the service down" in done.stderr


def test_old_dumps_go_and_the_newest_stay_however_old(filled: Pod) -> None:
    ages = [100, 50, 20, 13]
    for days in ages:
        at = datetime.now(UTC) - timedelta(days=days)
        path = filled.backups / f"{USER}-{at:%Y%m%dT%H%M%SZ}.dump"
        path.write_bytes(b"old")
        os.utime(path, (at.timestamp(), at.timestamp()))
    newest = filled.backup()
    dumps = sorted(path.name for path in filled.backups.iterdir())
    assert len(dumps) == 2
    assert dumps[-1] == newest.name
    filled.backup(KEEP_AT_LEAST="5")
    assert len(list(filled.backups.iterdir())) <= 3


def test_a_failed_dump_removes_nothing_and_leaves_nothing(filled: Pod) -> None:
    old = filled.backups / f"{USER}-20200101T000000Z.dump"
    old.write_bytes(b"old")
    os.utime(old, (0, 0))
    assert filled.run("backup.sh", PGPASSWORD="wrong", KEEP_AT_LEAST="0").returncode != 0
    assert list(filled.backups.iterdir()) == [old]


def test_a_restore_without_a_dump_says_so(filled: Pod) -> None:
    done = filled.run("restore.sh")
    assert (done.returncode, "there is no dump" in done.stderr) == (1, True)


def test_helm_test_passes_on_a_running_service(pod: Pod) -> None:
    command = render().named("Pod", "alert-history-test")["spec"]["containers"][0]["command"]
    with servers.service({"DATABASE_URL": pod.url, "PGPASSWORD": PASSWORD}) as service:
        answers = [
            subprocess.run([*command[:-1], url], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
            for url in (service.url, f"{service.url}/nowhere")
        ]
    assert answers[0].returncode == 0, answers[0].stderr
    assert "shows its metrics" in answers[0].stdout
    assert answers[1].returncode != 0

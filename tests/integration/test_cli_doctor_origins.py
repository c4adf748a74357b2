"""`alert-history doctor` asks those who are to be asked what fires.

Holds: `cli.doctor_origins`.
"""

from tests import servers
from tests.ageing import aged
from tests.commands import run
from tests.processes import HOST, free_port

CONFIG = "{route: {receiver: nobody}, receivers: [{name: nobody}]}"


def doctor(**env: str) -> tuple[int, str]:
    done = run("doctor", env={"PORT": str(free_port()), **env})
    return done.returncode, " ".join(done.stdout.decode().replace("│", " ").split())


def test_an_alertmanager_that_answers_is_well(sqlite_url: str) -> None:
    with servers.alertmanager_server(CONFIG) as server, aged(server) as url:
        code, output = doctor(DATABASE_URL=sqlite_url, ALERTMANAGER_URLS=f"eu={url}")
    assert code == 0, output
    assert "origins ok alertmanager/eu lists 0 alerts" in output


def test_one_that_has_just_started_is_a_note(sqlite_url: str) -> None:
    with servers.alertmanager_server(CONFIG) as server:
        code, output = doctor(DATABASE_URL=sqlite_url, ALERTMANAGER_URLS=f"eu={server.url}")
    assert code == 0, output
    assert "origins note alertmanager/eu lists 0 alerts, and only confirms: it started" in output


def test_a_prometheus_that_never_posted_is_a_note(sqlite_url: str) -> None:
    with servers.prometheus_server("", args=["--web.external-url=http://prometheus"]) as server, aged(server) as url:
        code, output = doctor(DATABASE_URL=sqlite_url, PROMETHEUS_URLS=f"eu={url}")
    assert code == 0, output
    assert "only confirms: it has sent us nothing yet" in output


def test_one_that_is_down_is_a_fault_and_its_password_is_not_shown(sqlite_url: str) -> None:
    url = f"http://user:s3cr3t@{HOST}:{free_port()}"
    code, output = doctor(DATABASE_URL=sqlite_url, PROMETHEUS_URLS=f"eu={url}")
    assert code == 1
    assert "origins fault prometheus/eu: http://127.0.0.1" in output
    assert "s3cr3t" not in output

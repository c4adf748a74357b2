"""A real Alertmanager lives through an hour, compressed; what it answered then, ours answers of then.

The same posts go to both. Ours learns of silences and of the configuration by asking the Alertmanager each second. Both
name when a silence was changed, so ours knows that to the millisecond, however late it asked; a sample is taken no
sooner than a second after a change of the configuration, which nobody dates.

Holds: `web.alertmanager.alerts`, `web.alertmanager.silences`, `web.alertmanager.receivers`, `web.alertmanager.status`,
`engine.moments`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from tests import servers
from tests.e2e.hour import AMTOOL, Hour, Sample, amtool, ask
from tests.e2e.hour_script import CONFIGURATION, SCRIPT
from tests.e2e.moment_comparison import Answer, differences
from tests.processes import Server, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(4000)]

BETWEEN_REPLICAS = 20.3
"""The minute of the sample between the end that one replica names and the other's next post."""

AFTER_SILENCE = 17
"""The minute of a sample after the end that a sender named who fell silent then."""


@dataclass
class Lived:
    """The hour, when it is over, and our services by the names of their databases."""

    hour: Hour
    ours: Mapping[str, Server]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, postgres_server: servers.PostgresServer) -> Iterator[Lived]:
    """Both services listen, know the configuration before the hour begins, and have asked once more after its end."""
    databases = {
        "sqlite": f"sqlite:///{tmp_path_factory.mktemp('hour') / 'alert_history.db'}",
        "postgres": postgres_server.create_database(),
    }
    with ExitStack() as stack:
        alertmanager = stack.enter_context(servers.alertmanager_server(CONFIGURATION))
        asks = {"ALERTMANAGER_URLS": alertmanager.url, "RECONCILE_INTERVAL_SECONDS": "1"}
        ours = {
            name: stack.enter_context(servers.service({"DATABASE_URL": url, **asks})) for name, url in databases.items()
        }
        for server in ours.values():
            wait_until(lambda server=server: _same_now(alertmanager, server, "/status"), "its configuration is known")  # type: ignore[misc]
        hour = Hour(alertmanager, list(ours.values()), alertmanager.folder / "alertmanager.yml")
        hour.play(SCRIPT)
        for server in ours.values():
            wait_until(lambda server=server: _same_now(alertmanager, server, "/silences"), "its silences are known")  # type: ignore[misc]
        yield Lived(hour, ours)


@pytest.fixture(params=["sqlite", "postgres"])
def ours(request: pytest.FixtureRequest, lived: Lived) -> Server:
    """Our service on one of the databases."""
    return lived.ours[request.param]


def _same_now(real: Server, ours: Server, path: str) -> bool:
    return not differences(ask(real, f"/api/v2{path}"), ask(ours, f"/api/v2{path}"))


def test_the_hour_holds_what_it_is_to_show(lived: Lived) -> None:
    samples = lived.hour.samples
    alerts = [alert for sample in samples if sample.path == "/alerts" for alert in sample.answer.body]
    assert any(alert["status"]["inhibitedBy"] for alert in alerts)
    assert any(len(alert["status"]["silencedBy"]) > 1 for alert in alerts)
    assert any(alert["status"]["inhibitedBy"] and alert["status"]["silencedBy"] for alert in alerts)
    silences = [silence for sample in samples if sample.path == "/silences" for silence in sample.answer.body]
    assert {silence["status"]["state"] for silence in silences} == {"active", "pending", "expired"}
    assert {sample.answer.status for sample in samples} == {200, 400, 404, 422}


def test_ours_at_a_moment_answers_what_the_alertmanager_answered_then(lived: Lived, ours: Server) -> None:
    assert _all_differences(lived.hour, ours, by_parameter) == []


def test_ours_by_the_prefix_answers_the_same(lived: Lived, ours: Server) -> None:
    assert _all_differences(lived.hour, ours, by_prefix) == []


def test_what_one_of_two_replicas_still_holds_stays_open_on_purpose(lived: Lived, ours: Server) -> None:
    assert _names_then(lived, ours, BETWEEN_REPLICAS) & {"Pair"} == {"Pair"}


def test_what_its_sender_fell_silent_about_stays_listed_as_unconfirmed_on_purpose(lived: Lived, ours: Server) -> None:
    assert _names_then(lived, ours, AFTER_SILENCE) & {"Silent"} == {"Silent"}


def test_amtool_prints_of_a_past_moment_what_it_printed_then(lived: Lived, ours: Server) -> None:
    assert len(lived.hour.printed) >= 2 * len(AMTOOL)
    for printed in lived.hour.printed:
        url = f"{ours.url}/at/{_text(printed.at)}"
        assert _seen(amtool(url, printed.words)) == _seen(printed.text), (printed.minute, printed.words)


# --- how it is compared -----------------------------------------------------------------------------------------------


def by_parameter(at: datetime, path: str) -> str:
    """The path that asks ours for that moment by `?at=`."""
    return f"/api/v2{path}{'&' if '?' in path else '?'}at={quote(_text(at))}"


def by_prefix(at: datetime, path: str) -> str:
    """The path that asks ours for that moment by `/at/`."""
    return f"/at/{_text(at)}/api/v2{path}"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _all_differences(hour: Hour, ours: Server, form: object) -> list[str]:
    return [
        f"minute {sample.minute:g} {sample.path} {line}"
        for sample in hour.samples
        for line in _lines(sample, ours, form)
    ]


def _lines(sample: Sample, ours: Server, form: object) -> list[str]:
    """What differs both of the moment before the answer and of that after it: a change may have come between."""
    assert callable(form)
    after = differences(sample.answer, ask(ours, form(sample.answered, sample.path)))
    return after and differences(sample.answer, ask(ours, form(sample.asked, sample.path)))


def _names_then(lived: Lived, ours: Server, minute: float) -> set[str]:
    """The names of alerts that ours lists of a minute, and the Alertmanager did not list then."""
    (sample,) = (each for each in lived.hour.samples if (each.minute, each.path) == (minute, "/alerts"))
    real, other = sample.answer, ask(ours, by_parameter(sample.answered, "/alerts"))
    return _names(other) - _names(real)


def _names(answer: Answer) -> set[str]:
    return {alert["labels"]["alertname"] for alert in answer.body}


def _seen(text: str) -> str:
    """Without lines of alerts whose times no sender named, and without when they were touched."""
    lines = [re.sub(r'"updatedAt":"[^"]+",?', "", line) for line in text.splitlines() if "Bare" not in line]
    return "\n".join(line.rstrip() for line in lines)

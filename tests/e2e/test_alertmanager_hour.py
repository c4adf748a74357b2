"""A real Alertmanager lives through an hour, compressed; what it answered then, ours answers of then.

The same posts go to both. Ours learns of silences and of the configuration by asking the Alertmanager each second. Both
name when a silence was changed, so ours knows that to the millisecond, however late it asked; a sample is taken no
sooner than a second after a change of the configuration, which nobody dates.

Holds: `web.alertmanager.alerts`, `web.alertmanager.silences`, `web.alertmanager.receivers`, `web.alertmanager.status`,
`engine.moments`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from tests import servers
from tests.e2e.hour import AMTOOL, PRINTED, SECONDS_A_MINUTE, Hour, Sample, amtool, ask
from tests.e2e.hour_script import CONFIGURATION, SCRIPT
from tests.e2e.moment_comparison import Answer, differences
from tests.processes import Server, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(4000)]

_ONE_IN = 5 if SECONDS_A_MINUTE < 1 else 1
"""Of so many samples one is asked of the second database, of twice as many one by the prefix, unless there is time."""

_NOT_PRINTED_ALIKE = ("Bare", "Pair", "Silent", "Late", "Offset")
"""Alerts whose lines are left out of what amtool prints, see `Allowance`."""


Form = Callable[[datetime, str], str]
"""Makes the path that asks ours for a moment."""


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


def test_ours_at_a_moment_answers_what_the_alertmanager_answered_then(lived: Lived) -> None:
    assert _all_differences(lived.hour.samples, lived.ours["sqlite"], by_parameter) == []


def test_ours_on_postgresql_answers_the_same(lived: Lived) -> None:
    assert _all_differences(lived.hour.samples[::_ONE_IN], lived.ours["postgres"], by_parameter) == []


def test_ours_by_the_prefix_answers_the_same(lived: Lived, ours: Server) -> None:
    assert _all_differences(lived.hour.samples[:: 2 * _ONE_IN], ours, by_prefix) == []


@pytest.mark.parametrize(
    "minute, alertname",
    [
        pytest.param(20.3, "Pair", id="of-two-replicas-one-still-holds-it"),
        pytest.param(17, "Silent", id="its-sender-fell-silent-and-it-is-unconfirmed"),
        pytest.param(17, "Late", id="the-end-of-an-earlier-firing-came-late"),
    ],
)
def test_what_an_alertmanager_dropped_is_still_listed_on_purpose(
    lived: Lived, ours: Server, minute: float, alertname: str
) -> None:
    (sample,) = (each for each in lived.hour.samples if (each.minute, each.path) == (minute, "/alerts"))
    assert alertname in _names(ask(ours, by_parameter(sample.answered, "/alerts"))) - _names(sample.answer)


def test_amtool_prints_of_a_past_moment_what_it_printed_then(lived: Lived, ours: Server) -> None:
    assert len(lived.hour.printed) >= 2 * len(AMTOOL)
    for printed in lived.hour.printed:
        if not (printed.words.startswith("silence") and printed.minute != PRINTED[-1]):  # see `AMTOOL`
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


def _all_differences(samples: Sequence[Sample], ours: Server, form: Form) -> list[str]:
    return [
        f"minute {sample.minute:g} {sample.path} {line}" for sample in samples for line in _lines(sample, ours, form)
    ]


def _lines(sample: Sample, ours: Server, form: Form) -> list[str]:
    """What differs both of the moment before the answer and of that after it: a change may have come between."""
    after = differences(sample.answer, ask(ours, form(sample.answered, sample.path)))
    return after and differences(sample.answer, ask(ours, form(sample.asked, sample.path)))


def _names(answer: Answer) -> set[str]:
    return {alert["labels"]["alertname"] for alert in answer.body}


def _seen(text: str) -> list[str]:
    """The lines without those of other alerts, without the width of columns, and without when alerts were touched."""
    lines = [re.sub(r'"updatedAt":"[^"]+",?', "", line) for line in _alone(text).splitlines()]
    return [" ".join(line.split()) for line in lines if not any(name in line for name in _NOT_PRINTED_ALIKE)]


def _alone(text: str) -> str:
    """Each entry of a JSON list on a line of its own."""
    return text.replace('},{"annotations"', '},\n{"annotations"').replace('[{"annotations"', '[\n{"annotations"')

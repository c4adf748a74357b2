"""What is passed on reads as Alertmanager's own: to us, and to a real Alertmanager."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from alert_history.domain.alert import Alert, AlertGroup, fingerprint
from alert_history.domain.target import Message, Outgoing, TargetSpec
from alert_history.errors import Rejected
from alert_history.sources import decode_webhook
from alert_history.targets.alertmanager import FIRES_AT_MOST, forwarded_group, make, posted_alerts
from tests.processes import Server, find_program, wait_until
from tests.servers import alertmanager_server
from tests.vendors.messages import BLANK, ENDED, HOSTILE, STARTED, classification, message, outgoing, resolved

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
PAYLOADS = sorted([*DATA.glob("alertmanager-0.25/*.json"), *DATA.glob("alertmanager-0.34/*.json")])


def read(body: bytes) -> AlertGroup:
    return decode_webhook(body, received_at=NOW, max_alerts=100)


def group_sent(alerts: Sequence[Outgoing]) -> dict[str, Any]:
    """What is sent, as its reader decodes it."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(forwarded_group(alerts)))
    return decoded


def recorded(group: AlertGroup, alert: Alert) -> Outgoing:
    """The alert as it is told after it was recorded."""
    return outgoing(
        occurrence_id=f"{alert.fingerprint}-1",
        fingerprint=alert.fingerprint,
        status=alert.status,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        at=NOW,
        generator_url=alert.generator_url,
        receiver=group.receiver,
        group_key=group.group_key,
        external_url=group.external_url,
        details=group.details,
    )


# --- The webhook ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PAYLOADS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_real_group_that_is_passed_on_reads_the_same(file: Path) -> None:
    came = read(file.read_bytes())
    passed_on = read(msgspec.json.encode(forwarded_group([recorded(came, alert) for alert in came.alerts])))
    assert passed_on == msgspec.structs.replace(came, truncated_alerts=0)


@pytest.mark.parametrize("file", PAYLOADS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_real_group_that_is_passed_on_holds_the_same_json(file: Path) -> None:
    came = read(file.read_bytes())
    sent = msgspec.json.decode(file.read_bytes())
    passed_on = group_sent([recorded(came, alert) for alert in came.alerts])
    timeless = [{k: v for k, v in alert.items() if k not in {"startsAt", "endsAt"}} for alert in sent["alerts"]]
    expected = sent | {"alerts": timeless, "truncatedAlerts": 0}
    passed_on["alerts"] = [{k: v for k, v in a.items() if k not in {"startsAt", "endsAt"}} for a in passed_on["alerts"]]
    assert passed_on == expected


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in HOSTILE
        if HOSTILE[kind].classification is None and kind not in {"bare", "wide", "large", "loud reason"}
    ],
)
def test_hostile_alert_reads_the_same(kind: str) -> None:
    alert = msgspec.structs.replace(HOSTILE[kind], annotations={"a": "<&> \u2028 🔥"}, starts_at=STARTED)
    (passed_on,) = read(msgspec.json.encode(forwarded_group([alert]))).alerts
    assert own(passed_on.labels) == alert.labels
    assert own(passed_on.annotations) == alert.annotations
    assert passed_on.status == alert.status


def own(pairs: Mapping[str, str]) -> dict[str, str]:
    """Those that are the alert's, not its classification's."""
    return {name: value for name, value in pairs.items() if not name.startswith("classification_")}


def test_microseconds_are_kept() -> None:
    assert group_sent([outgoing()])["alerts"][0]["startsAt"] == "2026-11-24T12:00:00.123456Z"


def test_group_fires_while_one_of_it_does() -> None:
    assert [group_sent([resolved(), outgoing()])["status"], group_sent([resolved()])["status"]] == [
        "firing",
        "resolved",
    ]


def test_what_the_alerts_share_is_common() -> None:
    labels = {"alertname": "DiskFull", "instance": "db-1"}
    sent = group_sent([outgoing(labels=labels), outgoing(labels=labels | {"instance": "db-2"}, annotations={})])
    assert (sent["commonLabels"], sent["commonAnnotations"]) == ({"alertname": "DiskFull"}, {})


def test_receiver_is_escaped_as_alertmanager_does() -> None:
    assert group_sent([outgoing(receiver="a.b/c-d (e)")])["receiver"] == r"a\.b/c-d \(e\)"


# --- What it means ----------------------------------------------------------------------------------------------------


def test_group_says_what_its_alerts_mean() -> None:
    (alert,) = group_sent([outgoing(classification=classification())])["alerts"]
    assert alert["labels"] == outgoing().labels | {
        "classification_severity": "critical",
        "classification_category": "capacity",
    }
    assert alert["annotations"] == outgoing().annotations | {
        "classification_summary": "The volume is full within an hour",
        "classification_probable_cause": "Logs of a crash loop are not rotated",
        "classification_recommendations": "1. Rotate the logs\n2. Grow the volume",
        "classification_confidence": "0.92",
        "classification_by": "by gpt-4",
    }


def test_what_all_mean_is_common() -> None:
    sent = group_sent([outgoing(classification=classification()), outgoing(classification=classification())])
    assert sent["commonLabels"]["classification_severity"] == "critical"
    assert sent["commonAnnotations"]["classification_by"] == "by gpt-4"


def test_fingerprint_is_that_of_the_alerts_own_labels() -> None:
    (alert,) = group_sent([outgoing(classification=classification())])["alerts"]
    assert alert["fingerprint"] == outgoing().fingerprint


def test_nothing_of_the_alerts_own_is_overwritten() -> None:
    own = {"classification_severity": "mine", "classification_summary": "mine"}
    (alert,) = group_sent([outgoing(labels=own, annotations=own, classification=classification())])["alerts"]
    assert alert["labels"]["classification_severity"] == "mine"
    assert alert["annotations"]["classification_summary"] == "mine"


def test_group_says_why_it_is_not_classified() -> None:
    (alert,) = group_sent([outgoing(unenriched="no answer in time")])["alerts"]
    assert alert["annotations"]["classification_missing"] == "no answer in time"
    assert alert["labels"] == outgoing().labels


def test_alert_posted_to_another_alertmanager_keeps_its_labels_so_that_its_resolve_finds_it() -> None:
    (posted,) = posted_alerts([outgoing(classification=classification())])
    assert posted.labels == outgoing().labels
    assert posted.annotations["classification_summary"] == "The volume is full within an hour"


# --- API v2 -----------------------------------------------------------------------------------------------------------


def test_firing_alert_is_posted_with_an_end_far_ahead() -> None:
    at = STARTED + timedelta(hours=1)
    assert posted_alerts([outgoing(at=at)])[0].ends_at == at + FIRES_AT_MOST


def test_resolved_alert_is_posted_with_its_end() -> None:
    assert posted_alerts([resolved()])[0].ends_at == ENDED


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Server]:
    with alertmanager_server("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n") as running:
        yield running


async def send(alertmanager: Server, *alerts: Outgoing) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        spec = TargetSpec(name="t", format="alertmanager", fields={"url": f"{alertmanager.url}/api/v2/alerts"})
        await make(spec, client).send(Message("key", alerts))


def active_alerts(alertmanager: Server, alertname: str) -> list[dict[str, Any]]:
    """What amtool says Alertmanager holds as active under that name."""
    words = ["alert", "query", f'alertname="{alertname}"', "--output=json"]
    command = [find_program("amtool", package="prometheus-alertmanager"), f"--alertmanager.url={alertmanager.url}"]
    done = subprocess.run([*command, *words], capture_output=True, check=True, timeout=30)
    alerts: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    return alerts


def everything(alertmanager: Server) -> list[dict[str, Any]]:
    """All that Alertmanager holds."""
    alerts: list[dict[str, Any]] = httpx.get(f"{alertmanager.url}/api/v2/alerts", trust_env=False).json()
    return alerts


def now(**changes: Any) -> Outgoing:
    """A firing alert of the last minute."""
    at = datetime.now(UTC)
    return outgoing(**({"at": at, "starts_at": at - timedelta(minutes=1), "generator_url": ""} | changes))


@pytest.mark.long
async def test_real_alertmanager_holds_what_it_is_handed(alertmanager: Server) -> None:
    labels = {"alertname": "Handed", "instance": "db-1"}
    await send(alertmanager, now(labels=labels, generator_url="https://prometheus.example/graph"))
    (alert,) = wait_until(lambda: active_alerts(alertmanager, "Handed"), "the alert is held")
    assert (alert["labels"], alert["fingerprint"], alert["generatorURL"], alert["annotations"]["summary"]) == (
        labels,
        fingerprint(labels),
        "https://prometheus.example/graph",
        "/var is 97 % full",
    )


@pytest.mark.long
async def test_real_alertmanager_drops_what_is_resolved(alertmanager: Server) -> None:
    firing = [now(labels={"alertname": "Over", "instance": f"db-{i}"}) for i in range(2)]
    await send(alertmanager, *firing)
    wait_until(lambda: len(active_alerts(alertmanager, "Over")) == 2, "both alerts are held")
    over = {"status": "resolved", "event": "resolved", "ends_at": datetime.now(UTC)}
    await send(alertmanager, msgspec.structs.replace(firing[0], **over))
    wait_until(
        lambda: [a["labels"]["instance"] for a in active_alerts(alertmanager, "Over")] == ["db-1"], "one alert is left"
    )


@pytest.mark.long
async def test_what_a_real_alertmanager_refuses_is_rejected(alertmanager: Server) -> None:
    with pytest.raises(Rejected, match="answered 400"):
        await send(alertmanager, now(labels={"a-name-of-later-versions": "x"}))


@pytest.mark.parametrize("name", BLANK)
@pytest.mark.long
async def test_real_alertmanager_takes_an_alert_without_a_name(alertmanager: Server, name: str) -> None:
    before = len(everything(alertmanager))
    await send(alertmanager, now(labels={"alertname": name}))
    wait_until(lambda: len(everything(alertmanager)) > before, "the alert is held")


async def test_user_and_password_of_the_url_are_sent_as_such() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        spec = TargetSpec(name="t", format="alertmanager", fields={"url": "https://me:word@am.example/hook"})
        await make(spec, client).send(message())
    assert seen[0].headers["authorization"] == "Basic bWU6d29yZA=="

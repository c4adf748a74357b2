"""Pasts of vendors are brought in whole, from what their API answers to what the history shows.

Holds: `origins.imports.opsgenie`, `origins.imports.grafana`.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.engine.importing import ImportPlan
from alert_history.origins.imports.registry import find_origin
from alert_history.ports import Store
from alert_history.ports.past_origins import ImportRequest
from alert_history.sources.alertmanager import decode_sound
from tests.conformance.pasts import importing_into
from tests.conformance.samples import MINUTE, NOW, everything, receipt
from tests.vendors.grafana import TOKEN, Grafana, Rule, webhook
from tests.vendors.opsgenie import API_KEY, Opsgenie, alert, at
from tests.vendors.server import serving

LISTED = """Alerts Firing:
Labels:
 - alertname = DiskFull
 - instance = n1
Annotations:
Source: http://p/g
Labels:
 - alertname = DiskFull
 - instance = n2
Annotations:
Source: http://p/g
"""
HIGH = Rule(7, "uid-high", "High")


def plan(origin: str, **options: str) -> ImportPlan:
    given = {name.replace("_", "-"): (text,) for name, text in options.items()}
    return ImportPlan(find_origin(origin), ImportRequest(given, NOW), f"{origin} {options['url']}")


def ms(time: datetime) -> int:
    return to_us(time) // 1000


async def test_alerts_of_opsgenie_come_with_who_acknowledged_them_and_only_once(store: Store) -> None:
    began = NOW - 90 * MINUTE
    account = Opsgenie([alert(1, created_ms=ms(began), description=LISTED)])
    alert_id = account.alerts[0]["id"]
    did: dict[str, Any] = {"owner": "neo@x.io", "createdAt": at(ms(began + MINUTE)), "offset": "1"}
    account.notes[alert_id] = [did | {"note": "restarted"}]
    account.logs[alert_id] = [did | {"log": "Alert acknowledged via web"}]
    importing = importing_into(store)
    async with serving(account) as server:
        first = await importing.run(plan("opsgenie", url=server.url, api_key=API_KEY))
        again = await importing.run(plan("opsgenie", url=server.url, api_key=API_KEY))
    kept = await everything(store)
    assert sorted(each.labels["instance"] for each in kept) == ["n1", "n2"]
    assert {(each.starts_at, each.ends_at, each.source) for each in kept} == {(began, began + MINUTE, "opsgenie")}
    for each in kept:
        acts = await store.acts.of_occurrence(each.fingerprint, each.starts_at)
        assert [(act.kind, act.by, act.text) for act in acts] == [
            ("acknowledged", "neo@x.io", ""),
            ("noted", "neo@x.io", "restarted"),
        ]
    assert (first.counts.taken, first.counts.acts) == (2, 4)
    assert (again.counts.taken, again.counts.acts) == (0, 0)


async def test_what_grafana_told_and_what_its_history_says_is_one(store: Store) -> None:
    """The webhook told of a firing and its end; the import joins it, and brings the one before it."""
    began = NOW - 60 * MINUTE
    for ends_at in ("", (began + 10 * MINUTE).isoformat()):
        body = webhook(HIGH, HIGH.labels(zone="eu"), starts_at=began.isoformat(), ends_at=ends_at)
        group = decode_sound(body, received_at=began + 11 * MINUTE, max_alerts=1)
        assert group is not None
        at_once = receipt(at=began + 11 * MINUTE, body=body)
        await store.recorder.commit([msgspec.structs.replace(at_once, group=group)])
    grafana = Grafana([HIGH])
    for before, minutes in ((began - 60 * MINUTE, 5), (began, 10)):
        grafana.change(HIGH, ms(before), "Normal > Alerting", zone="eu")
        grafana.change(HIGH, ms(before + timedelta(minutes=minutes)), "Alerting > Normal", zone="eu")
    importing = importing_into(store)
    async with serving(grafana) as server:
        first = await importing.run(plan("grafana", url=server.url, token=TOKEN))
        again = await importing.run(plan("grafana", url=server.url, token=TOKEN, history="loki"))
    spans = sorted((each.starts_at, each.ends_at, each.status) for each in await everything(store))
    assert spans == [
        (began - 60 * MINUTE, began - 55 * MINUTE, "resolved"),
        (began, began + 10 * MINUTE, "resolved"),
    ]
    assert (first.counts.taken, first.counts.joined) == (1, 1)
    assert (again.counts.taken, again.counts.joined) == (0, 2)

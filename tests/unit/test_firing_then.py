"""What fired at a past moment, and by what an alert was inhibited.

Holds: `engine.firing_then`, `engine.inhibitions`, `engine.firing_alerts`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import msgspec
import pytest

from alert_history.domain.acts import Act
from alert_history.domain.alertmanager.moment import AlertStatus, MomentAlert
from alert_history.domain.occurrence import Key
from alert_history.engine.acknowledged import Acknowledged
from alert_history.engine.firing_then import FiredThen, FiringThen
from alert_history.engine.inhibitions import inhibitions_of
from alert_history.ports import Acts, History, HistoryFilter, HistoryPage, PageRequest, StoredAlert, StoredEvent

THEN = datetime(2026, 3, 4, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOUD = AlertStatus("active", ("pager",))


def held(
    name: str, number: int, *, muted: tuple[Literal["silenced", "inhibited"], tuple[str, ...]] | None = None
) -> MomentAlert:
    return MomentAlert(
        occurrence_id=f"{number:016x}-1",
        fingerprint=f"{number:016x}",
        scope="",
        labels={"alertname": name, "severity": "critical"},
        annotations={},
        starts_at=THEN - number * HOUR,
        ends_at=None,
        updated_at=THEN,
        generator_url="",
        source="alertmanager",
        muted=muted,
    )


class Held(msgspec.Struct):
    """What was held."""

    alerts: Sequence[tuple[MomentAlert, AlertStatus]]
    unknown: Sequence[str] = ("the routes of then",)

    async def state(self, at: datetime | None) -> "Held":
        assert at == THEN
        return self


class KeptActs(msgspec.Struct):
    """What people did."""

    acts: Sequence[Act]

    async def of_occurrences(self, keys: Collection[Key]) -> list[Act]:
        return [act for act in self.acts if act.key in keys]


async def view(*alerts: tuple[MomentAlert, AlertStatus], acts: Sequence[Act] = ()) -> FiredThen:
    acknowledged = Acknowledged(cast(Acts, KeptActs(acts)))
    return await FiringThen(Held(alerts), acknowledged).view(THEN)


async def test_alerts_of_then_are_added_up_and_those_that_were_muted_are_not_loud() -> None:
    silenced = AlertStatus("suppressed", (), silenced_by=("s-1",))
    inhibited = AlertStatus("suppressed", (), inhibited_by=("f",))
    fired = await view(
        (held("A", 1), LOUD),
        (held("A", 2), silenced),
        (held("A", 3), inhibited),
        (held("B", 4, muted=("silenced", ("s-2",))), LOUD),
    )
    whole = fired.view.whole
    assert whole is not None
    assert (whole.number, whole.loud, whole.silenced, whole.inhibited) == (4, 1, 2, 1)
    assert [(rule.name, rule.number, rule.loud) for rule in fired.view.rules] == [("A", 3, 1), ("B", 1, 0)]
    assert [alert.alertname for alert in fired.alerts] == ["A", "A", "A", "B"]
    assert fired.unknown == ("the routes of then",)


async def test_an_acknowledgement_counts_from_when_it_was_given() -> None:
    def act(after: timedelta) -> Act:
        start = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=1)
        return Act("a", f"{1:016x}", start, "A", "", "", THEN + after, "acknowledged", "ada")

    for after, number in ((-HOUR, 1), (HOUR, 0)):
        fired = await view((held("A", 1), LOUD), acts=[act(after)])
        assert fired.view.whole is not None
        assert fired.view.whole.acknowledged == number


def event(kind: Any, hours: float, **detail: Any) -> StoredEvent:
    return StoredEvent(kind, THEN + hours * HOUR, None, None, None, detail)


class Newest(msgspec.Struct):
    """The newest occurrence of each label set."""

    alerts: Mapping[str, StoredAlert]

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        assert page.limit == 1
        alert = self.alerts.get(wanted.fingerprint or "")
        return HistoryPage([] if alert is None else [alert], 1, True, None)


def stored(fingerprint: str, end: timedelta | None) -> StoredAlert:
    fields: dict[str, Any] = {
        "starts_at": THEN - HOUR,
        "timestamp": THEN - HOUR,
        "last_received_at": THEN,
        "expires_at": None,
    }
    fields |= dict.fromkeys(("namespace", "severity", "generator_url", "source", "receiver"), "")
    return StoredAlert(
        id=f"{fingerprint}-1",
        fingerprint=fingerprint,
        alertname="NodeDown",
        status="firing" if end is None else "resolved",
        labels={},
        annotations={},
        ends_at=None if end is None else THEN + end,
        repeat_count=0,
        **fields,
    )


BY_A = {"inhibited_by": ["aa"], "rules": ["node"]}


@pytest.mark.parametrize(
    "events, spans",
    [
        ([event("inhibited", 0, **BY_A)], [(0, None, 1)]),
        ([event("inhibited", 0, **BY_A), event("inhibited", 1, **BY_A), event("resolved", 2)], [(0, 2, 1)]),
        ([event("inhibited", 0, **BY_A), event("inhibited", 1, inhibited_by=["bb"])], [(1, None, 0), (0, 1, 1)]),
        ([event("inhibited", 0, **BY_A), event("unsilenced", 1), event("inhibited", 2)], [(2, None, 0), (0, 1, 1)]),
        ([event("fired", 0)], []),
    ],
)
async def test_inhibitions_have_a_begin_an_end_and_the_alert_that_did_it(
    events: Sequence[StoredEvent], spans: Sequence[tuple[int, int | None, int]]
) -> None:
    history = cast(History, Newest({"aa": stored("aa", None), "bb": stored("bb", -HOUR / 2)}))
    inhibitions = await inhibitions_of(events, history)
    told = [
        (
            (each.begin - THEN) / HOUR,
            None if each.end is None else (each.end - THEN) / HOUR,
            len(each.by),
        )
        for each in inhibitions
    ]
    assert told == spans
    assert all(alert.alertname == "NodeDown" for each in inhibitions for alert in each.by)

"""Who sent requests lately, and what of them was refused, on both databases."""

from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alert import Refused
from alert_history.engine.sender_overview import Losses, SenderOverview
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, posted, receipt

HOUR = timedelta(hours=1)


async def _send(store: Store, at: datetime, *names: str, truncated: int = 0, refused: tuple[Refused, ...] = ()) -> None:
    made = receipt(*(alert(name, starts_at=at) for name in names), at=at, refused=refused)
    group = msgspec.structs.replace(made.group, truncated_alerts=truncated)
    await store.recorder.commit([msgspec.structs.replace(made, group=group)])


async def test_requests_are_read_by_span_newest_first_at_most_so_many_of_each(store: Store) -> None:
    for minutes in (150, 119, 90, 61, 59, 1):
        await _send(store, NOW - minutes * MINUTE, f"Rule{minutes}")
    await _send(store, NOW, "Now")
    edges = [NOW - 2 * HOUR, NOW - HOUR, NOW]
    first, second = await store.senders.requests(edges, most=2)
    assert [each.received_at for each in first] == [NOW - 61 * MINUTE, NOW - 90 * MINUTE]
    assert [each.received_at for each in second] == [NOW - MINUTE, NOW - 59 * MINUTE]


async def test_a_request_says_who_sent_it_and_what_it_lacked(store: Store) -> None:
    refused = Refused(1, "no labels", b"{}")
    await _send(store, NOW - MINUTE, "Rule", truncated=7, refused=(refused,))
    await store.recorder.commit([posted(alert("Other"), client="10.0.0.1", at=NOW - SECOND)])
    [[other, request]] = await store.senders.requests([NOW - HOUR, NOW], most=10)
    assert (request.source, request.receiver, request.external_url) == ("alertmanager", "team-x", "http://alertmanager")
    assert (request.path, request.received, request.quarantined, request.truncated) == ("/webhook", 2, 1, 7)
    assert (other.source, other.receiver, other.external_url) == ("prometheus", "", "")


async def test_refused_alerts_are_counted_by_reason_the_most_frequent_first(store: Store) -> None:
    many = [Refused(place, "no labels", b"{}") for place in range(3)]
    await _send(store, NOW - 2 * DAY, refused=(Refused(0, "long ago", b"{}"),))
    await _send(store, NOW - HOUR, refused=(*many, Refused(3, "no name", b"{}")))
    counted = await store.senders.refused(NOW - DAY, most=100)
    assert [(each.reason, each.source, each.number, each.last_at) for each in counted] == [
        ("no labels", "alertmanager", 3, NOW - HOUR),
        ("no name", "alertmanager", 1, NOW - HOUR),
    ]
    assert sum(each.number for each in await store.senders.refused(NOW - DAY, most=2)) == 2


async def test_the_overview_of_a_store_has_its_senders_and_its_losses(store: Store) -> None:
    for hours in (30, 20, 10, 2, 1):
        await _send(store, NOW - hours * HOUR, f"Rule{hours}")
    await _send(store, NOW - MINUTE, refused=(Refused(0, "no labels", b"{}"),))
    overview = SenderOverview(store.senders, groups=list, witnesses=lambda: store.recorder.witnesses, clock=lambda: NOW)
    [sender] = (await overview.report()).senders
    assert (sender.requests, sender.quarantined, sender.hours[-1]) == (5, 1, 2)
    losses = Losses(
        store.senders,
        reconciling=store.reconciling,
        standings=store.standings,
        analytics=store.analytics,
        clock=lambda: NOW,
    )
    report = await losses.report()
    assert ([each.number for each in report.refused], report.is_refused_exact, report.conflicts) == ([1], True, [])
    assert report.open["firing"] == 5


async def test_how_ends_are_known_is_counted_of_the_last_days(store: Store) -> None:
    await _send(store, NOW - HOUR, "Rule")
    ended = alert("Rule", "resolved", starts_at=NOW - HOUR, ends_at=NOW - MINUTE)
    await store.recorder.commit([receipt(ended)])
    while await store.rollups.fold():
        pass
    assert await store.rollup_checks.log_length() == 0
    losses = Losses(
        store.senders,
        reconciling=store.reconciling,
        standings=store.standings,
        analytics=store.analytics,
        clock=lambda: NOW,
    )
    assert dict((await losses.report()).ended) == {"resolved": 1}

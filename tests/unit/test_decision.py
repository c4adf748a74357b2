"""What is to be written of a label set: nothing that the rules changed may be lost, however little of it is shown."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from alert_history.domain.alert import Alert, AlertGroup, Status, fingerprint
from alert_history.domain.decision import Decision, Known, decide
from alert_history.domain.receipt import Receipt
from alert_history.domain.standing import DEFAULT_RULES, Standing, Witnesses

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "DiskFull", "instance": "db-1"}


def posted(status: Status, at: float, *, since: float = 0, by: str = "a") -> Receipt:
    """What a Prometheus posts at that second."""
    time, start = NOW + timedelta(seconds=at), NOW + timedelta(seconds=since)
    is_firing = status == "firing"
    alert = Alert(
        fingerprint(LABELS),
        status,
        LABELS,
        {},
        start,
        None if is_firing else time,
        time + timedelta(minutes=4) if is_firing else None,
        f"http://prometheus-{by}:9090/graph",
    )
    group = AlertGroup("prometheus", "", "", "", [alert])
    return Receipt(f"receipt-{at}", time, "/api/v2/alerts", True, group, b"", b"", client=f"10.0.0.{by}")


def decided(*receipts: Receipt) -> Iterator[Decision]:
    """What is decided of each; what need not be written is forgotten before the next."""
    known: Known | None = None
    standing = Standing()
    for receipt in receipts:
        decision = decide(known, receipt.sightings, rules=DEFAULT_RULES, witnesses=Witnesses())
        yield decision
        standing = decision.standing if decision.is_standing_changed else standing
        assert decision.newest is not None
        known = Known(standing, decision.newest.occurrence)


def test_end_of_one_of_two_claims_is_to_be_written_though_it_is_no_event() -> None:
    *_, last = decided(posted("firing", 0), posted("firing", 5, since=5, by="b"), posted("resolved", 60))
    assert (last.events, last.is_standing_changed) == ([], True)


def test_second_word_of_an_end_is_to_be_written_though_it_is_no_event() -> None:
    *_, last = decided(posted("firing", 0), posted("resolved", 60), posted("resolved", 65, since=5, by="b"))
    assert (last.events, last.is_standing_changed) == ([], True)


def test_plain_repeat_need_not_be_written() -> None:
    *_, last = decided(posted("firing", 0), posted("firing", 60))
    assert (last.events, last.is_standing_changed) == ([], False)


def test_end_that_one_repeats_is_no_sign_of_what_another_claims() -> None:
    *_, ended, repeated = decided(
        posted("firing", 0), posted("firing", 5, since=5, by="b"), posted("resolved", 60), posted("resolved", 120)
    )
    for decision in (ended, repeated):
        assert decision.newest is not None
        assert decision.newest.occurrence.confirmed_at == NOW + timedelta(seconds=5)

"""Posts of random senders, told to us and to a plain Alertmanager: at each past step ours lists what that one listed.

Ours may list more, unconfirmed: what a silent sender had promised no longer. What webhooks told of is held against when
it truly fired. With MOMENT_STORIES=500 so many stories are told.
"""

import json
import os
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.domain.query import parse_query
from alert_history.domain.receipt import Receipt
from alert_history.engine.posted_ends import with_posted_ends
from alert_history.ids import new_id
from alert_history.ports import Store
from alert_history.sources.prometheus import decode_prometheus
from tests.conformance.plain_alertmanager import Held, PlainAlertmanager, PlainSender
from tests.conformance.samples import DAY, MINUTE, NOW, alert, receipt
from tests.lapsing import pass_all

_STORIES = int(os.environ.get("MOMENT_STORIES", "12"))
_ACTIONS = ("fire", "repeat", "repeat", "reword", "resolve", "late resolve", "resend", "restart", "no end", "nothing")
_WAITS = (30, 60, 60, 60, 120, 330, 1_300, 8_000)
"""Seconds between two steps. Sooner than half a minute, two senders may look like one."""

_story_numbers = count()


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[float, str, str, float]]:
    """Seconds to wait, whose turn it is, what happens, and how many seconds ago."""
    step = st.tuples(
        st.sampled_from(_WAITS), st.sampled_from(["A", "B"]), st.sampled_from(_ACTIONS), st.sampled_from([0.5, 3, 12])
    )
    return [(0, "A", "fire", 3), *draw(st.lists(step, min_size=4, max_size=25))]


def _receipt(post: dict[str, Any], at: datetime) -> Receipt:
    body = json.dumps([post]).encode()
    group = decode_prometheus(body, received_at=at, max_alerts=10)
    return Receipt(new_id(at), at, "/api/v2/alerts", False, group, body, sha256(body).digest(), "10.0.0.1", "")


@settings(max_examples=_STORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_steps())
async def test_at_each_past_step_what_is_confirmed_is_what_a_plain_alertmanager_listed(
    store: Store, steps: list[tuple[float, str, str, float]]
) -> None:
    number = next(_story_numbers)
    plain, senders = PlainAlertmanager(), {name: PlainSender(name, str(number)) for name in ("A", "B")}
    at = NOW + (number % 1_000) * 2 * DAY
    listings: list[tuple[datetime, dict[str, Held]]] = []
    for seconds, name, action, ago in steps:
        at += timedelta(seconds=seconds)
        post = senders[name].post(action, at, ago=timedelta(seconds=ago))
        if post is not None:
            plain.take(post, at)
            await store.recorder.commit([_receipt(post, at)])
        await pass_all(store.standings, at)
        listings.append((at, plain.listed(at)))
    query = parse_query(f'{{story="{number}"}}')
    for moment, listed in listings:
        found = await with_posted_ends(await store.moments.alerts(moment, query=query, limit=9), store.moments, moment)
        _check({alert.labels["alertname"]: alert for alert in found}, listed, moment - NOW, steps)


@st.composite
def _firings(draw: st.DrawFn) -> list[tuple[int, int, int, int, bool]]:
    """Minutes of rest before each firing, of the firing, until its webhook, until that of its end; whether it repeats.

    Both webhooks come after what they tell of, the second one after the first.
    """
    minutes = st.sampled_from([6, 10, 45, 90, 400])
    delays = st.sampled_from([0, 1, 5, 100])
    return draw(st.lists(st.tuples(minutes, minutes, delays, delays, st.booleans()), min_size=1, max_size=6))


@settings(max_examples=_STORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(firings=_firings(), looks=st.lists(st.integers(0, 6_000), min_size=5, max_size=12))
async def test_what_webhooks_told_fired_between_its_start_and_its_end(
    store: Store, firings: list[tuple[int, int, int, int, bool]], looks: list[int]
) -> None:
    number = next(_story_numbers)
    begin = NOW + (number % 1_000) * 2 * DAY
    labels, at, told_at = {"story": str(number)}, begin, begin
    spans: list[tuple[datetime, datetime]] = []
    for rest, length, until_told, until_over, repeats in firings:
        start = max(at + rest * MINUTE, told_at + MINUTE)
        end = start + length * MINUTE
        fired, over = (
            alert("Told", starts_at=start, labels=labels),
            alert("Told", "resolved", starts_at=start, ends_at=end, labels=labels),
        )
        heard_at = min(start + until_told * MINUTE, end)
        told_at = end + until_over * MINUTE
        await store.recorder.commit([receipt(fired, at=heard_at)])
        if repeats:
            await store.recorder.commit([receipt(fired, at=heard_at + (end - heard_at) / 2)])
        await store.recorder.commit([receipt(over, at=told_at)])
        spans.append((start, end))
        at = end
    query = parse_query(f'{{story="{number}"}}')
    for minutes in looks:
        moment = begin + minutes * MINUTE / 3
        fires = [start for start, end in spans if start <= moment < end]
        found = await store.moments.alerts(moment, query=query, limit=9)
        assert [each.starts_at for each in found] == fires, f"{moment - begin}: {firings}"


def _check(
    ours: dict[str, MomentAlert], listed: dict[str, Held], moment: timedelta, steps: list[tuple[float, str, str, float]]
) -> None:
    confirmed = {name for name, alert in ours.items() if not alert.is_unconfirmed}
    assert confirmed == listed.keys(), f"{moment}: {steps}"
    for name, held in listed.items():
        alert = ours[name]
        assert alert.annotations == {"summary": held.summary}
        if "endsAt" not in alert.unknown:
            assert (alert.ends_at, alert.updated_at) == (held.ends_at, held.updated_at)

"""Posts of random senders, told to us and to a plain Alertmanager: at each past step ours lists what that one listed.

Ours may list more, unconfirmed: what a silent sender had promised no longer. See `tests/README` of heavier runs: with
MOMENT_STORIES=500 so many stories are told.
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
from tests.conformance.samples import DAY, NOW
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

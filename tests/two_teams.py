"""A history of two teams, or of one of them alone: what the other team wrote holds a marker in its every text.

Both histories tell the same of the own team, at the same times, so the answers to who sees the own team alone must be
the same on both.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from alert_history.domain.acts import Act
from alert_history.domain.alert import Alert, Note, Refused, Silence
from alert_history.domain.classification import Classification, Usage, Verdict, shape_of
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.receipt import Receipt
from alert_history.domain.target import TargetSpec
from alert_history.engine.saved_views import SavedViews
from alert_history.engine.tokens import TokenDesk, TokenWish
from alert_history.ids import new_id
from alert_history.ports import DeliveryFilter, KeptVerdict, Store
from alert_history.storage import open_store
from tests.conformance.samples import MINUTE, SECOND, alert, id_of, receipt

MARK = "zqx"
"""It stands in every text of the other team, and in none of the own."""

OWN, OTHER = "payments", f"{MARK}-search"
REACH = f'{{team="{OWN}"}}'
_DAY = timedelta(days=1)
_LEASE = timedelta(seconds=30)

Team = Literal["own", "other"]


class Place(msgspec.Struct, frozen=True):
    """What a history holds, by the ids that routes take."""

    tokens: dict[str, str]
    alerts: dict[Team, str]
    fingerprints: dict[Team, str]
    deliveries: dict[Team, str]
    quarantined: str
    view: str


ROLES: dict[str, TokenWish] = {
    "read": TokenWish(name="read", scopes=("read",)),
    "operate": TokenWish(name="operate", scopes=("operate",)),
    "admin": TokenWish(name="admin", scopes=("admin",)),
    "ingest": TokenWish(name="ingest", scopes=("ingest",)),
    "read narrowed": TokenWish(name="own-read", scopes=("read",), match=REACH),
    "operate narrowed": TokenWish(name="own-operate", scopes=("operate",), match=REACH),
}


def fill(url: str, *, now: datetime, teams: Sequence[Team] = ("own", "other")) -> Place:
    """Write the history of these teams into an empty database, and make a token of each role."""
    return asyncio.run(_filled(url, now, teams))


async def _filled(url: str, now: datetime, teams: Sequence[Team]) -> Place:
    store = open_store(url, router=_route)
    await store.lifecycle.open()
    try:
        for team in teams:
            await _write(store, team, now)
        while await store.rollups.fold():
            pass
        return await _place(store, teams, now)
    finally:
        await store.lifecycle.close()


def _route(alert: Alert, event: Event) -> Routing | None:
    """Each team has a target of its own, which the other's alerts do not reach."""
    name = f"{MARK}-pager" if alert.labels.get("team") == OTHER else "pager"
    return route([TargetSpec(name, "webhook", {})], news_of(alert, event))


def _alerts(team: Team, now: datetime) -> list[tuple[datetime, Alert]]:
    """What is sent and when: rules of the team, one that both have, one that flaps; the other team has more of all."""
    mark = "" if team == "own" else f"{MARK}-"
    copies = 2 if team == "own" else 7
    sent: list[tuple[datetime, Alert]] = []
    for number in range(copies):
        labels = {"team": OWN if team == "own" else OTHER, "pod": f"{mark}pod-{number}", "namespace": f"{mark}shop"}
        if team == "other":
            labels |= {f"{MARK}_name": f"{MARK}-value", "severity": "warning"}
        texts = {"summary": f"{mark}no space left", f"{mark.replace('-', '_')}runbook": f"https://{mark}runbooks/1"}
        for place, name in enumerate(("SharedDown", f"{mark or 'own-'}DiskFull")):  # no two at the same time
            begin = now - 3 * timedelta(hours=1) - number * MINUTE - place * SECOND
            fired = alert(name, starts_at=begin, labels=labels, annotations=texts)
            sent.append((begin, msgspec.structs.replace(fired, generator_url=f"http://{mark}prometheus/graph")))
            if number:
                over = alert(
                    name,
                    "resolved",
                    starts_at=begin,
                    ends_at=begin + 9 * MINUTE,
                    labels=labels,
                    annotations=texts,
                )
                sent.append((begin + 9 * MINUTE, over))
        for turn in range(5):
            begin = now - 5 * timedelta(hours=1) + (12 * turn) * MINUTE + number * SECOND
            flaps = alert(f"{mark or 'own-'}Flapping", starts_at=begin, labels=labels, annotations=texts)
            sent.append((begin, flaps))
            ended = msgspec.structs.replace(flaps, status="resolved", ends_at=begin + 4 * MINUTE)
            sent.append((begin + 4 * MINUTE, ended))
        old = now - 3 * _DAY - 3 * number * MINUTE
        sent.append((old, alert("SharedOld", starts_at=old, labels=labels, annotations=texts)))
        sent.append((old + MINUTE, alert("SharedOld", "resolved", starts_at=old, ends_at=old + MINUTE, labels=labels)))
    return sorted(sent, key=lambda each: (each[0], each[1].fingerprint))


async def _write(store: Store, team: Team, now: datetime) -> None:
    mark = "" if team == "own" else f"{MARK}-"
    await store.recorder.commit([_of_team(receipt(sent, at=at), team) for at, sent in _alerts(team, now)])
    fires = first_alert(team, now)
    silence = Silence(
        f"{mark}silence-1",
        [[{"name": "pod", "op": "=", "value": fires.labels["pod"]}]],
        now - MINUTE,
        now + _DAY,
        now - MINUTE,
        f"{mark}ada",
        f"{mark}maintenance",
    )
    detail = {"silence_id": silence.id, "created_by": silence.created_by, "comment": silence.comment}
    note = Note(fires.fingerprint, None, "silenced", now - MINUTE, f"{mark}am-0", detail)
    refused = [Refused(0, f"{MARK} is no alert", b'{"zqx": 1}')] if team == "other" else []
    muted = receipt(at=now - MINUTE, notes=[note], silences=[silence], refused=refused)
    await store.recorder.commit([_of_team(muted, team)])
    await _settle(store, f"{mark}pager", now)
    await _act(store, fires, mark)
    await _classify(store, fires, now, mark)


def first_alert(team: Team, now: datetime) -> Alert:
    """The alert of a team that fires since three hours ago, under a rule that both teams have."""
    return next(
        each
        for _, each in _alerts(team, now)
        if each.labels["alertname"] == "SharedDown" and each.status == "firing" and each.labels["pod"].endswith("pod-0")
    )


def _of_team(receipt: Receipt, team: Team) -> Receipt:
    mark = "" if team == "own" else f"{MARK}-"
    group = msgspec.structs.replace(
        receipt.group, receiver=f"{mark}team", group_key=f"{mark}group", external_url=f"http://{mark}alertmanager"
    )
    return msgspec.structs.replace(receipt, group=group, publish=True)


async def _settle(store: Store, target: str, now: datetime) -> None:
    """One delivery is given up, the others are delivered or superseded."""
    leased, _ = await store.outbox.lease(target, now=now, limit=1000, lease_for=_LEASE)
    for place, delivery in enumerate(sorted(leased, key=lambda each: each.alert.occurrence_id)):
        state: Literal["dead", "delivered"] = "delivered" if place else "dead"
        reason = f"{target} answered 403" if state == "dead" else ""
        done = Settlement(delivery.id, state, Attempt(now, state, reason, 7), external_id=f"{target}-1")
        await store.outbox.settle([(delivery, done)])


async def _act(store: Store, of: Alert, mark: str) -> None:
    labels = (of.labels["alertname"], of.labels["severity"], of.labels["namespace"])
    for kind in ("acknowledged", "noted"):
        act = Act(
            f"{mark}{kind}",
            of.fingerprint,
            of.starts_at,
            *labels,
            of.starts_at + 5 * MINUTE,
            kind,
            f"{mark}grace",
            f"{mark}looking into it",
        )
        await store.acts.keep(act)


async def _classify(store: Store, of: Alert, now: datetime, mark: str) -> None:
    text = f"{mark}the disk"
    classification = Classification(
        "warning", 0.9, text, text, text, (text,), text, (text,), "llm", f"{mark}gpt", now - _DAY
    )
    verdict = KeptVerdict(
        new_id(now), shape_of(of.labels), of.fingerprint, Verdict(classification, Usage(100, 20, 0.01), f"{mark}sent")
    )
    await store.classifications.keep([verdict], now=now)


async def _place(store: Store, teams: Sequence[Team], now: datetime) -> Place:
    views = SavedViews(store.settings, clock=lambda: now)
    view = await views.save(f"{MARK} view", f"query={MARK}") if "other" in teams else None
    page = await store.history.quarantine(limit=1, cursor=None)
    desk = TokenDesk(store.tokens, clock=lambda: datetime.now(UTC))
    tokens = {role: (await desk.create(wish, by="a test")).secret for role, wish in ROLES.items()}
    firing = {team: first_alert(team, now) for team in teams}
    return Place(
        tokens=tokens,
        alerts={team: id_of(each) for team, each in firing.items()},
        fingerprints={team: each.fingerprint for team, each in firing.items()},
        deliveries={team: await _dead(store, team) for team in teams},
        quarantined=page.quarantine[0].id if page.quarantine else "none",
        view="none" if view is None else view.id,
    )


async def _dead(store: Store, team: Team) -> str:
    target = "pager" if team == "own" else f"{MARK}-pager"
    page: Any = await store.delivery_log.deliveries(DeliveryFilter(target=target, state="dead"))
    return str(page.deliveries[0].id)

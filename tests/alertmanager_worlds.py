"""Many small worlds in one real Alertmanager: what is posted to each, what it then says, and what ours says of it.

A world is a label value: routes group by it, and inhibitions and silences stay inside of it. All act at whole seconds,
and what they say ends three tenths after one; so timers run off in between. Holds the worlds, how they are lived
through, and how ours answers the same; `alertmanager_compared` compares. What depends on a tenth of a second is not
compared: ours is asked with times a little off, and only that counts on which all its answers agree.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.alertmanager.behaviour import Behaviour
from alert_history.domain.alertmanager.configuration import Configuration, Route
from alert_history.domain.alertmanager.dispatch import Course, Dispatcher
from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.domain.alertmanager.notification import Notification, Outcome
from alert_history.domain.alertmanager.posting import HeldAlert, Post
from alert_history.domain.alertmanager.statuses import inhibitors_of, statuses
from tests.receiving import Receiver

CONFIGURATION = """
global: {resolve_timeout: 3300ms}
route:
  receiver: rest
  group_by: [world, alertname]
  group_wait: 550ms
  group_interval: 2s
  repeat_interval: 5s
  routes:
    - {matchers: [team=slow], receiver: slow, group_by: [world], group_wait: 1550ms}
    - {matchers: [team=night], receiver: night, group_by: [world], mute_time_intervals: [always, never]}
    - {matchers: [team=day], receiver: day, group_by: [world, host], active_time_intervals: [never]}
    - {matchers: [severity=critical], receiver: pager, group_by: [world], continue: true}
    - {matchers: [severity=~"critical|warning"], receiver: chat, group_by: [...], group_interval: 3s}
    - {matchers: [severity=info, host!=h1], receiver: rest, group_by: [world, team], repeat_interval: 3s}
receivers:
  - {name: rest, webhook_configs: [{url: HOOK}]}
  - {name: slow, webhook_configs: [{url: HOOK}]}
  - {name: night, webhook_configs: [{url: HOOK}]}
  - {name: day, webhook_configs: [{url: HOOK}]}
  - {name: pager, webhook_configs: [{url: HOOK}]}
  - {name: chat, webhook_configs: [{url: HOOK, send_resolved: false}]}
inhibit_rules:
  - {source_matchers: [severity=critical], target_matchers: [severity=~"warning|info"], equal: [world, host]}
  - {source_matchers: [host=h1], target_matchers: [alertname=~"A|B"], equal: [world, team]}
  - {source_matchers: [alertname=C, severity!=info], target_matchers: [severity=info], equal: [world]}
time_intervals:
  - {name: always, time_intervals: [{times: [{start_time: "00:00", end_time: "24:00"}]}]}
  - {name: never, time_intervals: [{years: ["2000"]}]}
"""

_PAST = 0.3
_LOOKS = 0.8
_JITTER_SECONDS = 0.12
_LATENESS = 0.02
_TRIES = 6
_TEAMS = ("slow", "night", "day", "", "", "", "")
Labels = dict[str, str]


@dataclass
class Act:
    """What is done to a world at a whole second: an alert is posted, or a silence made, expired or prolonged."""

    kind: str
    labels: Labels = field(default_factory=dict)
    starts: float | None = None
    ends: float | None = None
    matchers: Sequence[tuple[str, str, str]] = ()
    silence: int = 0


@dataclass
class World:
    """One world: its acts by second. `posts` and `versions` are what happened, as seen from outside."""

    name: str
    acts: list[list[Act]]
    posts: list[tuple[int, Post]] = field(default_factory=list)
    ids: dict[int, str] = field(default_factory=dict)
    versions: list[Silence] = field(default_factory=list)


@dataclass
class Look:
    """What Alertmanager listed at a moment: alerts by fingerprint, and groups."""

    at: datetime
    alerts: dict[str, Any]
    groups: list[Any]


@dataclass
class Run:
    """What was seen: looks, and the webhooks with the moments when they came; and how late we were at worst."""

    started_at: datetime
    version: str
    worlds: list[World]
    looks: list[Look] = field(default_factory=list)
    webhooks: list[tuple[datetime, Any]] = field(default_factory=list)
    late_seconds: float = 0.0


def made_worlds(count: int, *, seconds: int, seed: int) -> list[World]:
    """Worlds of their own each, the same for the same seed."""
    chance = random.Random(seed)
    return [_world(f"w{number}", seconds, chance) for number in range(count)]


def _world(name: str, seconds: int, chance: random.Random) -> World:
    team = chance.choice(_TEAMS)
    pool = [_labels(name, team, chance) for _ in range(chance.randint(2, 5))]
    acts: list[list[Act]] = [[] for _ in range(seconds)]
    for second in range(seconds - 2):
        for labels in pool:
            if chance.random() < 0.35:
                acts[second].append(_post(labels, second, chance))
    for number in range(chance.choice([0, 1, 1, 2])):
        begin = chance.randrange(seconds - 3)
        later = chance.randrange(begin + 1, seconds)
        acts[begin].append(_silence(number, name, begin, chance))
        acts[later].append(
            Act(chance.choice(["expire", "prolong", "prolong", "keep"]), silence=number, ends=later + 2 + _PAST)
        )
    return World(name, acts)


def _labels(world: str, team: str, chance: random.Random) -> Labels:
    labels = {
        "world": world,
        "alertname": chance.choice("ABC"),
        "severity": chance.choice(["critical", "warning", "info"]),
        "host": chance.choice(["h1", "h2", ""]),
        "team": team,
        "instance": chance.choice(["", "1", "2"]),
    }
    return {key: value for key, value in labels.items() if value}


def _post(labels: Labels, second: int, chance: random.Random) -> Act:
    starts = chance.choice([None, second, second, second - 1, second - 20])
    if chance.random() < 0.3:
        return Act("post", labels, starts=min(second - 1, starts or second), ends=second - 1 + _PAST)
    ends = chance.choice([None, second + 1, second + 2, second + 30])
    return Act("post", labels, starts=starts, ends=None if ends is None else ends + _PAST)


def _silence(number: int, world: str, begin: int, chance: random.Random) -> Act:
    matchers = [("world", "=", world)]
    matchers += chance.choice(
        [
            [],
            [("alertname", "=", chance.choice("ABC"))],
            [("severity", "=~", "critical|info")],
            [("host", "!=", "h1")],
            [("host", "=", ""), ("alertname", "!~", "A|B")],
        ]
    )
    starts = chance.choice([None, None, begin + 1 + _PAST])
    return Act("silence", matchers=matchers, silence=number, starts=starts, ends=begin + chance.randint(2, 6) + _PAST)


# living through them


async def live(worlds: list[World], *, url: str, receiver: Receiver, seconds: int) -> Run:
    """Do it all, second by second, and look before the next."""
    async with httpx.AsyncClient(base_url=f"{url}/api/v2", timeout=20, trust_env=False) as client:
        status = (await client.get("/status")).json()
        run = Run(datetime.fromisoformat(status["uptime"]), status["versionInfo"]["version"], worlds)
        listening = asyncio.create_task(_listen(receiver, run))
        origin = float(int(time.time()) + 2)
        for second in range(seconds):
            await _until(origin + second)
            await _act(client, worlds, second=second, origin=origin)
            acted_at = time.time()
            await _until(origin + second + _LOOKS)
            run.looks.append(await _look(client))
            run.late_seconds = max(run.late_seconds, acted_at - origin - second, time.time() - origin - second - _LOOKS)
        listening.cancel()
    return run


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.time()))


async def _listen(receiver: Receiver, run: Run) -> None:
    while True:
        _, body = await receiver.requests.get()
        run.webhooks.append((datetime.now(UTC), body))


def _moment(origin: float, second: float) -> datetime:
    return datetime.fromtimestamp(origin + second, UTC)


async def _act(client: httpx.AsyncClient, worlds: Iterable[World], *, second: int, origin: float) -> None:
    bodies: list[dict[str, Any]] = []
    posts: list[tuple[World, Act]] = []
    for world in worlds:
        for act in world.acts[second]:
            if act.kind == "post":
                posts.append((world, act))
                bodies.append(_body(act, origin))
    if bodies:
        before = time.time()
        (await client.post("/alerts", json=bodies)).raise_for_status()
        at = datetime.fromtimestamp((before + time.time()) / 2, UTC)
        for world, act in posts:
            world.posts.append((second, _as_post(act, at, origin)))
    for world in worlds:
        for act in world.acts[second]:
            if act.kind != "post":
                await _silence_act(client, world, act, origin)


def _body(act: Act, origin: float) -> dict[str, Any]:
    body: dict[str, Any] = {"labels": act.labels}
    if act.starts is not None:
        body["startsAt"] = _moment(origin, act.starts).isoformat()
    if act.ends is not None:
        body["endsAt"] = _moment(origin, act.ends).isoformat()
    return body


def _as_post(act: Act, at: datetime, origin: float) -> Post:
    starts = None if act.starts is None else _moment(origin, act.starts)
    ends = None if act.ends is None else _moment(origin, act.ends)
    return Post(at, fingerprint(act.labels), act.labels, starts, ends)


async def _silence_act(client: httpx.AsyncClient, world: World, act: Act, origin: float) -> None:
    if act.kind == "silence":
        starts = datetime.now(UTC) if act.starts is None else _moment(origin, act.starts)
        body = _silence_body(act.matchers, starts.isoformat(), _moment(origin, act.ends or 0).isoformat())
        answer = await client.post("/silences", json=body)
        world.ids[act.silence] = answer.raise_for_status().json()["silenceID"]
    elif act.kind == "expire":
        await client.delete(f"/silence/{world.ids[act.silence]}")  # an error where it is over already
    elif act.kind == "prolong":
        silence = (await client.get(f"/silence/{world.ids[act.silence]}")).json()
        if silence["status"]["state"] == "expired":
            return
        known = {key: silence[key] for key in ("id", "matchers", "startsAt", "createdBy", "comment")}
        answer = await client.post("/silences", json={**known, "endsAt": _moment(origin, act.ends or 0).isoformat()})
        answer.raise_for_status()
    else:
        return
    world.versions.append(_version((await client.get(f"/silence/{world.ids[act.silence]}")).json()))


def _silence_body(matchers: Iterable[tuple[str, str, str]], starts: str, ends: str) -> dict[str, Any]:
    wire = [
        {"name": name, "value": value, "isRegex": "~" in op, "isEqual": not op.startswith("!")}
        for name, op, value in matchers
    ]
    return {"matchers": wire, "startsAt": starts, "endsAt": ends, "createdBy": "test", "comment": "test"}


def _version(wire: Mapping[str, Any]) -> Silence:
    matchers = [
        {
            "name": each["name"],
            "op": ("=" if each["isEqual"] else "!") + ("~" if each["isRegex"] else "" if each["isEqual"] else "="),
            "value": each["value"],
        }
        for each in wire["matchers"]
    ]
    starts, ends, updated = (datetime.fromisoformat(wire[key]) for key in ("startsAt", "endsAt", "updatedAt"))
    return Silence(wire["id"], [matchers], starts, ends, updated, "", "")


async def _look(client: httpx.AsyncClient) -> Look:
    before = time.time()
    alerts, groups = await asyncio.gather(client.get("/alerts"), client.get("/alerts/groups"))
    at = datetime.fromtimestamp((before + time.time()) / 2, UTC)
    return Look(at, {each["fingerprint"]: each for each in alerts.json()}, groups.json())


# what ours says of the same


class Told(msgspec.Struct, frozen=True):
    """A notification, but for when it came."""

    receiver: str
    group_key: str
    firing: tuple[str, ...]
    resolved: tuple[str, ...]


class Status(msgspec.Struct, frozen=True):
    """What a listed alert says; `inhibitors` are those of which it names one.

    From 0.30 on that depends on the order of posts: so the dispatcher is asked, not the moment.
    """

    is_muted: bool
    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...]
    inhibitors: tuple[str, ...]


class Grouped(msgspec.Struct, frozen=True, order=True):
    """A group that is listed: its alerts in order."""

    receiver: str
    labels: tuple[tuple[str, str], ...]
    alerts: tuple[str, ...]
    muted_by: tuple[str, ...]


@dataclass
class Answer:
    """What a try says: of each look, and what was told in all."""

    statuses: list[dict[str, Status]]
    groups: list[frozenset[Grouped]]
    told: list[Told]


def answers(world: World, run: Run, configuration: Configuration, *, behaviour: Behaviour) -> list[Answer]:
    """What ours says, several times, with times a little off and timers that run a little late."""
    chance = random.Random(world.name)
    exact = _answer(world, run, configuration, behaviour=behaviour, shift=timedelta)
    return [exact, *(_try(world, run, configuration, behaviour=behaviour, chance=chance) for _ in range(_TRIES))]


def _try(
    world: World, run: Run, configuration: Configuration, *, behaviour: Behaviour, chance: random.Random
) -> Answer:
    late = msgspec.structs.replace(configuration, route=_late(configuration.route, 1 + chance.uniform(0, _LATENESS)))
    return _answer(
        world,
        run,
        late,
        behaviour=behaviour,
        shift=lambda: timedelta(seconds=chance.uniform(-_JITTER_SECONDS, _JITTER_SECONDS)),
    )


def _late(route: Route, factor: float) -> Route:
    return msgspec.structs.replace(
        route,
        group_interval=route.group_interval * factor,
        routes=tuple(_late(each, factor) for each in route.routes),
    )


def _answer(
    world: World, run: Run, configuration: Configuration, *, behaviour: Behaviour, shift: Callable[[], timedelta]
) -> Answer:
    posts = _moved(world, shift)
    silences = [
        msgspec.structs.replace(each, starts_at=each.starts_at + shift(), ends_at=each.ends_at + shift())
        for each in world.versions
    ]
    dispatcher = Dispatcher(
        configuration, started_at=run.started_at, silences=silences, course=Course(behaviour, has_all_posts=True)
    )
    answer = Answer([], [], [])
    outcomes: list[Outcome] = []
    for look in run.looks:
        at = look.at + shift()
        while posts and posts[0].at < at:
            outcomes += dispatcher.advance(posts[0].at)
            dispatcher.post(posts.pop(0))
        outcomes += dispatcher.advance(at)
        answer.statuses.append(_statuses(dispatcher, silences, configuration, at=at, behaviour=behaviour))
        answer.groups.append(_groups(dispatcher, at))
    for each in outcomes:
        if isinstance(each, Notification):
            answer.told.append(Told(each.receiver, each.group_key, _prints(each.firing), _prints(each.resolved)))
    return answer


def _moved(world: World, shift: Callable[[], timedelta]) -> list[Post]:
    """The posts, those of each second a little off; in every other try those of one request come one after another."""
    moved = {second: shift() for second, _ in world.posts}
    apart = timedelta(milliseconds=1) if shift() > timedelta() else timedelta()
    return [
        msgspec.structs.replace(post, at=post.at + moved[second] + number * apart)
        for number, (second, post) in enumerate(world.posts)
    ]


def _prints(alerts: Iterable[HeldAlert]) -> tuple[str, ...]:
    return tuple(each.fingerprint for each in alerts)


def _statuses(
    dispatcher: Dispatcher,
    silences: Sequence[Silence],
    configuration: Configuration,
    *,
    at: datetime,
    behaviour: Behaviour,
) -> dict[str, Status]:
    alerts = [_moment_alert(each) for each in dispatcher.firing(at)]
    found = statuses(alerts, silences=silences, configuration=configuration, at=at, behaviour=behaviour)
    answer = {}
    for alert, each in zip(alerts, found, strict=True):
        all_of = inhibitors_of(alert, alerts, configuration=configuration, at=at) if each.inhibited_by else []
        may_be = tuple(one.fingerprint for one in all_of if one.rule.position == each.inhibit_rules[0])
        if behaviour.looks_at_one_source:
            one = dispatcher.inhibitor(alert.labels, at=at)
            may_be = () if one is None else (one.fingerprint,)
        is_muted = bool(each.silenced_by or may_be)
        answer[alert.fingerprint] = Status(is_muted, each.receivers, each.silenced_by, may_be)
    return answer


def _moment_alert(held: HeldAlert) -> MomentAlert:
    return MomentAlert(
        held.fingerprint,
        held.fingerprint,
        "",
        held.labels,
        {},
        held.starts_at,
        held.ends_at,
        held.updated_at,
        "",
        "prometheus",
    )


def _groups(dispatcher: Dispatcher, at: datetime) -> frozenset[Grouped]:
    """As they are listed: without alerts that have ended."""
    listed = [
        Grouped(
            state.route.receiver,
            tuple(sorted(state.labels.items())),
            _prints(alert for alert in state.alerts if not alert.is_resolved(at)),
            state.muted_by,
        )
        for state in dispatcher.groups()
    ]
    return frozenset(each for each in listed if each.alerts)

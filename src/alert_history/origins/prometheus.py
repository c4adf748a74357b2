"""A Prometheus that is asked: the alerts of its rules, how far its word goes, and which labels it sends them with.

`/api/v1/status/runtimeinfo` is asked first and last: a restart or a reload in between would make one answer of two
servers. vmalert has alerts and rules too, but no `/api/v1/status`. Source: `web/api/v1` of prometheus/prometheus.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

import httpx
import msgspec

from alert_history.domain.origin import Origin, Server
from alert_history.domain.poll import PolledRuleAlert, PrometheusPoll, RuleAlertState
from alert_history.domain.times import parse_duration
from alert_history.errors import OriginUnavailable
from alert_history.origins.asking import POLL_SECONDS, Answer, Connection, poll_servers
from alert_history.origins.prometheus_config import Naming, read_config, unknown
from alert_history.origins.wire import read_time, without_empty
from alert_history.ports.clock import Clock

_ALERTS = "/api/v1/alerts"
_RULES = "/api/v1/rules?type=alert"
_RUNTIME = "/api/v1/status/runtimeinfo"
_BUILD = "/api/v1/status/buildinfo"
_FLAGS = "/api/v1/status/flags"
_CONFIG = "/api/v1/status/config"

_RESEND_DELAY = timedelta(minutes=1)
_RESEND_FLAG = "rules.alert.resend-delay"
_FEATURES_FLAG = "enable-feature"
_EXTERNAL_URL_FLAG = "web.external-url"
_LISTEN_FLAG = "web.listen-address"
_HEALTHY = "ok"
_PORT = re.compile(r":(\d{1,5})\]?$", re.ASCII)

T = TypeVar("T")


class _Envelope(msgspec.Struct, Generic[T]):
    """How every answer is wrapped. With warnings, it is an answer in part (Thanos)."""

    status: str
    data: T | None = None
    warnings: list[str] | None = None


class _Alert(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    state: RuleAlertState
    active_at: str
    value: str = ""
    annotations: dict[str, str] | None = None


class _Alerts(msgspec.Struct):
    alerts: list[_Alert]


class _Rule(msgspec.Struct):
    type: str
    name: str
    duration: float = 0.0
    health: str = _HEALTHY


class _Group(msgspec.Struct):
    rules: list[_Rule] | None = None
    interval: float = 0.0


class _Groups(msgspec.Struct):
    groups: list[_Group]


class _Runtime(msgspec.Struct, rename="camel"):
    start_time: str
    last_config_time: str | None = None
    hostname: str = ""


class _Build(msgspec.Struct):
    version: str = ""


class _Config(msgspec.Struct):
    yaml: str


class _Answers(msgspec.Struct, frozen=True):
    """What one server answered, and when it was asked. An answer is None where the server has none."""

    asked_at: datetime
    runtime: Answer | None
    build: Answer | None
    config: Answer | None
    flags: Answer | None
    rules: Answer
    alerts: Answer
    runtime_after: Answer | None


async def poll_prometheus(
    origin: Origin, client: httpx.AsyncClient, *, clock: Clock, seconds: float = POLL_SECONDS
) -> list[PrometheusPoll]:
    """A poll of each replica that answers within `seconds`: an alert is over when every replica lacks it.

    Raises: OriginUnavailable where no replica answers whole and well, with the reason of each.
    """
    read = partial(_read, origin.name)
    polls, _ = await poll_servers(origin, client, clock=clock, seconds=seconds, ask=_ask, read=read)
    return polls


async def ask_rule_names(
    origin: Origin, client: httpx.AsyncClient, *, clock: Clock, seconds: float = POLL_SECONDS
) -> frozenset[str]:
    """The names of the alerting rules that the replicas evaluate which answer within `seconds`.

    Raises: OriginUnavailable where no replica answers whole and well, with the reason of each.
    """
    names, _ = await poll_servers(origin, client, clock=clock, seconds=seconds, ask=_ask_rules, read=_read_names)
    return frozenset().union(*names)


async def _ask_rules(connection: Connection) -> Answer:
    return await connection.get(_RULES)


def _read_names(answer: Answer, server: Server) -> frozenset[str]:
    """Raises: OriginUnavailable."""
    with _faults(server):
        return frozenset(rule.name for group in _data(answer, _Groups).groups for rule in _alerting(group))


async def _ask(connection: Connection) -> _Answers:
    return _Answers(
        asked_at=connection.now(),
        runtime=await _if_there(connection, _RUNTIME),
        build=await _if_there(connection, _BUILD),
        config=await _if_there(connection, _CONFIG),
        flags=await _if_there(connection, _FLAGS),
        rules=await connection.get(_RULES),
        alerts=await connection.get(_ALERTS),
        runtime_after=await _if_there(connection, _RUNTIME),
    )


async def _if_there(connection: Connection, path: str) -> Answer | None:
    """The server's answer; None where the server lacks the path, or hides it from us. Raises: OriginUnavailable."""
    answer = await connection.get_if_there(path)
    return answer if answer.is_ok else None


def _read(name: str, answers: _Answers, server: Server) -> PrometheusPoll:
    """Raises: OriginUnavailable."""
    with _faults(server):
        return _poll(answers, name=name, server=server)


@contextmanager
def _faults(server: Server) -> Iterator[None]:
    """Tell what is wrong with an answer. Raises: OriginUnavailable."""
    try:
        yield
    except (ValueError, OverflowError, RecursionError):  # msgspec.DecodeError is a ValueError
        reason = "its answer is not what a Prometheus answers"
    except _InPart as error:
        reason = str(error)
    else:
        return
    raise OriginUnavailable(f"{server.url}: {reason}") from None


class _InPart(Exception):
    """The server answered in part, or its answers do not belong together."""


def _poll(answers: _Answers, *, name: str, server: Server) -> PrometheusPoll:
    started_at, reloaded_at = _times(answers)
    groups = [group for group in _data(answers.rules, _Groups).groups if _alerting(group)]
    rules = [rule for group in groups for rule in _alerting(group)]
    waits = _waits(groups)
    flags = _data(answers.flags, dict[str, object]) if answers.flags else {}
    version = _data(answers.build, _Build).version if answers.build else ""
    naming = _naming(answers.config, version=version, features=str(flags.get(_FEATURES_FLAG, "")).split(","))
    return PrometheusPoll(
        name=name,
        server=server.url,
        asked_at=answers.asked_at,
        started_at=started_at,
        reloaded_at=reloaded_at,
        version=version,
        alerts=[_alert(alert, waits) for alert in _data(answers.alerts, _Alerts).alerts],
        faulty_rules=frozenset(rule.name for rule in rules if rule.health != _HEALTHY),
        longest_for=timedelta(seconds=max((rule.duration for rule in rules), default=0.0)),
        longest_interval=timedelta(seconds=max((group.interval for group in groups), default=0.0)),
        resend_delay=_resend_delay(flags.get(_RESEND_FLAG)),
        external_labels=naming.external_labels,
        alert_relabel_configs=naming.relabel_configs,
        unnamed_because=naming.unnamed_because,
        external_url=_external_url(flags, answers.runtime),
    )


def _data(answer: Answer, kind: type[T]) -> T:
    """Raises: msgspec.DecodeError, _InPart."""
    envelope: _Envelope[T] = msgspec.json.decode(answer.body, type=_Envelope[kind])  # type: ignore[valid-type]
    if envelope.warnings:
        raise _InPart("it answers in part, with warnings")
    if envelope.status != "success" or envelope.data is None:
        raise _InPart("it answers with an error")
    return envelope.data


def _times(answers: _Answers) -> tuple[datetime | None, datetime | None]:
    """When the server started and last reloaded, by our clock. Raises: _InPart where that changed between answers."""
    before, after = (_data(answer, _Runtime) if answer else None for answer in (answers.runtime, answers.runtime_after))
    if before != after:
        raise _InPart("it was restarted or reloaded while it was asked")
    if answers.runtime_after is None or after is None:
        return None, None
    our_time = answers.runtime_after.our_time
    reloaded_at = our_time(read_time(after.last_config_time)) if after.last_config_time else None
    return our_time(read_time(after.start_time)), reloaded_at


def _alerting(group: _Group) -> list[_Rule]:
    return [rule for rule in group.rules or [] if rule.type == "alerting"]


def _naming(config: Answer | None, *, version: str, features: Collection[str]) -> Naming:
    if config is None:
        return unknown("it does not show its configuration")
    return read_config(_data(config, _Config).yaml, version=version, features=features)


def _resend_delay(text: object) -> timedelta:
    """Raises: ValueError."""
    return _RESEND_DELAY if text is None else parse_duration(str(text))


def _external_url(flags: Mapping[str, object], runtime: Answer | None) -> str | None:
    """The URL that alerts link to. Unless it is set, the server makes it of its host's name, shown by 3.0 and newer."""
    if url := str(flags.get(_EXTERNAL_URL_FLAG) or "").rstrip("/"):
        return url
    port = _PORT.search(str(flags.get(_LISTEN_FLAG) or ""))
    hostname = "" if runtime is None else _data(runtime, _Runtime).hostname
    return f"http://{hostname}:{port[1]}" if port and hostname else None


def _waits(groups: Iterable[_Group]) -> dict[str, timedelta | None]:
    """How long an alert pends, by the name of its rule: whole intervals. None where rules of one name differ."""
    waits: dict[str, timedelta | None] = {}
    for group in groups:
        for rule in _alerting(group):
            intervals = math.ceil(rule.duration / group.interval) if group.interval > 0 else 0
            wait = timedelta(seconds=max(rule.duration, intervals * group.interval))
            waits[rule.name] = wait if waits.get(rule.name, wait) == wait else None
    return waits


def _alert(wire: _Alert, waits: Mapping[str, timedelta | None]) -> PolledRuleAlert:
    active_at, wait = read_time(wire.active_at), waits.get(wire.labels.get("alertname", ""))
    return PolledRuleAlert(
        labels=without_empty(wire.labels),
        annotations=wire.annotations or {},
        state=wire.state,
        active_at=active_at,
        value=wire.value,
        fires_since=active_at + wait if wait is not None and wire.state == "firing" else None,
    )

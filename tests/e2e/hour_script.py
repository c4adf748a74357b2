"""What happens in the hour: alerts that are posted, silences, and a configuration that is reloaded.

Minutes count from its beginning; those of alerts and silences may lie before it, or after its end.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta, timezone
from typing import Any

from tests.e2e.hour import Hour, Step

CONFIGURATION = r"""
route:
  receiver: default
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - matchers: ['team="db"']
      receiver: db
      group_by: [alertname, cluster]
      continue: true
      routes:
        - matchers: ['severity="critical"']
          receiver: db-pager
          group_by: ['...']
        - match_re: {instance: 'db-[0-9]+'}
          receiver: db-tickets
    - matchers: ['team=~"db|web"', 'severity!="info"']
      receiver: audit
      group_by: [team]
      continue: true
    - match: {team: web}
      receiver: web
      mute_time_intervals: [always]
    - matchers: ['path=~".+ [a-z]"', 'quoted!~"x.*"']
      receiver: odd
      group_by: [quoted, path]
      active_time_intervals: [always, never]
time_intervals:
  - name: always
    time_intervals: [{years: ['2020:2100']}]
  - name: never
    time_intervals: [{years: ['2001:2002']}]
inhibit_rules:
  - source_matchers: ['severity="critical"']
    target_matchers: ['severity="warning"']
    equal: [cluster]
  - source_match: {alertname: SiteDown}
    target_match_re: {team: 'web|db'}
    equal: [site, rack]
receivers: [{name: default}, {name: db}, {name: db-pager}, {name: db-tickets}, {name: audit}, {name: web}, {name: odd}]
"""
RELOADED = CONFIGURATION.replace("receiver: audit", "receiver: ledger").replace(
    "equal: [cluster]", "equal: [alertname]"
)
RELOADED = RELOADED.replace("{name: audit}", "{name: ledger}").replace("group_by: [alertname]", "group_by: [team]")

SCRIPT: list[Step] = []


def minute(*minutes: float) -> Callable[[Callable[[Hour], None]], Callable[[Hour], None]]:
    """Puts a step at these minutes of the script."""

    def put(step: Callable[[Hour], None]) -> Callable[[Hour], None]:
        SCRIPT.extend((each, step) for each in minutes)
        return step

    return put


DISK = {"alertname": "DiskFull", "team": "db", "cluster": "eu", "instance": "db-1"}
ODD = {"alertname": "Odd \U0001f4a5", "quoted": 'a"b', "path": "c:\\temp d", "empty": ""}
LATER = 70
"""The end that a sender names who sends again each 18 minutes: four times as long ahead, as Prometheus does."""
REPEATED = 30
"""How far ahead the end is of what is sent again each 10 minutes or sooner: nobody seems to send twice as often."""
_ABROAD = timezone(timedelta(hours=5, minutes=30))


def firing(hour: Hour, labels: Mapping[str, str], *, start: float, end: float = LATER, **rest: Any) -> dict[str, Any]:
    """An alert as Prometheus posts it."""
    return {
        "labels": dict(labels),
        "annotations": {"summary": f"since {start}"},
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0",
        "startsAt": hour.text(start),
        "endsAt": hour.text(end),
        **rest,
    }


@minute(0)
def _begins(hour: Hour) -> None:
    """A source of inhibition with its targets, one that matches both sides, and odd labels."""
    hour.post(
        firing(hour, {**DISK, "severity": "critical"}, start=-3),
        firing(hour, {**DISK, "severity": "warning"}, start=-2),
        firing(hour, {**DISK, "severity": "warning", "cluster": "us"}, start=-1, end=REPEATED),
        firing(hour, {"alertname": "Slow", "team": "web", "severity": "warning", "site": "a"}, start=0),
        firing(hour, {"alertname": "Slow", "team": "web", "severity": "info"}, start=0, end=REPEATED),
        firing(hour, ODD, start=-5, annotations={}),
        firing(hour, {"alertname": "Plain"}, start=-60.0004),
    )


@minute(1)
def _nameless(hour: Hour) -> None:
    """Neither start nor end, one of the two, and amtool's year 1."""
    zero = "0001-01-01T00:00:00.000Z"
    hour.post(
        {"labels": {"alertname": "Bare", "timeless": "both"}},
        {"labels": {"alertname": "Bare", "timeless": "start"}, "endsAt": hour.text(LATER)},
        {"labels": {"alertname": "Bare", "timeless": "end"}, "startsAt": hour.text(-1)},
        {"labels": {"alertname": "Bare", "timeless": "amtool"}, "startsAt": zero, "endsAt": zero},
    )


@minute(3)
def _silenced_at_once(hour: Hour) -> None:
    hour.silence(
        "web",
        [{"name": "team", "value": "web"}],
        comment='he said "now"\nand <b>more</b> · 満杯',
        endsAt=hour.text(1201),
    )
    hour.silence(
        "odd",
        [{"name": "quoted", "value": 'a"b'}, {"name": "path", "value": "c:.*", "isRegex": True}],
        endsAt=hour.text(1202),
    )


@minute(4)
def _pending(hour: Hour) -> None:
    pending = [{"name": "alertname", "value": "Disk.*", "isRegex": True}]
    hour.silence("window", pending, startsAt=hour.text(19), endsAt=hour.text(30))
    hour.silence("never", pending, startsAt=hour.text(50), endsAt=hour.text(1206))
    hour.silence("moved", pending, startsAt=hour.text(70), endsAt=hour.text(1207))


@minute(5, 15, 25, 35, 45)
def _repeats(hour: Hour) -> None:
    """What fires is posted again, and its end moves."""
    ahead = round(hour.minute_now()) + REPEATED
    hour.post(
        firing(hour, {**DISK, "severity": "warning", "cluster": "us"}, start=-1, end=ahead),
        firing(hour, {"alertname": "Slow", "team": "web", "severity": "info"}, start=0, end=ahead),
        firing(hour, {"alertname": "Moving"}, start=5, end=ahead),
    )


@minute(6)
def _pair(hour: Hour) -> None:
    """Two replicas see the same a moment apart; and one whose sender falls silent: the end that it named comes."""
    pair, silent = {"alertname": "Pair", "apart": "yes"}, {"alertname": "Silent", "apart": "later"}
    hour.post(firing(hour, pair, start=5), firing(hour, silent, start=5, end=13))
    hour.post(firing(hour, pair, start=5.3))


@minute(9.3)
def _annotations_change(hour: Hour) -> None:
    changed = {"summary": "fuller", "runbook": "https://example.org/r?a=b&c"}
    hour.post(firing(hour, {**DISK, "severity": "critical"}, start=-3, annotations=changed))


@minute(9)
def _more_silences(hour: Hour) -> None:
    hour.silence("edited", [{"name": "severity", "value": "critical"}], endsAt=hour.text(40))
    hour.silence("renewed", [{"name": "alertname", "value": "Plain"}], endsAt=hour.text(1203))
    hour.silence(
        "negative",
        [{"name": "alertname", "value": "Slow|Odd.*|Disk.*", "isRegex": True, "isEqual": False}],
        endsAt=hour.text(1204),
    )
    hour.edit("moved", startsAt=hour.text(27), comment="sooner")


@minute(10)
def _site_is_down(hour: Hour) -> None:
    """A source without the second label of `equal` inhibits those without it."""
    hour.post(firing(hour, {"alertname": "SiteDown", "site": "a"}, start=10))


@minute(11)
def _starts_move(hour: Hour) -> None:
    """A sender restarts and names a later start; another one an earlier one."""
    hour.post(
        firing(hour, {"alertname": "Plain"}, start=11),
        firing(hour, {"alertname": "Moving"}, start=4, end=11 + REPEATED),
    )


@minute(14)
def _in_place(hour: Hour) -> None:
    hour.edit("edited", endsAt=hour.text(48), comment="longer", createdBy="amir")


@minute(16)
def _first_ends(hour: Hour) -> None:
    hour.post(firing(hour, {**DISK, "severity": "critical"}, start=-3, end=16))


@minute(18)
def _expired_by_hand(hour: Hour) -> None:
    hour.expire("negative")
    hour.expire("never")


@minute(20)
def _replica_ends(hour: Hour) -> None:
    """The first of the pair resolves; the other goes on a minute later."""
    hour.post(firing(hour, {"alertname": "Pair", "apart": "yes"}, start=5, end=19))


@minute(20.7)
def _other_goes_on(hour: Hour) -> None:
    hour.post(firing(hour, {"alertname": "Pair", "apart": "yes"}, start=5.3))


@minute(22)
def _made_anew(hour: Hour) -> None:
    """Other matchers: the old one is expired and a new one made."""
    hour.edit("renewed", matchers=[{"name": "alertname", "value": "Plain|Bare", "isRegex": True, "isEqual": True}])


@minute(23)
def _fires_anew(hour: Hour) -> None:
    """After its end, with a start after it."""
    hour.post(firing(hour, {**DISK, "severity": "critical"}, start=22.5))


@minute(26)
def _resolved_without_a_start(hour: Hour) -> None:
    hour.post({"labels": {"alertname": "Bare", "timeless": "start"}, "endsAt": hour.text(25.9)})
    hour.post(firing(hour, {"alertname": "SiteDown", "site": "a"}, start=10, end=25.9))


@minute(29)
def _offsets(hour: Hour) -> None:
    """Times with an offset and with nanoseconds."""
    hour.post(
        firing(hour, {"alertname": "Offset"}, start=0)
        | {"startsAt": hour.at(28).astimezone(_ABROAD).isoformat(timespec="microseconds").replace("+", "123+")}
    )


@minute(6.5)
def _fires_late(hour: Hour) -> None:
    hour.post(firing(hour, {"alertname": "Late", "apart": "late"}, start=6))


@minute(13)
def _older_end(hour: Hour) -> None:
    """The end of a firing before it comes in; the newest post counts."""
    hour.post(firing(hour, {"alertname": "Late", "apart": "late"}, start=-40, end=-30))


@minute(22.2)
def _fires_late_again(hour: Hour) -> None:
    hour.post(firing(hour, {"alertname": "Late", "apart": "late"}, start=6))


@minute(33)
def _ends_early(hour: Hour) -> None:
    hour.expire("web")
    hour.post(firing(hour, {"alertname": "Slow", "team": "web", "severity": "warning", "site": "a"}, start=0, end=33))


@minute(39)
def _again_web(hour: Hour) -> None:
    hour.silence(
        "web again", [{"name": "team", "value": "web"}, {"name": "severity", "value": ""}], endsAt=hour.text(1205)
    )


@minute(42)
def _reloads(hour: Hour) -> None:
    hour.reload(RELOADED)


@minute(49)
def _two_of_one(hour: Hour) -> None:
    """Two silences of one alert, each with an end of its own."""
    hour.silence("first", [{"name": "alertname", "value": "Moving"}], endsAt=hour.text(53))
    hour.silence("second", [{"name": "alertname", "value": "Mov.*", "isRegex": True}], endsAt=hour.text(57))


@minute(53.5)
def _all_ends(hour: Hour) -> None:
    hour.post(
        firing(hour, {**DISK, "severity": "critical"}, start=22.5, end=53),
        firing(hour, {"alertname": "Moving"}, start=5, end=53),
    )

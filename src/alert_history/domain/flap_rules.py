"""What counts as flapping: five definitions, each by its name, with its parameters, their defaults and their bounds.

`flapping` judges by them. A parameter's name has its unit; a share is 0 to 1, so that 30 % of another program's file is
0.3 here. Each rule has `restart_seconds`. An end that no sender reported (expired, inferred, reconciled), and a start
no later than that after it, show that the sender was away: neither counts as a change.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from alert_history.errors import InvalidQuery

Definition = Literal["ours", "nagios", "icinga", "kibana", "newrelic"]

CHECKS = 20
"""Nagios and Icinga 2 look at as many changes: at one for each of the last checks."""

_HOUR_SECONDS = 3600
_DAY_SECONDS = 24 * _HOUR_SECONDS

_Restart = Annotated[float, Meta(ge=0, le=_DAY_SECONDS)]
_RESTART_SECONDS = 1800.0
"""Twice the 15 minutes for which the firing of a silent sender is held open (`EXPIRE_AFTER_SECONDS`)."""
_CheckInterval = Annotated[float, Meta(ge=1, le=_DAY_SECONDS)]
_CHECK_INTERVAL_SECONDS = 300.0
"""What Nagios and Icinga 2 do unless they are told otherwise: a check each five minutes."""
_Share = Annotated[float, Meta(ge=0, le=1)]


class OursRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="definition", tag="ours"
):
    """More than `limit` changes within `window_seconds`; a change is a start or an end."""

    window_seconds: Annotated[float, Meta(ge=60, le=30 * _DAY_SECONDS)] = float(_HOUR_SECONDS)
    limit: Annotated[int, Meta(ge=1, le=1000)] = 4
    restart_seconds: _Restart = _RESTART_SECONDS

    @property
    def window(self) -> timedelta:
        """How long the window is that slides over the changes."""
        return timedelta(seconds=self.window_seconds)


class NagiosRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="definition", tag="nagios"
):
    """The weighted share of changes among the last 21 checks: from `high_share` on, until no more than `low_share`.

    The 20 places of a change weigh 0.75 (oldest) to 1.25 (newest). So does Nagios Core 4.5.12, base/flapping.c; its
    thresholds without a setting are in include/defaults.h, and its sample nagios.cfg sets 5 % and 20 % instead.

    Raises: ValueError where `low_share` is above `high_share`.
    """

    high_share: _Share = 0.3
    low_share: _Share = 0.2
    check_interval_seconds: _CheckInterval = _CHECK_INTERVAL_SECONDS
    restart_seconds: _Restart = _RESTART_SECONDS

    def __post_init__(self) -> None:
        _in_order(low=self.low_share, high=self.high_share)


class IcingaRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="definition", tag="icinga"
):
    """The weighted share of changes among the last 20: above `high_share`, until no more than `low_share`.

    The 20 places of a change weigh 0.80 (oldest) to 1.18 (newest). So does Icinga 2.16.0 since 2.8,
    lib/icinga/checkable-flapping.cpp; its thresholds without a setting are in lib/icinga/checkable.ti.

    Raises: ValueError where `low_share` is above `high_share`.
    """

    high_share: _Share = 0.3
    low_share: _Share = 0.25
    check_interval_seconds: _CheckInterval = _CHECK_INTERVAL_SECONDS
    restart_seconds: _Restart = _RESTART_SECONDS

    def __post_init__(self) -> None:
        _in_order(low=self.low_share, high=self.high_share)


class KibanaRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="definition", tag="kibana"
):
    """`status_change_threshold` changes or more in the last `look_back_window` runs, until those runs show none.

    A run is a check. So does Kibana (as of its commit 9a5ff2abc070) in the folder server/lib/flapping of
    x-pack/platform/plugins/shared/alerting; its defaults and bounds are in common/rules_settings.ts there.

    Raises: ValueError where the threshold is more than the runs.
    """

    look_back_window: Annotated[int, Meta(ge=2, le=20)] = 20
    status_change_threshold: Annotated[int, Meta(ge=2, le=20)] = 4
    check_interval_seconds: _CheckInterval = _CHECK_INTERVAL_SECONDS
    restart_seconds: _Restart = _RESTART_SECONDS

    def __post_init__(self) -> None:
        if self.status_change_threshold > self.look_back_window:
            raise ValueError("status_change_threshold must not be more than look_back_window")


class NewRelicRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="definition", tag="newrelic"
):
    """At least `share` of what ended in the span lasted no longer than `seconds`.

    New Relic's guide "Manage your alert quality" (2023-07-20) calls that number "Percent under 5 minutes" and flapping;
    its query counts closed incidents of up to 300 s. The guide names no limit: `share` and `least_ended`, how many must
    have ended before the share means anything, are ours.
    """

    seconds: Annotated[float, Meta(ge=1, le=_DAY_SECONDS)] = 300.0
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    least_ended: Annotated[int, Meta(ge=1, le=1000)] = 3
    restart_seconds: _Restart = _RESTART_SECONDS


WeightedRule: TypeAlias = NagiosRule | IcingaRule
FlapRule: TypeAlias = OursRule | NagiosRule | IcingaRule | KibanaRule | NewRelicRule


def flap_rule(definition: str, parameters: Mapping[str, object] | None = None) -> FlapRule:
    """The rule of that name; texts are read as numbers, and what `parameters` leave out has its default.

    Raises: InvalidQuery that names the definition or the parameter, and what is allowed.
    """
    if definition not in get_args(Definition):
        raise InvalidQuery(f"{definition!r} is no definition of flapping; there are {', '.join(get_args(Definition))}")
    kind = _kind(definition)
    values = dict(parameters or {})
    unknown = [name for name in values if name not in kind.__struct_fields__]
    if unknown:
        allowed = ", ".join(kind.__struct_fields__)
        raise InvalidQuery(
            f"{unknown[0]!r} is no parameter of flapping as {definition} defines it; there are {allowed}"
        )
    try:
        rule: FlapRule = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        raise InvalidQuery(f"{path.rstrip('`')}: {text}" if path else text) from None
    return rule


def read_flap_rule(definition: str, text: str) -> FlapRule:
    """The rule of that name with the parameters in a text: `window_seconds=3600,limit=4`. Raises: as `flap_rule`."""
    pairs = [part.partition("=") for part in text.split(",")]
    if len({name.strip() for name, _, _ in pairs}) < len(pairs):
        raise InvalidQuery(f"{text!r} names a parameter twice")
    return flap_rule(definition, {name.strip(): value.strip() for name, _, value in pairs})


def parameters_of(definition: Definition) -> tuple[str, ...]:
    """The names of the parameters of a definition."""
    return _kind(definition).__struct_fields__


def definition_of(rule: FlapRule) -> Definition:
    """The name of its definition."""
    tag: Definition = rule.__struct_config__.tag  # type: ignore[assignment]  # each rule has one of these names
    return tag


def restart_of(rule: FlapRule) -> timedelta:
    """Within what time after an end that no sender reported a start is the same firing."""
    return timedelta(seconds=rule.restart_seconds)


def reach(rule: FlapRule) -> timedelta:
    """How long before a span the judgement begins: earlier changes have no part in it.

    The checks begin calm two windows before the span. What began to flap before that, and stayed between the two
    thresholds ever since, is not seen as flapping until it changes more.
    """
    match rule:
        case OursRule():
            return rule.window + restart_of(rule)
        case KibanaRule():
            checks = rule.look_back_window
        case NewRelicRule():
            return restart_of(rule)
        case _:
            checks = CHECKS
    return timedelta(seconds=2 * checks * rule.check_interval_seconds) + restart_of(rule)


def least_episodes(rule: FlapRule) -> int:
    """With fewer episodes than that no alert flaps by this rule, because an episode is two changes at most."""
    match rule:
        case OursRule():
            return rule.limit // 2 + 1
        case KibanaRule():
            return (rule.status_change_threshold + 1) // 2
        case NewRelicRule():
            return rule.least_ended
        case _:
            return 1


def _kind(definition: str) -> type[FlapRule]:
    kind: type[FlapRule] = next(kind for kind in get_args(FlapRule) if kind.__struct_config__.tag == definition)
    return kind


def _in_order(*, low: float, high: float) -> None:
    if low > high:
        raise ValueError("low_share must not be above high_share")

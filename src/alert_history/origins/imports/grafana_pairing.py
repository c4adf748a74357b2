"""From changes of state to firings: each from the change into a state that notifies to the change out of it. Pure."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.domain.standing import EndedBy
from alert_history.origins.imports.grafana_rules import Rule, Rules, identity_of
from alert_history.origins.imports.grafana_states import Change, Kind, sent_labels
from alert_history.ports.past_origins import ImportRequest

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A rule and its labels."""


class _Open(msgspec.Struct, frozen=True, gc=False):
    """A firing that goes on. `first` is the change that began it, None where that is not in the history."""

    kind: Kind
    first: Change | None


class Pairing:
    """What fires at one point of a history that is read from its beginning to its end."""

    def __init__(self, request: ImportRequest, rules: Rules, *, scope: str, external_url: str) -> None:
        self._request = request
        self._rules = rules
        self._scope = scope
        self._external_url = external_url.rstrip("/")
        self._open: dict[Key, _Open] = {}

    def is_waiting(self) -> bool:
        """Whether a firing that is wanted goes on."""
        return any(each.first is not None and self._request.wants(each.first.at) for each in self._open.values())

    def take(self, change: Change) -> Iterator[PastFiring | RefusedRow]:
        """What a change ended. The changes of an alert come in the order of their times."""
        key = (change.rule, tuple(sorted(change.labels.items())))
        was = self._open.pop(key, None)
        if change.is_before_known and (None if was is None else was.kind) != change.before:
            if was is not None:
                yield from self._lost(was)
            was = None if change.before is None else _Open(change.before, None)
        if was is not None and was.kind == change.now:
            self._open[key] = was
            return
        if was is not None:
            yield from self._ended(was, change)
        if change.now is not None:
            self._open[key] = _Open(change.now, change)

    def rest(self) -> Iterator[PastFiring]:
        """What fires still at the end of the history; what no rule is behind any more is over."""
        for each in self._open.values():
            first = each.first
            if first is None or not self._request.wants(first.at):
                continue
            if self._rules.is_known and self._rule(first) is None:
                yield self._firing(each.kind, first, ends_at=first.at, ended_by="inferred")
            else:
                yield self._firing(each.kind, first, ends_at=None, ended_by="resolved")

    def _ended(self, was: _Open, change: Change) -> Iterator[PastFiring | RefusedRow]:
        if was.first is not None:
            if self._request.wants(was.first.at):
                yield self._firing(was.kind, was.first, ends_at=change.at, ended_by="resolved")
        elif self._request.start is None:
            raw = msgspec.json.encode(change)
            yield RefusedRow(change.place, "it ends a firing whose beginning is not in the history", raw)

    def _lost(self, was: _Open) -> Iterator[PastFiring]:
        """A firing of whose end nothing is in the history, only that it is over: known to fire when it began."""
        if was.first is not None and self._request.wants(was.first.at):
            yield self._firing(was.kind, was.first, ends_at=was.first.at, ended_by="inferred")

    def _rule(self, change: Change) -> Rule | None:
        """The rule behind a change; None where it is gone, and for the alerting before Grafana 9."""
        if not (change.rule_id or change.rule_uid):
            return None
        return self._rules.find(rule_id=change.rule_id, uid=change.rule_uid, labels=change.labels)

    def _firing(self, kind: Kind, first: Change, *, ends_at: datetime | None, ended_by: EndedBy) -> PastFiring:
        rule = self._rule(first)
        uid = first.rule_uid or (rule.uid if rule else "")
        labels = sent_labels(first.labels, kind)
        return PastFiring(
            labels=labels,
            starts_at=first.at,
            ends_at=ends_at,
            last_seen_at=self._request.now if ends_at is None else None,
            ended_by=ended_by,
            generator_url=f"{self._external_url}/alerting/grafana/{uid}/view" if uid else "",
            details={"values": first.values} if first.values else None,
            scope=self._scope,
            place=first.place,
            identity=identity_of(labels, uid=uid, rule=rule),
        )

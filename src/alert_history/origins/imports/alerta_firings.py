"""What a row of Alerta tells: its firings, with the labels that Alertmanager has, and what people did. Pure.

Alerta knows an alert by its environment, resource and event. All firings of these are one row: its history says when
the severity or the status changed. Alertmanager knows an alert by all its labels, so that each severity is another
alert. Of the newest message Alerta keeps every word; that message says when its firing began and ended.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from alert_history.domain.acts import ActKind
from alert_history.domain.past_firing import PastAct, PastFiring
from alert_history.domain.standing import EndedBy
from alert_history.origins.imports.alerta_wire import PROMETHEUS, Change, Row, Sent, read_alerta_time, sent_of

_ENDED: dict[str | None, EndedBy] = {"closed": "resolved", "expired": "expired"}
_ACTS: dict[str, ActKind] = {"ack": "acknowledged", "unack": "unacknowledged", "close": "resolved", "note": "noted"}
_NOTED = frozenset({"assign", "shelve", "unshelve", "action"})
_DISMISSED, _TIMED_OUT, _OPENED = "dismiss", "timeout", "open"
_NO_RESOURCE, _NO_GROUPS, _NO_MONITOR = "n/a", frozenset({"", "Misc", "Prometheus"}), frozenset({"", "-"})
_DEFAULT_ENVIRONMENT = "Production"
_NO_ANNOTATIONS = frozenset({"startsAt", "endsAt", "ip", "moreInfo", "externalUrl"})


class _Piece(msgspec.Struct):
    """A firing under one event and severity. `is_reopened`: a person opened it, no message did."""

    event: str
    severity: str
    starts_at: datetime
    text: str = ""
    is_reopened: bool = False
    ends_at: datetime | None = None
    ended_by: EndedBy = "resolved"
    sent: Sent | None = None
    acts: list[PastAct] = []

    def is_of(self, change: Change) -> bool:
        """Whether a change is of the same event and severity."""
        return self.event == (change.event or self.event) and self.severity == (change.severity or self.severity)


def firings_of(row: Row) -> list[PastFiring]:
    """The firings that a row tells of, in the order of their starts; none where it never fired.

    Raises: ValueError, with the reason.
    """
    sent = sent_of(row)
    pieces = _pieces(row)
    if sent is not None:
        _complete(pieces, row, sent)
    if not pieces:
        return []
    newest = pieces[-1]
    pieces.sort(key=lambda piece: piece.starts_at)
    for act in _acts(row):
        _doing(pieces, act).acts.append(act)
    return [_firing(piece, row, sent=sent, is_newest=piece is newest) for piece in pieces]


def _pieces(row: Row) -> list[_Piece]:
    """What the history tells, cut where the event or the severity changed."""
    pieces: list[_Piece] = []
    is_open = False
    for change in row.history or _only_change(row):
        ended_by = _ENDED.get(change.status)
        if is_open and (ended_by is not None or not pieces[-1].is_of(change)):
            pieces[-1].ends_at, pieces[-1].ended_by = change.at, ended_by or "inferred"
            is_open = False
        if not is_open and ended_by is None and change.status:
            is_reopened = change.type == _OPENED
            severity = change.severity or row.severity
            pieces.append(_Piece(change.event or row.event, severity, change.at, change.text or "", is_reopened))
            is_open = True
    return pieces


def _only_change(row: Row) -> list[Change]:
    """What stands for the history of a row that has none."""
    at = read_alerta_time(row.create_time)
    if at is None:
        raise ValueError("it has neither a history nor a time")
    return [Change(row.create_time, "new", row.id, row.event, row.severity, row.status, row.text, at=at)]


def _complete(pieces: list[_Piece], row: Row, sent: Sent) -> None:
    """Gives the newest message to the piece that it is of, whose start and end it knows better than Alerta.

    Where it ended another severity than the newest, Alerta closed the newest with it, so that end is a guess.
    """
    severity = sent.labels.get("severity")
    piece = next((piece for piece in reversed(pieces) if _is_of(piece, row, severity=severity)), None)
    if sent.ends_at is None and piece is None:
        return  # it was closed by hand before it was ever open
    if sent.ends_at is not None and pieces and pieces[-1] is not piece and pieces[-1].ended_by == "resolved":
        pieces[-1].ended_by = "inferred"
    if piece is None:
        piece = _Piece(row.event, severity or "", sent.starts_at)
        pieces.append(piece)
    piece.sent = sent
    piece.starts_at = min(piece.starts_at, sent.starts_at)
    if sent.ends_at is not None:
        piece.ends_at, piece.ended_by = max(sent.ends_at, piece.starts_at), "resolved"


def _is_of(piece: _Piece, row: Row, *, severity: str | None) -> bool:
    return not piece.is_reopened and piece.event == row.event and severity in {None, piece.severity}


def _firing(piece: _Piece, row: Row, *, sent: Sent | None, is_newest: bool) -> PastFiring:
    is_open = piece.ends_at is None
    last_seen_at = (read_alerta_time(row.last_receive_time) or piece.starts_at) if is_open else None
    return PastFiring(
        labels=_labels(piece, row, sent),
        starts_at=piece.starts_at,
        ends_at=piece.ends_at,
        last_seen_at=last_seen_at,
        ended_by=piece.ended_by,
        annotations=piece.sent.annotations if piece.sent else _annotations(piece, row, is_newest=is_newest),
        generator_url=sent.generator_url if sent else "",
        repeats=max(row.duplicate_count or 0, 0) if is_open and is_newest else 0,
        acts=tuple(piece.acts),
        place=f"alert {row.id}",
    )


# --- labels and annotations -------------------------------------------------------------------------------------------


def _labels(piece: _Piece, row: Row, sent: Sent | None) -> dict[str, str]:
    """Those of the newest message, with the severity and the event of the piece; or those that a row lets one know."""
    if piece.sent is not None:
        return piece.sent.labels
    labels = dict(sent.labels) if sent is not None else _known_labels(row)
    if sent is None or "severity" in labels:
        labels["severity"] = piece.severity
    if sent is None or piece.event != row.event:
        labels["alertname"] = piece.event
    return {name: value for name, value in labels.items() if value}


def _known_labels(row: Row) -> dict[str, str]:
    """The labels of a row without its message: what Alertmanager's webhook took apart is put together again."""
    is_prometheus = row.type == PROMETHEUS
    monitor = (row.origin or "").removeprefix("prometheus/") if is_prometheus else ""
    environment = row.environment or ""
    labels = {
        "instance": "" if row.resource == _NO_RESOURCE else row.resource,
        "environment": "" if is_prometheus and environment == _DEFAULT_ENVIRONMENT else environment,
        "service": ",".join(row.service),
        "job" if is_prometheus else "group": "" if row.group in _NO_GROUPS else row.group or "",
        "customer": row.customer or "",
        "monitor": "" if monitor in _NO_MONITOR else monitor,
    }
    return {**_labels_in_tags(row), **labels} if is_prometheus else labels


def _labels_in_tags(row: Row) -> dict[str, str]:
    """Tags are gathered over messages: a name with several values belongs to several alerts, so it is left out."""
    pairs = {tuple(tag.split("=", 1)) for tag in row.tags if "=" in tag}
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def _annotations(piece: _Piece, row: Row, *, is_newest: bool) -> dict[str, str]:
    """The text of a piece; of the newest also what else a row says."""
    annotations = {"description": piece.text or (row.text or "" if is_newest else "")}
    if is_newest and row.type != PROMETHEUS:
        annotations |= {"value": row.value or "", "tags": ", ".join(sorted(row.tags)), "origin": row.origin or ""}
        annotations |= {
            name: value
            for name, value in row.attributes.items()
            if isinstance(value, str) and name not in _NO_ANNOTATIONS
        }
    return {name: value for name, value in annotations.items() if value}


# --- what people did --------------------------------------------------------------------------------------------------


def _acts(row: Row) -> Iterator[PastAct]:
    """The acts in the order of time, without notes that were dismissed."""
    dismissed = {change.id for change in row.history if change.type == _DISMISSED}
    was_acknowledged = False
    for change in row.history:
        kind = _kind(change, was_acknowledged=was_acknowledged)
        was_acknowledged = change.status == "ack"
        if kind is None or (change.type == "note" and change.id in dismissed):
            continue
        text = change.text or ""
        if change.type in _NOTED:
            text = f"{change.type}: {text}"
        at = change.at.isoformat(timespec="milliseconds")
        act_id = change.id if change.type == "note" else f"{row.id}/{change.type}/{at}"
        yield PastAct(act_id, kind, change.at, change.user or "unknown", text)


def _kind(change: Change, *, was_acknowledged: bool) -> ActKind | None:
    """What a person did; None where it was a message, or time that passed."""
    if change.type in _NOTED:
        return "noted"
    if change.type == "status" and change.status == "ack" and not was_acknowledged:
        return "acknowledged"  # a status set by hand
    if change.type == _TIMED_OUT and was_acknowledged and change.status != "ack":
        return "unacknowledged"
    return _ACTS.get(change.type)


def _doing(pieces: list[_Piece], act: PastAct) -> _Piece:
    """The piece that a person acted on: the latest that had begun, else the first."""
    begun = [piece for piece in pieces if piece.starts_at <= act.at]
    return begun[-1] if begun else pieces[0]

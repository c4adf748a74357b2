"""Why the receivers of an Alertmanager were notified of an occurrence or not: what is known beside what follows.

What an Alertmanager said of itself, or a webhook that it sent, is known. The rest follows from its configuration of
then, as far as that is known. Pure; `outcome_sentence` has the words.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alertmanager.configuration import Configuration, Receiver
from alert_history.domain.alertmanager.evidence import Evidence, Notice, SaidMuting
from alert_history.domain.alertmanager.outcome import Basis, Muting, OutcomeKind, ReceiverOutcome
from alert_history.domain.alertmanager.route_outcome import RouteOutcome

CONNECT_CONFIGURATION = (
    "Name this Alertmanager in ALERTMANAGER_URLS: Alert History reads its configuration and its silences from then on"
)
CONNECT_RECORDER = (
    "Point the event recorder of Alertmanager (0.33 and newer) at Alert History: it says whom Alertmanager notified"
)


class Subject(msgspec.Struct, frozen=True):
    """The occurrence: when it began to fire, and when it was over; None while it fires."""

    starts_at: datetime
    ends_at: datetime | None


class Gap(msgspec.Struct, frozen=True):
    """A time in which an Alertmanager did not answer us: since its last answer, until the next, if there was one."""

    since: datetime
    until: datetime | None
    reason: str = ""


class Scene(msgspec.Struct, frozen=True):
    """One Alertmanager at the time of the occurrence.

    `configuration` is None where it can't be read, as `fault` says, or is known only `since` later. `routes` has one
    for each route that the occurrence takes. `gap` is set where it did not answer us then. `is_assumed`: it is not on
    record that it received the alert.
    """

    cluster: str
    configuration: Configuration | None
    routes: Sequence[RouteOutcome] = ()
    gap: Gap | None = None
    fault: str = ""
    since: datetime | None = None
    is_assumed: bool = False


def explain(subject: Subject, evidence: Evidence, scenes: Sequence[Scene], *, now: datetime) -> list[ReceiverOutcome]:
    """What became of it at each receiver: those that were notified first, those without a route last."""
    outcomes = [each for scene in scenes for each in _of_scene(subject, evidence, scene, scenes=scenes, now=now)]
    named = {outcome.receiver for outcome in outcomes}
    outcomes += [each for each in _of_evidence_alone(subject, evidence) if each.receiver not in named]
    dark = [scene for scene in scenes if scene.configuration is None]
    has_others = bool(outcomes)
    outcomes += [_unknown_rest(scene, has_others=has_others) for scene in dark]
    if not scenes:
        outcomes.append(_unknown_rest(None, has_others=has_others))
    return sorted(outcomes, key=_rank)


def _unknown_rest(scene: Scene | None, *, has_others: bool) -> ReceiverOutcome:
    """What is said of the receivers that nothing is on record of, where no configuration is known."""
    if scene is None:
        reason, connect = "Alert History does not know the configuration that it had then", CONNECT_CONFIGURATION
    elif scene.since is not None:
        reason, connect = "Alert History knows its configuration only since", CONNECT_RECORDER
    else:
        reason, connect = f"its configuration can't be read ({scene.fault})", CONNECT_RECORDER
    return ReceiverOutcome(
        "",
        "" if scene is None else scene.cluster,
        "unknown",
        "unknown",
        until=None if scene is None else scene.since,
        reason=reason,
        connect=connect,
        is_rest=has_others,
    )


_ORDER: dict[OutcomeKind, int] = {"notified": 0, "waiting": 1, "no_integration": 8, "not_routed": 9}


def _rank(outcome: ReceiverOutcome) -> tuple[int, str, str]:
    return _ORDER.get(outcome.kind, 2), outcome.receiver, outcome.cluster


# --- What is on record alone ------------------------------------------------------------------------------------------


def _of_evidence_alone(subject: Subject, evidence: Evidence) -> Iterator[ReceiverOutcome]:
    """The receivers that are on record, each once."""
    notices = {each.receiver: each for each in evidence.notices}
    for receiver, any_notice in notices.items():
        if (notice := evidence.of(receiver)) is not None:
            yield _known_notified(subject, evidence, notice)
        elif (muted := evidence.of(receiver, "muted")) is not None:
            yield _known_muted(subject, evidence, muted)
        else:
            yield _known_end_alone(any_notice)
    for receiver, at in evidence.groups:
        if receiver not in notices:
            notices[receiver] = Notice(at, receiver)
            yield ReceiverOutcome(
                receiver,
                "",
                "unknown",
                "unknown",
                at=at,
                reason="Alertmanager put it into a group of this receiver, and no notification is on record",
                connect=CONNECT_CONFIGURATION,
            )


def _known_notified(subject: Subject, evidence: Evidence, notice: Notice) -> ReceiverOutcome:
    end = evidence.of(notice.receiver, "resolved")
    before = evidence.muting_at(notice.at - timedelta(microseconds=1))
    integrations = {
        each.integration
        for each in evidence.notices
        if (each.receiver, each.role) == (notice.receiver, "firing") and each.integration
    }
    return ReceiverOutcome(
        notice.receiver,
        notice.cluster,
        "notified",
        "known",
        at=notice.at,
        after=max(notice.at - subject.starts_at, timedelta()),
        end_at=None if end is None else end.at,
        ended_at=subject.ends_at,
        integrations=sorted(integrations),
        muting=None if before is None or before.lifted_at is None else before.muting,
        source=_source(notice),
    )


def _known_end_alone(notice: Notice) -> ReceiverOutcome:
    return ReceiverOutcome(
        notice.receiver,
        notice.cluster,
        "unknown",
        "unknown",
        end_at=notice.at,
        reason="only a notification of its end is on record",
        source=_source(notice),
        connect=CONNECT_RECORDER if notice.is_ours else "",
    )


def _known_muted(subject: Subject, evidence: Evidence, notice: Notice) -> ReceiverOutcome:
    known_muting = evidence.muting_at(notice.at)
    muting = Muting() if known_muting is None else known_muting.muting
    return ReceiverOutcome(
        notice.receiver,
        notice.cluster,
        muting.kind,
        "known",
        until=muting.until,
        ended_at=subject.ends_at,
        muting=muting if known_muting is not None else None,
        source=_source(notice),
    )


def _source(notice: Notice) -> str:
    name = notice.instance or notice.cluster
    return f"Alertmanager {name}" if name else "Alertmanager"


# --- What follows from a configuration --------------------------------------------------------------------------------


def _of_scene(
    subject: Subject, evidence: Evidence, scene: Scene, *, scenes: Sequence[Scene], now: datetime
) -> Iterator[ReceiverOutcome]:
    if scene.configuration is None:
        return
    own = _evidence_of(evidence, scene, scenes)
    routes: dict[str, list[RouteOutcome]] = {}
    for on_route in scene.routes:
        routes.setdefault(on_route.route.receiver, []).append(on_route)
    for receiver in scene.configuration.receivers:
        taken = routes.get(receiver.name, [])
        decided = [_of_route(subject, own, each, receiver=receiver, scene=scene, now=now) for each in taken]
        follows = min(decided, key=_best, default=None) or ReceiverOutcome(
            receiver.name, scene.cluster, "not_routed", "follows", is_assumed=scene.is_assumed
        )
        yield _with_evidence(subject, own, follows, scene=scene)


def _best(outcome: ReceiverOutcome) -> tuple[int, float]:
    """Of several routes to one receiver the one that notified it first."""
    at = outcome.at or outcome.until or outcome.due_at
    return _ORDER.get(outcome.kind, 2), at.timestamp() if at is not None else float("inf")


def _evidence_of(evidence: Evidence, scene: Scene, scenes: Sequence[Scene]) -> Evidence:
    """What is on record of this Alertmanager; what names none is of the only one that has such a receiver."""
    if len(scenes) == 1:
        return evidence
    names = _receiver_names(scene)
    others = {name for other in scenes if other is not scene for name in _receiver_names(other)}
    clusters = {other.cluster for other in scenes}
    return msgspec.structs.replace(
        evidence,
        notices=[
            each
            for each in evidence.notices
            if each.cluster == scene.cluster
            or (each.cluster not in clusters and each.receiver in names and each.receiver not in others)
        ],
        mutings=[each for each in evidence.mutings if each.cluster == scene.cluster or each.cluster not in clusters],
    )


def _receiver_names(scene: Scene) -> set[str]:
    return {receiver.name for receiver in scene.configuration.receivers} if scene.configuration else set()


def _with_evidence(subject: Subject, evidence: Evidence, follows: ReceiverOutcome, *, scene: Scene) -> ReceiverOutcome:
    """What is known of a receiver goes before what follows; of that what is not contradicted stays."""
    if (notice := evidence.of(follows.receiver)) is not None:
        known = _known_notified(subject, evidence, notice)
        return msgspec.structs.replace(
            known,
            cluster=scene.cluster,
            route=follows.route,
            group=follows.group,
            due_at=follows.due_at,
            looks=follows.looks,
            end_muting=follows.end_muting if known.end_at is None else None,
            sends_end=follows.sends_end,
            muting=known.muting or (follows.muting if follows.kind == "notified" else None),
            integrations=known.integrations or follows.integrations,
        )
    if follows.kind in {"not_routed", "no_integration"}:
        return follows
    if (muted := evidence.of(follows.receiver, "muted")) is not None:
        known = _known_muted(subject, evidence, muted)
        return msgspec.structs.replace(
            follows, kind=known.kind, basis="known", muting=known.muting or follows.muting, source=known.source
        )
    if scene.gap is not None:
        return msgspec.structs.replace(
            follows,
            kind="unreachable",
            basis="unknown",
            at=scene.gap.since,
            until=scene.gap.until,
            reason=scene.gap.reason,
            connect=CONNECT_RECORDER,
        )
    return follows


def _of_route(
    subject: Subject, evidence: Evidence, on_route: RouteOutcome, *, receiver: Receiver, scene: Scene, now: datetime
) -> ReceiverOutcome:
    """What follows for one route to a receiver."""
    known_muting = None if on_route.due_at is None else _said_by(evidence, on_route.due_at, subject)
    muting = next((look.muting for look in on_route.looks if look.muting is not None), None)
    if on_route.sent_at is not None and (denied := evidence.muting_at(on_route.sent_at)) is not None:
        on_route, known_muting = msgspec.structs.replace(on_route, sent_at=None, end_sent_at=None), denied
    kind = _kind(subject, on_route, muting=known_muting.muting if known_muting else muting, receiver=receiver, now=now)
    basis: Basis = "known" if known_muting is not None and kind == known_muting.muting.kind else "follows"
    is_sent = kind == "notified"
    return ReceiverOutcome(
        receiver.name,
        scene.cluster,
        kind,
        basis,
        at=on_route.sent_at if is_sent else None,
        after=max(on_route.sent_at - subject.starts_at, timedelta()) if is_sent and on_route.sent_at else None,
        until=_until(on_route, kind, muting),
        due_at=on_route.due_at,
        end_at=on_route.end_sent_at if is_sent else None,
        ended_at=subject.ends_at,
        end_muting=on_route.end_look.muting if on_route.end_look and on_route.end_sent_at is None else None,
        sends_end=any(each.sends_resolved for each in receiver.integrations),
        route=on_route.route.key,
        group=on_route.group,
        group_wait=on_route.route.group_wait,
        integrations=list(dict.fromkeys(each.kind for each in receiver.integrations)),
        muting=_fuller(known_muting.muting, muting) if basis == "known" and known_muting else muting,
        looks=on_route.looks,
        counterfactuals=on_route.counterfactuals,
        is_assumed=scene.is_assumed,
        is_at_latest=on_route.is_at_latest,
        source="" if known_muting is None or basis != "known" else _who(known_muting),
        connect=CONNECT_RECORDER if is_sent and not evidence.is_recorded else "",
    )


def _fuller(said: Muting, muting: Muting | None) -> Muting:
    """What was said to mute it; where that is what follows, too, as it follows: with its rule and its times."""
    if muting is None or muting.kind != said.kind:
        return said
    names = {each.id for each in said.silences} | {each.fingerprint for each in said.inhibitors} | set(said.intervals)
    others = {each.id for each in muting.silences} | {each.fingerprint for each in muting.inhibitors}
    return said if names.isdisjoint(others | set(muting.intervals)) else muting


def _said_by(evidence: Evidence, due_at: datetime, subject: Subject) -> SaidMuting | None:
    """What an Alertmanager said to mute it when its group was due; a poll may have seen it a little later."""
    end = subject.ends_at or due_at
    return evidence.muting_at(due_at) or next(
        (each for each in evidence.mutings if due_at < each.at <= max(end, due_at) and each.lifted_at is None), None
    )


def _who(said: SaidMuting) -> str:
    name = said.instance or said.cluster
    return f"Alertmanager {name}" if name else "Alertmanager"


def _kind(
    subject: Subject, on_route: RouteOutcome, *, muting: Muting | None, receiver: Receiver, now: datetime
) -> OutcomeKind:
    if not receiver.integrations:
        return "no_integration"
    if on_route.repeat_at is not None:
        return "repeated"
    if on_route.sent_at is not None and on_route.sent_at <= now:
        return "notified"
    if on_route.cut_at is not None and on_route.cut_at <= now:
        return "cut_off"
    return _kind_of_unsent(subject, on_route, muting=muting, now=now)


def _kind_of_unsent(subject: Subject, on_route: RouteOutcome, *, muting: Muting | None, now: datetime) -> OutcomeKind:
    due_at = on_route.due_at
    if subject.ends_at is not None and (due_at is None or subject.ends_at <= due_at):
        return "resolved_early"
    return "waiting" if due_at is None or due_at > now or muting is None else muting.kind


def _until(on_route: RouteOutcome, kind: OutcomeKind, muting: Muting | None) -> datetime | None:
    match kind:
        case "waiting":
            return on_route.sent_at or on_route.due_at
        case "repeated":
            return on_route.sent_at or on_route.repeat_at
        case _:
            return None if muting is None else muting.until

"""Listings: the polls of an origin in the words of `domain.reconciling`: whose claims they are, and how far they go.

Labels and annotations of a poll may be as strange as those of any sender: an alert that can't be stored is refused,
with its reason. Pure. Must not ask an origin.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alert import Alert, Silence, Source, fingerprint, is_fingerprint
from alert_history.domain.claim import RESENDS_PROMISED, Word, claim_hash
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Sighting, content_hash
from alert_history.domain.poll import AlertmanagerPoll, PolledAlert, PolledRuleAlert, PrometheusPoll, may_correct
from alert_history.domain.reconciling import APART_US, Asked, Listed
from alert_history.domain.relabelling import sent_labels
from alert_history.domain.speaker import witness_id
from alert_history.domain.standing import Muted, Witnesses
from alert_history.ports import StoredConfiguration
from alert_history.sources.alert_rules import Fault, check_labels, clean, read_annotations
from alert_history.sources.annotation_limit import cut, is_over_limit

_UNKNOWN_URL = "it does not say its external URL, by which its alerts are known; set --web.external-url"
_NEVER_POSTED = "it has sent us nothing yet"

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Listing(msgspec.Struct, frozen=True):
    """What one origin lists, by fingerprint without a scope.

    `unknown` are alertnames of which the origin knows nothing now. `refused` are reasons why alerts can't be stored.
    `silences` and `configuration` are those of an Alertmanager.
    """

    asked: Asked
    listed: Mapping[str, Listed]
    unknown: frozenset[str] = frozenset()
    refused: Sequence[str] = ()
    silences: Sequence[Silence] = ()
    configuration: StoredConfiguration | None = None

    @property
    def hindrance(self) -> str | None:
        """Why the origin must only confirm; None where it may correct."""
        return self.asked.no_end or self.asked.no_opening


def api_sender(name: str) -> str:
    """The id under which what the API of an Alertmanager cluster lists is claimed."""
    return witness_id(f"api of {name}")


# --- Alertmanager -----------------------------------------------------------------------------------------------------


def alertmanager_listing(
    poll: AlertmanagerPoll, now: datetime, *, is_publishing: bool, apart_us: int = APART_US
) -> Listing:
    """The listing of a cluster that was polled.

    Of a pair of Prometheus, a cluster drops an alert with the resolve of the first until the second sends it again: an
    alert goes on while the cluster lacks it for less than `apart_us`.
    """
    reason = may_correct(poll, now)
    asked = Asked(
        source=f"alertmanager/{poll.name}",
        name=f"Alertmanager {poll.name}",
        kind="witness",
        sender=api_sender(poll.name),
        asked_us=to_us(poll.asked_at),
        began_us=to_us(poll.started_at),
        no_end=reason or _silent(poll.silent),
        no_opening=reason,
        is_publishing=is_publishing,
        apart_us=apart_us,
        is_alone=len(poll.answered) == 1 and not poll.silent and len(poll.cluster_peers) <= 1,
    )
    silences = {silence.id: silence for silence in poll.silences}
    listed: dict[str, Listed] = {}
    refused: list[str] = []
    for alert in poll.alerts:
        try:
            entry = _listed_by_alertmanager(alert, asked, silences)
            listed[entry.sighting.alert.fingerprint] = entry
        except Fault as fault:
            refused.append(str(fault))
    return Listing(asked, listed, refused=refused, silences=poll.silences, configuration=_configuration(poll))


def _configuration(poll: AlertmanagerPoll) -> StoredConfiguration | None:
    if poll.original is None:
        return None
    return StoredConfiguration(poll.name, poll.asked_at, poll.asked_at, poll.original, poll.facts)


def _silent(silent: Mapping[str, str]) -> str | None:
    return f"not all of its peers answer: {'; '.join(silent.values())}" if silent else None


def _listed_by_alertmanager(polled: PolledAlert, asked: Asked, silences: Mapping[str, Silence]) -> Listed:
    """Raises: Fault."""
    muted, details = _muting(polled, asked, silences)
    identity = polled.fingerprint if is_fingerprint(polled.fingerprint) else fingerprint(polled.labels)
    receiver = polled.receivers[0] if polled.receivers else ""
    sighting = _sighting(
        asked,
        identity,
        polled.labels,
        annotations=polled.annotations,
        starts_at=polled.starts_at,
        generator_url=polled.generator_url,
    )
    return Listed(asked, msgspec.structs.replace(sighting, receiver=receiver), muted, details)


def _muting(
    polled: PolledAlert, asked: Asked, silences: Mapping[str, Silence]
) -> tuple[Muted | None, Mapping[str, object]]:
    """What mutes an alert, with details: of several silences, those of the one that lasts longest."""
    instance = asked.name.removeprefix("Alertmanager ")
    if polled.silenced_by:
        known = [silences[name] for name in polled.silenced_by if name in silences]
        by = ", ".join(sorted(polled.silenced_by))
        if not known:
            return Muted("silenced", by), {"instance": instance, "silence_id": by}
        longest = max(known, key=lambda silence: silence.ends_at)
        return Muted("silenced", by, to_us(longest.ends_at)), {
            "instance": instance,
            "silence_id": longest.id,
            "created_by": longest.created_by,
            "comment": longest.comment,
            "ends_at": longest.ends_at.isoformat(),
        }
    if polled.inhibited_by:
        inhibitors = sorted(polled.inhibited_by)
        return Muted("inhibited", ", ".join(inhibitors)), {"instance": instance, "inhibited_by": inhibitors}
    if polled.muted_by:
        by = f"of the time interval {', '.join(sorted(polled.muted_by))}"
        return Muted("silenced", by), {"instance": instance, "silence_id": by}
    return None, {}


# --- Prometheus -------------------------------------------------------------------------------------------------------


def prometheus_listings(
    polls: Sequence[PrometheusPoll], now: datetime, *, silent: str | None, witnesses: Witnesses, is_publishing: bool
) -> list[Listing]:
    """The listings of the servers of one origin: servers with the same external URL share one.

    `silent` is why a server that may have the same external URL did not answer; None if all did.
    """
    together: dict[str, list[PrometheusPoll]] = {}
    for poll in polls:
        together.setdefault(poll.external_url or poll.server, []).append(poll)
    return [
        _replicas_listing(replicas, now, silent=silent, witnesses=witnesses, is_publishing=is_publishing)
        for replicas in together.values()
    ]


def _replicas_listing(
    polls: Sequence[PrometheusPoll], now: datetime, *, silent: str | None, witnesses: Witnesses, is_publishing: bool
) -> Listing:
    posters = witnesses.posters_of({url for poll in polls for url in (poll.external_url, poll.server) if url})
    reason = next((reason for poll in polls if (reason := may_correct(poll, now)) is not None), None)
    if reason is None and not posters:
        reason = _NEVER_POSTED if polls[0].external_url else _UNKNOWN_URL
    began = [at for poll in polls for at in (poll.started_at, poll.reloaded_at) if at is not None]
    servers = "" if len(polls) > 1 else f" at {polls[0].server}"
    asked = Asked(
        source=f"prometheus/{polls[0].name}",
        name=f"Prometheus {polls[0].name}{servers}",
        kind="first_hand",
        sender=posters[-1] if posters else "",
        asked_us=to_us(min(poll.asked_at for poll in polls)),
        senders=frozenset(posters),
        began_us=max(map(to_us, began), default=None),
        no_end=reason or silent,
        no_opening=reason,
        is_publishing=is_publishing,
        servers=len(polls),
    )
    listed: dict[str, Listed] = {}
    refused: list[str] = []
    for poll in polls:
        for alert in poll.alerts:
            try:
                entry = _listed_by_prometheus(alert, asked, poll) if alert.state == "firing" else None
            except Fault as fault:
                refused.append(str(fault))
            else:
                if entry is not None:
                    listed.setdefault(entry.sighting.alert.fingerprint, entry)
    return Listing(asked, listed, frozenset().union(*(poll.faulty_rules for poll in polls)), refused)


def _listed_by_prometheus(polled: PolledRuleAlert, asked: Asked, poll: PrometheusPoll) -> Listed | None:
    """None for an alert that Prometheus does not send. Raises: Fault."""
    labels: dict[str, str] | None = polled.labels
    if poll.external_labels is not None:
        labels = sent_labels(
            polled.labels, external_labels=poll.external_labels, relabel_configs=poll.alert_relabel_configs
        )
    if not labels:
        return None
    sighting = _sighting(
        asked,
        fingerprint(labels),
        labels,
        annotations=polled.annotations,
        starts_at=polled.fires_since or poll.asked_at,
        generator_url=f"{poll.external_url or poll.server}/graph",
    )
    promised = RESENDS_PROMISED * max(poll.resend_delay, poll.longest_interval)
    until_us = to_us(from_us(asked.asked_us) + promised)
    word = msgspec.structs.replace(sighting.word, until_us=until_us)
    return Listed(asked, msgspec.structs.replace(sighting, word=word))


# --- Both -------------------------------------------------------------------------------------------------------------


def _sighting(
    asked: Asked,
    identity: str,
    labels: dict[str, str],
    *,
    annotations: Mapping[str, str],
    starts_at: datetime,
    generator_url: str,
) -> Sighting:
    """The sighting of an alert as its origin lists it. Raises: Fault."""
    check_labels(labels)
    texts = read_annotations(dict(annotations))
    texts = cut(texts) if is_over_limit(texts) else texts
    content = _encode_sorted(texts)
    hashed = content_hash(content)
    start_us = to_us(starts_at)
    word = Word(asked.sender, asked.kind, is_firing=True, start_us=start_us, at_us=asked.asked_us, content=hashed)
    source: Source = "alertmanager" if asked.kind == "witness" else "prometheus"
    alert = Alert(identity, "firing", labels, texts, starts_at, generator_url=clean(generator_url))
    claim = claim_hash(word.sender, start_us)
    return Sighting(alert, hashed, content, source, "", "", from_us(asked.asked_us), word, claim)

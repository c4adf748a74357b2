"""What people did in a night: who took which alert, who noted what. No act changes an occurrence."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from alert_history.domain.acts import Act
from alert_history.domain.microseconds import to_us
from alert_history.domain.night import ActLine
from alert_history.domain.night_facts import NightFacts, NightOccurrence
from alert_history.domain.occurrence import occurrence_id

_MOST_NAMES = 3

Takers = dict[str, list[str]]
"""Who took each occurrence, by its id, the first to take it first."""


def takers_of(acts: Iterable[Act]) -> Takers:
    """Who acknowledged each occurrence; nobody, once an acknowledgement of it was taken back."""
    takers: Takers = defaultdict(list)
    for act in sorted(acts, key=lambda act: (act.at, act.id)):
        own = takers[_occurrence_of(act)]
        if act.kind == "unacknowledged":
            own.clear()
        elif act.kind == "acknowledged" and act.by not in own:
            own.append(act.by)
    return dict(takers)


def act_lines(facts: NightFacts) -> list[ActLine]:
    """A line for each act, the newest first."""
    acts = sorted(facts.acts, key=lambda act: (act.at, act.id), reverse=True)
    return [
        ActLine(
            at=act.at,
            kind=act.kind,
            by=act.by,
            source=act.source,
            text=act.text,
            alertname=act.alertname,
            severity=act.severity,
            namespace=act.namespace,
            occurrence_id=_occurrence_of(act),
        )
        for act in acts
    ]


def taken_by(occurrences: Sequence[NightOccurrence], facts: NightFacts) -> list[str]:
    """Who took one of some occurrences: a few names, each once."""
    names = (name for each in occurrences for name in facts.takers.get(each.episode.id, ()))
    return list(dict.fromkeys(names))[:_MOST_NAMES]


def _occurrence_of(act: Act) -> str:
    return occurrence_id(act.fingerprint, to_us(act.starts_at))

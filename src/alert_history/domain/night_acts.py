"""What people did in a night: who took which alert, who noted what. No act changes an occurrence."""

from collections.abc import Sequence

from alert_history.domain.night import ActLine
from alert_history.domain.night_facts import NightFacts, NightOccurrence

_MOST_NAMES = 3


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
            occurrence_id=act.occurrence_id,
        )
        for act in acts
    ]


def taken_by(occurrences: Sequence[NightOccurrence], facts: NightFacts) -> list[str]:
    """Who took one of some occurrences: a few names, each once."""
    names = (name for each in occurrences for name in facts.takers.get(each.episode.id, ()))
    return list(dict.fromkeys(names))[:_MOST_NAMES]

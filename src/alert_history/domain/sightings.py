"""The sightings of a batch, by label set: sorted, named as the history names them, and whether all say the same.

Must not decide what they change: that is the matter of `decision`.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

import msgspec

from alert_history.domain.occurrence import Sighting
from alert_history.domain.receipt import Receipt
from alert_history.domain.speaker import without_grafana


def by_fingerprint(receipts: Iterable[Receipt]) -> dict[str, list[Sighting]]:
    """The sightings of each label set in the order they came; sorted, so that two replicas lock alike."""
    groups: dict[str, list[Sighting]] = {}
    for receipt in receipts:
        for sighting in receipt.sightings:
            groups.setdefault(sighting.alert.fingerprint, []).append(sighting)
    return dict(sorted(groups.items()))


def from_grafana(groups: Mapping[str, Sequence[Sighting]], seen: Container[str]) -> dict[str, str]:
    """The alerts of a Grafana that were not seen lately, and under which fingerprint an older release kept each."""
    older = {f: without_grafana(f) for f, s in groups.items() if s[0].source == "grafana" and f not in seen}
    return {fingerprint: before for fingerprint, before in older.items() if before is not None}


def renamed(groups: Mapping[str, list[Sighting]], names: Mapping[str, str]) -> dict[str, list[Sighting]]:
    """The sightings, those of some label sets under another fingerprint, which goes on until it is over."""
    if not names:
        return dict(groups)
    moved: dict[str, list[Sighting]] = {}
    for fingerprint, sightings in groups.items():
        name = names.get(fingerprint, fingerprint)
        moved.setdefault(name, []).extend(sightings if name == fingerprint else map(_named(name), sightings))
    return dict(sorted(moved.items()))


def _named(fingerprint: str) -> Callable[[Sighting], Sighting]:
    def rename(sighting: Sighting) -> Sighting:
        alert = msgspec.structs.replace(sighting.alert, fingerprint=fingerprint)
        return msgspec.structs.replace(sighting, alert=alert)

    return rename


def is_same_word(sightings: Sequence[Sighting]) -> bool:
    """Whether all say the same, so that one statement can count them; of a first-hand sender only one may."""
    first = sightings[0]
    if len(sightings) == 1:
        return True
    return not (first.word.is_firing and first.word.kind == "first_hand") and all(
        sighting.claim == first.claim
        and sighting.content_hash == first.content_hash
        and sighting.alert.status == first.alert.status
        and sighting.word.is_to_publish == first.word.is_to_publish
        for sighting in sightings[1:]
    )

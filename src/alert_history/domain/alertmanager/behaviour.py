"""In what versions of Alertmanager differ where alerts are muted and notified. Source: its releases 0.25 to 0.34."""

import re

import msgspec

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_KEEPS_ONE_SOURCE = (0, 30)
_DROPS_EMPTY_GROUPS = (0, 32)
_KEEPS_ORDER_OF_SILENCES = (0, 33)


class Behaviour(msgspec.Struct, frozen=True):
    """What a version does; the defaults are those of the newest.

    `looks_at_one_source`: of the sources of an inhibit rule with the same `equal` labels it keeps the one that ends
    last, and looks at no other (0.30). `only_first_is_early`: an alert older than `group_wait` is told at once if it
    begins a group; before 0.30 also if it comes to a group that has not been told yet. `drops_empty_groups`: a group
    is gone with its last alert (0.32); before, it goes on ticking until the dispatcher tidies up, every 30 s.
    `sorts_silences`: the ids of silences are listed in their own order, later in that of the silences' making (0.33).
    """

    looks_at_one_source: bool = True
    only_first_is_early: bool = True
    drops_empty_groups: bool = True
    sorts_silences: bool = False


NEWEST = Behaviour()


def behaviour_of(version: str) -> Behaviour:
    """What that version does (`0.28.1`); what can't be read is taken for the newest."""
    match = _VERSION.match(version)
    if match is None:
        return NEWEST
    number = (int(match[1]), int(match[2]))
    return Behaviour(
        looks_at_one_source=number >= _KEEPS_ONE_SOURCE,
        only_first_is_early=number >= _KEEPS_ONE_SOURCE,
        drops_empty_groups=number >= _DROPS_EMPTY_GROUPS,
        sorts_silences=number < _KEEPS_ORDER_OF_SILENCES,
    )

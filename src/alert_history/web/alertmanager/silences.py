"""`GET /api/v2/silences` and `/api/v2/silence/{silenceID}`: the silences as they stood at a moment."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.query import Matcher
from alert_history.domain.silence_matching import State, state_of
from alert_history.engine.moment_state import MomentState
from alert_history.web.alertmanager.forms import GettableSilence, silence_form
from alert_history.web.alertmanager.parameters import read_matchers

_UUID = re.compile(r"[a-f0-9]{8}-?[a-f0-9]{4}-?[a-f0-9]{4}-?[a-f0-9]{4}-?[a-f0-9]{12}", re.IGNORECASE | re.ASCII)
_STATES: Sequence[State] = ("active", "pending", "expired")


class SilencesParameters(msgspec.Struct, frozen=True):
    """Which silences. A flag leaves out those in that state (0.34).

    `filter` is one matcher that the silence must have just so, and may be given more than once. `at` is a time, or how
    long ago: `-6h`.
    """

    active: bool = True
    pending: bool = True
    expired: bool = True
    filter: list[str] = []
    at: str = ""


class SilenceParameters(msgspec.Struct, frozen=True):
    """`at` is a time, or how long ago: `-6h`."""

    silence_id: str = msgspec.field(default="", name="silenceID")
    at: str = ""


def silences_answer(state: MomentState, asked: SilencesParameters) -> list[GettableSilence]:
    """Active ones first, what ends next; then pending ones, what begins next; then expired ones, what ended last."""
    matchers = read_matchers(asked.filter)
    wanted = {"active": asked.active, "pending": asked.pending, "expired": asked.expired}
    states = [(version.silence, state_of(version.silence, state.at)) for version in state.silences]
    chosen = [each for each in states if wanted[each[1]] and _has_all(each[0], matchers)]
    return [silence_form(*each) for each in sorted(chosen, key=lambda each: _order(*each))]


def silence_answer(silence: Silence, at: datetime) -> GettableSilence:
    """One silence as it stood."""
    return silence_form(silence, state_of(silence, at))


def _order(silence: Silence, state: State) -> tuple[int, float, str]:
    time = silence.starts_at if state == "pending" else silence.ends_at
    return _STATES.index(state), -time.timestamp() if state == "expired" else time.timestamp(), silence.id


def _has_all(silence: Silence, matchers: Collection[Matcher]) -> bool:
    """Whether one set of the silence has each of these very matchers."""
    wanted = {(matcher.name, matcher.op, matcher.value) for matcher in matchers}
    return any(
        wanted <= {(own.get("name"), own.get("op"), own.get("value")) for own in own_set}
        for own_set in silence.matchers
    )


def is_uuid(text: str) -> bool:
    """Whether Alertmanager takes it for the id of a silence."""
    return _UUID.fullmatch(text) is not None

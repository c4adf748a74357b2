"""What happens in one room is heard in the others: in order, whoever of them fails. Holds `engine.switchboard`."""

import inspect
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from structlog.testing import capture_logs

import alert_history
from alert_history.engine import switchboard
from alert_history.engine.switchboard import (
    Classified,
    Event,
    Listeners,
    ModeSwitched,
    ModeTakenUp,
    Switchboard,
    WordHeard,
    connect,
)

_EVENTS = get_args(Event)
_SOURCE = Path(alert_history.__file__).parent


class Recorded:
    """Stands for all rooms: what is asked of them is remembered by its dotted name."""

    def __init__(self, name: str = "", asked: list[str] | None = None) -> None:
        self.asked: list[str] = [] if asked is None else asked
        self._name = name

    def __getattr__(self, name: str) -> "Recorded":
        return Recorded(f"{self._name}.{name}".lstrip("."), self.asked)

    def __call__(self, *_: object) -> None:
        self.asked.append(self._name)


def connected(*, has_calls: bool = True) -> tuple[Switchboard, list[str]]:
    """A switchboard to which all rooms listen, and what they are asked to do."""
    rooms = Recorded()
    board = Switchboard()
    everyone = {name: getattr(rooms, name) for name in Listeners._fields}
    connect(board, Listeners(**everyone | ({} if has_calls else {"calls": None})))
    return board, rooms.asked


def test_listeners_hear_an_event_in_the_order_in_which_they_joined() -> None:
    board = Switchboard()
    heard: list[tuple[str, str]] = []
    board.join(ModeTakenUp, lambda event: heard.append(("first", event.mode)))
    board.join(ModeTakenUp, lambda event: heard.append(("second", event.mode)))
    board.say(ModeTakenUp("enriched"))
    assert heard == [("first", "enriched"), ("second", "enriched")]


def test_an_event_that_nobody_listens_to_is_no_error() -> None:
    Switchboard().say(Classified())


def test_a_listener_that_fails_is_logged_and_silences_neither_the_others_nor_the_speaker() -> None:
    def fail(_: WordHeard) -> None:
        raise RuntimeError("a fault of ours")

    board = Switchboard()
    heard: list[str] = []
    board.join(WordHeard, fail)
    board.join(WordHeard, lambda event: heard.append(event.word))
    with capture_logs() as logs:
        board.say(WordHeard("mode"))
    assert heard == ["mode"]
    assert [(log["event"], log["happening"], log["log_level"]) for log in logs] == [
        ("listener_failed", "WordHeard", "error")
    ]


def test_a_listener_of_another_event_does_not_pass_mypy() -> None:
    """Where mypy finds nothing here, it complains that there is nothing to ignore."""

    def listen(event: ModeSwitched) -> None:
        raise AssertionError(event)

    Switchboard().join(ModeTakenUp, listen)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", _EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_is_heard_by_someone(kind: type[Event]) -> None:
    board, _ = connected()
    assert board._listeners[kind]  # noqa: SLF001  # who listens is nobody else's business


@pytest.mark.parametrize("kind", _EVENTS, ids=lambda kind: kind.__name__)
def test_the_room_that_an_event_names_says_it(kind: type[Event]) -> None:
    speaker = inspect.getdoc(kind).split("`")[1]  # type: ignore[union-attr]  # each has one
    (module,) = [path for path in _SOURCE.rglob("*.py") if f"class {speaker}:" in path.read_text()]
    assert f".say({kind.__name__}(" in module.read_text()


def test_every_event_is_listed() -> None:
    structs = {kind for _, kind in inspect.getmembers(switchboard, inspect.isclass) if issubclass(kind, msgspec.Struct)}
    assert {kind for kind in structs if kind.__module__ == switchboard.__name__} == set(_EVENTS)


@pytest.mark.parametrize(
    "word, calls",
    [("mode", ["modes.look"]), ("classified", ["enrichment.look", "publisher.wake"]), ("a later release's", [])],
)
def test_a_word_is_heard_only_where_it_matters(word: str, calls: list[str]) -> None:
    board, asked = connected()
    board.say(WordHeard(word))
    assert asked == calls


def test_a_replica_that_has_classified_wakes_its_targets_and_calls_out() -> None:
    board, asked = connected()
    board.say(Classified())
    assert asked == ["publisher.wake", "calls.send"]


def test_where_replicas_can_not_call_out_nobody_is_asked_to() -> None:
    board, asked = connected(has_calls=False)
    board.say(Classified())
    board.say(ModeSwitched("transparent", "enriched"))
    assert asked == ["publisher.wake", "enrichment_metrics.switched"]

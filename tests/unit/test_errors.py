"""Errors: the drawing in `errors.py` shows all there are, and each is answered as the nearest kind above it."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import msgspec
import pytest

import alert_history
from alert_history import errors
from alert_history.cli import app as app_module
from alert_history.domain.query import parse_query
from alert_history.web.http.problem import kind_of, problem_of

LINE = re.compile(r"(?P<lead>[│├└─ ]*)(?P<name>\w+)(?: .*?(?P<status>\d{3})?)?")
ROOTS = {"AlertHistoryError", "Exception"}


def drawing() -> dict[str, tuple[str | None, str | None]]:
    """Name → the name above it, and its status."""
    drawn: dict[str, tuple[str | None, str | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = LINE.fullmatch(line)
        if match and (match["lead"] or match["name"] in ROOTS):
            depth = len(match["lead"]) // 4
            above[depth:] = [match["name"]]
            drawn[match["name"]] = (above[depth - 1] if depth else None, match["status"])
    return drawn


def own_errors() -> Iterator[type[Exception]]:
    """Every class of exceptions in our code."""
    for module in pkgutil.walk_packages(alert_history.__path__, "alert_history."):
        if ".migrations." in module.name or module.name.endswith("__main__"):
            continue  # scripts, which run when they are imported
        for kind in vars(import_module(module.name)).values():
            if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == module.name:
                yield kind


OURS = sorted(set(own_errors()), key=lambda kind: kind.__name__)
ON_PURPOSE = [kind for kind in OURS if issubclass(kind, errors.AlertHistoryError)]


def instance(kind: type[errors.AlertHistoryError]) -> errors.AlertHistoryError:
    return kind(["A=1 is wrong"]) if issubclass(kind, errors.ConfigurationError) else kind("the reason")


def test_the_drawing_shows_every_error_below_the_one_it_is() -> None:
    drawn = drawing()
    parents: dict[str, str | None] = {"Exception": None, "AlertHistoryError": None}
    for kind in OURS:
        if kind is not errors.AlertHistoryError:
            parents[kind.__name__] = next(each.__name__ for each in kind.__mro__[1:] if each.__name__ in drawn)
    assert {name: parent for name, (parent, _) in drawn.items()} == parents


@pytest.mark.parametrize("kind", ON_PURPOSE)
def test_the_drawing_shows_the_status_that_is_answered(kind: type[errors.AlertHistoryError]) -> None:
    assert drawing()[kind.__name__][1] == str(problem_of(instance(kind)).status)


@pytest.mark.parametrize("kind", ON_PURPOSE)
def test_a_new_subclass_is_answered_as_the_class_above_it(kind: type[errors.AlertHistoryError]) -> None:
    new = type("New", (kind,), {})
    known, answer = problem_of(instance(kind)), problem_of(instance(new))
    assert answer == known
    assert answer.status != 500


def test_a_new_kind_of_error_is_no_fault_of_ours_and_tells_callers_nothing() -> None:
    answer = problem_of(type("New", (errors.AlertHistoryError,), {})("the path /etc/secret"))
    assert (answer.status, answer.type) == (503, "urn:alert-history:problem:needs-operator")
    assert "secret" not in answer.detail


def test_an_error_that_nobody_foresaw_is_500_and_shows_nothing_of_itself() -> None:
    assert kind_of(KeyError).status == 500
    assert "s3cret" not in problem_of(KeyError("s3cret")).detail


@pytest.mark.parametrize(
    "kind, code", [(errors.ConfigurationError, 2), (errors.InvalidQuery, 2), (errors.Busy, 1), (errors.ArchiveFault, 1)]
)
def test_a_command_ends_for_a_new_subclass_as_for_the_class_above_it(
    kind: type[errors.AlertHistoryError], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(*_: object, **__: object) -> None:
        raise instance(type("New", (kind,), {}))

    monkeypatch.setattr(app_module, "app", command)
    assert app_module.run([]) == code


def test_a_query_that_can_not_be_read_is_answered_with_the_place_of_its_fault() -> None:
    with pytest.raises(errors.InvalidQuery) as raised:
        parse_query('{a="x",b=~"("}')
    assert problem_of(raised.value).character == 12
    assert b"character" not in msgspec.json.encode(problem_of(errors.InvalidQuery("since: it is no time")))

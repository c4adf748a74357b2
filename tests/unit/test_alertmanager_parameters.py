"""`web.alertmanager.parameters` and `web.alertmanager.paths`: how Alertmanager reads a request (0.25 and 0.34)."""

import pytest
from starlette.requests import Request

from alert_history.errors import InvalidQuery
from alert_history.web.alertmanager.alerts import AlertsParameters
from alert_history.web.alertmanager.parameters import read_alertmanager_parameters, read_matchers, receiver_filter
from alert_history.web.alertmanager.paths import Place, is_alertmanager_path, place_of, plain_path
from tests.held import NOW


def _request(query: str, **path: str) -> Request:
    scope = {"type": "http", "query_string": query.encode(), "path_params": path, "headers": []}
    return Request(scope)


def _read(query: str) -> AlertsParameters:
    return read_alertmanager_parameters(_request(query), AlertsParameters)


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "t", "1", "yes", "on", "ok", "y", "checked", "enabled"])
def test_flag_is_true_by_each_word_that_go_openapi_knows(word: str) -> None:
    assert _read(f"active={word}").active


@pytest.mark.parametrize("word", ["false", "foo", "0", "+", "no"])
def test_flag_is_false_by_any_other_word(word: str) -> None:
    assert not _read(f"active={word}").active


def test_last_of_several_flags_counts() -> None:
    assert not _read("active=true&active=false").active


def test_empty_flag_counts_as_not_given() -> None:
    assert _read("active=false&active=").active


def test_parameter_that_is_not_known_passes() -> None:
    assert _read("nosuch=1") == AlertsParameters()


def test_filters_are_kept_each_as_it_is() -> None:
    assert _read("filter=a%3Db%2Cc%3Dd&filter=").filter == ["a=b,c=d", ""]


@pytest.mark.parametrize("text", ["", "abc", "{a=b}", '{a="b"', '"A",b=c'])
def test_filter_that_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        read_matchers([text])


def test_filter_is_one_matcher_whatever_stands_in_its_value() -> None:
    (matcher,) = read_matchers(["a=b,c=d"])
    assert (matcher.name, matcher.value) == ("a", "b,c=d")


def test_receiver_must_match_as_a_whole() -> None:
    is_match = receiver_filter("db|page")
    assert is_match is not None
    assert [name for name in ("db", "page", "pager", "adb") if is_match(name)] == ["db", "page"]


def test_receiver_that_is_no_regex_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="failed to parse receiver param"):
        receiver_filter("(")


def test_no_receiver_is_all_receivers() -> None:
    assert receiver_filter("") is None


# --- where it asks ----------------------------------------------------------------------------------------------------


def test_request_without_a_place_asks_now_and_all() -> None:
    assert place_of(_request(""), clock=lambda: NOW) == Place(None, None)


@pytest.mark.parametrize("text", ["2026-11-26T21:00:00Z", "2026-11-26T23:00:00%2B02:00", "-6h", "1795726800"])
def test_moment_is_read_from_the_query(text: str) -> None:
    place = place_of(_request(f"at={text}"), clock=lambda: NOW)
    assert place.at is not None
    assert place.at.isoformat() == "2026-11-26T21:00:00+00:00"


def test_moment_and_name_are_read_from_the_path() -> None:
    place = place_of(_request("", moment="-6h", name="eu"), clock=lambda: NOW)
    assert place == place_of(_request("at=-6h", name="eu"), clock=lambda: NOW)
    assert place.cluster == "eu"


def test_two_moments_are_refused() -> None:
    with pytest.raises(InvalidQuery, match="at: it is given more than once"):
        place_of(_request("at=-1h", moment="-6h"), clock=lambda: NOW)


def test_moment_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="at: 'yesterday' is no time"):
        place_of(_request("at=yesterday"), clock=lambda: NOW)


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/api/v2/nosuch", "/am/x/api/v2/status", "/at/now/api/v2/alerts"])
def test_errors_are_texts_on_all_paths_of_alertmanagers_api(path: str) -> None:
    assert is_alertmanager_path(path)


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/", "/dashboard", "/amx", "/history"])
def test_other_paths_are_not_alertmanagers(path: str) -> None:
    assert not is_alertmanager_path(path)


def test_slashes_too_many_change_nothing_on_these_paths_alone() -> None:
    assert plain_path("//api/v2//alerts/") == "/api/v2/alerts"
    assert plain_path("/history/") == "/history/"

"""Forms are taken from our own pages alone."""

import pytest

from alert_history.web.http.origin import is_cross_site, is_same_origin


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"sec-fetch-site": "same-origin", "host": "a"}, True),
        ({"sec-fetch-site": "none", "host": "a"}, True),
        ({"sec-fetch-site": "same-site", "host": "a", "origin": "http://a"}, False),
        ({"sec-fetch-site": "cross-site", "host": "a", "origin": "http://a"}, False),
        ({"sec-fetch-site": "", "host": "a", "origin": "http://a"}, False),
        ({"origin": "http://alerts.example:8080", "host": "alerts.example:8080"}, True),
        ({"origin": "https://Alerts.example", "host": "alerts.example"}, True),
        ({"origin": "http://alerts.example:8081", "host": "alerts.example:8080"}, False),
        ({"origin": "http://evil.example", "host": "alerts.example"}, False),
        ({"origin": "http://alerts.example.evil.example", "host": "alerts.example"}, False),
        ({"origin": "http://alerts.example@evil.example", "host": "alerts.example"}, False),
        ({"origin": "null", "host": "alerts.example"}, False),
        ({"origin": "http://[", "host": "alerts.example"}, False),
        ({"origin": "", "host": ""}, False),
        ({"host": "alerts.example"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_form_is_ours_or_not(headers: dict[str, str], *, expected: bool) -> None:
    assert is_same_origin(headers) is expected


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"host": "a"}, False),
        ({"host": "a", "origin": "http://a"}, False),
        ({"host": "a", "sec-fetch-site": "same-origin"}, False),
        ({"host": "a", "sec-fetch-site": "cross-site"}, True),
        ({"host": "a", "origin": "http://evil.example"}, True),
        ({"host": "a", "origin": "null"}, True),
    ],
    ids=str,
)
def test_only_a_browser_on_another_page_is_cross_site(headers: dict[str, str], *, expected: bool) -> None:
    assert is_cross_site(headers) is expected

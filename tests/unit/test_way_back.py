"""Where a form leads back to: to a page of ours, whatever it names.

Holds: `web.pages.way_back`.
"""

import pytest

from alert_history.web.pages.way_back import page_of


@pytest.mark.parametrize("back", ["dashboard/rules", "/dashboard/history?query=..%2F..&x=https://a/../b", "?since=-1d"])
def test_a_page_of_ours_stays_as_it_is(back: str) -> None:
    assert page_of(back) == back.lstrip("/")


@pytest.mark.parametrize("back", ["../other", "a/../../other?x", "%2e%2E/other", "x/.%2e/..", "..#/x", "..", "", "/"])
def test_no_page_stands_beside_us_on_the_same_host_or_has_no_name(back: str) -> None:
    """A proxy may serve us below a path of its own, and another service below the next."""
    assert page_of(back) == "dashboard"

"""Where a long name may be broken, and that a name stays text.

Holds: `web.pages.markup`.
"""

import pytest

from alert_history.web.pages.markup import breakable


@pytest.mark.parametrize(
    "name, marked",
    [
        ("PaymentAuthorizationFailing", "Payment|Authorization|Failing"),
        ("CPUThrottlingHigh", "CPU|Throttling|High"),
        ("kube_pod.not-ready", "kube|_pod|.not|-ready"),
        ("/api/v1/alerts", "/api|/v1|/alerts"),
        ("LatencyP99High", "Latency|P99|High"),
        ("watchdog", "watchdog"),
        ("", ""),
    ],
)
def test_a_name_may_be_broken_where_a_word_of_it_begins(name: str, marked: str) -> None:
    assert breakable(name) == marked.replace("|", "<wbr>")


def test_a_hostile_name_stays_text() -> None:
    assert breakable("<img src=x onerror=aB>&Lt;") == "&lt;img src=x onerror=a<wbr>B&gt;&amp;Lt;"

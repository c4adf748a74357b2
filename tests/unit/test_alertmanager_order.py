"""`domain.alertmanager.alert_order`: groups and their alerts stand as Alertmanager lists them."""

from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alertmanager.alert_order import alert_order, label_order

_SETS = st.dictionaries(st.sampled_from(["a", "ab", "b", "c"]), st.sampled_from(["", "x", "y"]), max_size=3)


def _comes_before(one: dict[str, str], other: dict[str, str]) -> bool:
    """As prometheus/common compares label sets, pair by pair."""
    if len(one) != len(other):
        return len(one) < len(other)
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            return name not in one
        if one[name] != other[name]:
            return one[name] < other[name]
    return False


@given(_SETS, _SETS)
def test_label_sets_stand_as_prometheus_compares_them(one: dict[str, str], other: dict[str, str]) -> None:
    assert (label_order(one) < label_order(other)) == _comes_before(one, other)


def test_alerts_of_a_group_stand_by_job_then_instance_those_without_last() -> None:
    alerts = [{"a": "1"}, {"instance": "i2", "a": "2"}, {"job": "j", "a": "3"}, {"instance": "i1", "a": "4"}]
    assert [alert["a"] for alert in sorted(alerts, key=alert_order)] == ["3", "4", "2", "1"]

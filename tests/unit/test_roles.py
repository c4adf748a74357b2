"""Groups become roles; of several roles nobody gets more than one of them allows."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.permission import Permission
from alert_history.domain.roles import Role, RoleMap, read_role_map
from alert_history.errors import InvalidQuery

TEXT = 'sre=admin; payments=operate {team="payments"}; search=operate {team="search"}; *=read'


def test_a_map_is_read_with_quoted_groups_lines_and_queries_that_hold_separators() -> None:
    text = '"cn=sre,ou=groups"=admin\nteam a = operate {alertname="a;b"} "x;y";\n\n "q\\"x" = read;'
    assert read_role_map(text).roles == (
        Role("cn=sre,ou=groups", "admin"),
        Role("team a", "operate", '{alertname="a;b"} "x;y"'),
        Role('q"x', "read"),
    )


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidQuery) as told:
        read_role_map('a=root; b; c=admin {team="x"}; d=read {team=; e=read; e=operate; f=ingest')
    for fault in (
        "'root' is no scope",
        "'b': a role is GROUP=SCOPE",
        "'c=admin",
        "'d=read",
        "'e' stands there twice",
        "'ingest' is",
    ):
        assert fault in str(told.value)
    with pytest.raises(InvalidQuery, match="gives no role"):
        read_role_map(" ; ")


@pytest.mark.parametrize(
    "groups, scope, match",
    [
        (["sre"], "admin", ""),
        (["sre", "payments"], "admin", ""),
        ([], "read", ""),
        (["other"], "read", ""),
        (["payments"], "operate", '{team="payments"}'),
        (["payments", "search"], "operate", '{team=~"payments|search"}'),
    ],
)
def test_the_strongest_role_counts_with_its_own_query(groups: list[str], scope: str, match: str) -> None:
    role = read_role_map(TEXT).role_of(groups)
    assert role is not None
    assert (role.scope, role.match) == (scope, match)


def test_who_is_in_no_group_of_the_map_may_see_nothing() -> None:
    grant = read_role_map("sre=admin").grant("eve", ["guests", "*"], key="e")
    assert grant.permissions == {Permission.PUBLIC}
    assert grant.actor == "eve"


def test_a_role_without_a_query_counts_before_an_equally_strong_one_with_one() -> None:
    roles = read_role_map('a=read {team="a"}; b=read')
    assert roles.grant("x", ["a", "b"], key="").reach is None


def test_queries_that_can_not_be_joined_exactly_are_not_widened() -> None:
    roles = read_role_map('a=read {team="a",env="prod"}; b=read {team="b"}; c=read {team!="x"}; d=read "word"')
    for groups in (["a", "b"], ["b", "c"], ["c", "d"]):
        role = roles.role_of(groups)
        assert role is not None
        assert role.match == next(each.match for each in roles.roles if each.group in groups)


def test_values_are_joined_as_what_they_say_not_as_patterns() -> None:
    reach = (
        read_role_map('a=read {env="p",host="a.b"}; b=read {env="p",host=~"c|d"}').grant("x", ["a", "b"], key="").reach
    )
    assert reach is not None
    for host, is_seen in (("a.b", True), ("axb", False), ("c", True), ("d", True), ("cd", False)):
        assert reach.matches({"env": "p", "host": host}, {}) is is_seen
    assert not reach.matches({"env": "q", "host": "c"}, {})


_VALUES = st.sampled_from(["a", "b", "a.b", "a|b", "(", "\\", "^$"])
_QUERIES = st.builds(
    lambda pairs: "{" + ",".join(f"{name}{op}`{value}`" for name, op, value in pairs) + "}" if pairs else "",
    st.lists(st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(["=", "!="]), _VALUES), max_size=2),
)
_ROLES = st.lists(st.tuples(st.sampled_from(["read", "operate"]), _QUERIES), min_size=1, max_size=4)


@given(_ROLES, _VALUES, _VALUES)
def test_nobody_may_do_to_an_alert_what_none_of_their_roles_allows(
    given_roles: list[tuple[str, str]], x: str, y: str
) -> None:
    roles = read_role_map(";".join(f"g{number}={scope} {query}" for number, (scope, query) in enumerate(given_roles)))
    labels = {"x": x, "y": y}
    for size in range(1, len(roles.roles) + 1):
        for some in combinations(roles.roles, size):
            groups = [role.group for role in some]
            whole = roles.grant("x", groups, key="")
            for permission in whole.permissions - {Permission.PUBLIC}:
                if whole.reach is not None and not whole.reach.matches(labels, {}):
                    continue
                singles = [RoleMap((role,)).grant("x", groups, key="") for role in some]
                assert any(
                    permission in single.permissions and (single.reach is None or single.reach.matches(labels, {}))
                    for single in singles
                )

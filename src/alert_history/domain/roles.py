"""Roles of people: which group of the company may do what here, as `OIDC_ROLE_MAP` says. Pure.

`sre=admin; payments=operate {team="payments"}; *=read`: entries with `;` or a new line between, each a group, `=`, a
scope, and a query where the role sees only what matches. `*` is everybody who signed in. A group with `=`, `;`, quotes
or spaces at its ends stands in double quotes.

Nobody gets more than one of their roles allows. The scopes stand in one order, so of several roles the strongest
counts, with its own query: a weaker role that sees more does not widen it. Of several that are equally strong, one
without a query counts before one with a query. Several queries are joined where that is exact, which is where they
differ in the values of one label alone; else the first of the map counts.
"""

import re
from collections.abc import Collection, Sequence

import msgspec

from alert_history.domain.grant import SCOPES, Grant, Scope, check_reach, permissions_of, reach_of
from alert_history.domain.narrowing import text_of
from alert_history.domain.query import Matcher, Query, parse_query
from alert_history.errors import InvalidBody, InvalidQuery

EVERYONE = "*"

_ORDER = tuple(scope for scope in SCOPES if scope != "ingest")
_PARTS = re.compile(r"""[;\n]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`""", re.DOTALL)
_ENTRY = re.compile(
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^="]+?))\s*=\s*(?P<scope>\w+)(?P<match>\s.*)?""", re.DOTALL
)
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_EXAMPLE = 'sre=admin; payments=operate {team="payments"}; *=read'


class Role(msgspec.Struct, frozen=True):
    """What the members of a group may do; `match` is the text of their reach, empty for all alerts."""

    group: str
    scope: Scope
    match: str = ""


class RoleMap(msgspec.Struct, frozen=True):
    """All roles, in the order in which they were given."""

    roles: tuple[Role, ...]

    def role_of(self, groups: Collection[str]) -> Role | None:
        """The role of somebody in these groups; None where they have none."""
        theirs = [role for role in self.roles if role.group == EVERYONE or role.group in groups]
        if not theirs:
            return None
        strongest = max((role.scope for role in theirs), key=_ORDER.index)
        matches = [role.match for role in theirs if role.scope == strongest]
        return Role(", ".join(groups), strongest, "" if "" in matches else _joined(matches))

    def grant(self, actor: str, groups: Collection[str], *, key: str) -> Grant:
        """What somebody in these groups may do; nothing but what is public, where they have no role."""
        role = self.role_of(groups)
        if role is None:
            return Grant(actor=actor, key=key)
        permissions = permissions_of([role.scope])
        return Grant(actor=actor, permissions=permissions, reach=reach_of(role.match), key=key)


def read_role_map(text: str) -> RoleMap:
    """The roles that a text gives. Raises InvalidQuery with all that is wrong with it."""
    roles: list[Role] = []
    faults: list[str] = []
    for entry in _entries(text):
        try:
            roles.append(_role(entry))
        except InvalidBody as error:
            faults.append(f"{entry!r}: {error}")
    faults += [f"{group!r} stands there twice" for group in sorted(_repeated([role.group for role in roles]))]
    if not roles and not faults:
        faults.append(f"it gives no role; write it as in {_EXAMPLE}")
    if faults:
        raise InvalidQuery("; ".join(faults))
    return RoleMap(tuple(roles))


def _entries(text: str) -> list[str]:
    """The parts between separators that stand in no quotes."""
    entries, begin = [], 0
    for part in _PARTS.finditer(text):
        if part[0] in {";", "\n"}:
            entries.append(text[begin : part.start()])
            begin = part.end()
    return [entry.strip() for entry in (*entries, text[begin:]) if entry.strip()]


def _role(entry: str) -> Role:
    parts = _ENTRY.fullmatch(entry)
    if parts is None:
        raise InvalidBody(f"a role is GROUP=SCOPE, and a query where it is narrowed, as in {_EXAMPLE}")
    scope = parts["scope"]
    if scope not in _ORDER:
        raise InvalidBody(f"{scope!r} is no scope of people; there are {', '.join(_ORDER)}")
    quoted = parts["quoted"]
    group = parts["bare"].strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
    return Role(group, scope, check_reach(parts["match"] or "", [scope]))


def _repeated(groups: Sequence[str]) -> set[str]:
    return {group for group in groups if groups.count(group) > 1}


def _joined(matches: Sequence[str]) -> str:
    """A text that means what any of these mean, where one says exactly that; else the first of them."""
    queries = [parse_query(match) for match in dict.fromkeys(matches)]
    if len(queries) == 1:
        return matches[0]
    same = [each for each in queries[0].matchers if all(each in query.matchers for query in queries)]
    differing = [[each for each in query.matchers if each not in same] for query in queries]
    names = {matcher.name for matchers in differing for matcher in matchers}
    are_single = all(len(matchers) == 1 and matchers[0].op in {"=", "=~"} for matchers in differing)
    if not are_single or len(names) != 1 or any(query.words != queries[0].words for query in queries):
        return matches[0]
    pattern = "|".join(_pattern(matchers[0]) for matchers in differing)
    return _checked(Query((*same, Matcher(names.pop(), "=~", pattern)), queries[0].words), first=matches[0])


def _pattern(matcher: Matcher) -> str:
    """A regex that matches whole values as the matcher does."""
    return _SPECIAL.sub(r"\\\g<0>", matcher.value) if matcher.op == "=" else f"(?:{matcher.value})"


def _checked(query: Query, *, first: str) -> str:
    text = text_of(query)
    try:
        return text if parse_query(text) == query else first
    except InvalidQuery:
        return first

"""How pytest-xdist deals tests to its workers: what shares an expensive fixture goes to one of them.

Must not know what any test checks.
"""

from xdist.scheduler import LoadScopeScheduling

# Their tests look at one performance, which is made once.
_ONE_STAGE = frozenset(
    f"tests/e2e/{name}.py"
    for name in (
        "test_real_alertmanager_groups",
        "test_real_alertmanager_starts",
        "test_real_prometheus",
        "test_real_senders",
    )
)


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Deals whole modules, the slow folders first."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", 1)[0]
        return "tests/e2e" if module in _ONE_STAGE else module

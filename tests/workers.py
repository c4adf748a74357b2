"""How pytest-xdist deals tests to its workers: what shares an expensive fixture goes to one of them.

Must not know what any test checks.
"""

from xdist.scheduler import LoadScopeScheduling

_TOGETHER = {
    # They look at one performance, which is made once.
    "tests/e2e/test_real_alertmanager_groups.py": "performance",
    "tests/e2e/test_real_alertmanager_starts.py": "performance",
    "tests/e2e/test_real_prometheus.py": "performance",
    "tests/e2e/test_real_senders.py": "performance",
    # They run one image, which is built once.
    "tests/chart/test_running.py": "image",
    "tests/e2e/test_image.py": "image",
}


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Deals whole modules, or what belongs together more than that, in the order of their names."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", 1)[0]
        return _TOGETHER.get(module, module)

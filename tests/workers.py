"""How pytest-xdist deals tests to its workers: what shares an expensive fixture goes to one of them.

Must not know what any test checks.
"""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_TOGETHER = {
    # They look at one demo: 90 days of alerts, which are made once.
    "tests/browser/test_history.py": "demo",
    "tests/browser/test_inventory_pages.py": "demo",
    "tests/browser/test_now.py": "demo",
    "tests/browser/test_pages.py": "demo",
    "tests/browser/test_rules_and_night.py": "demo",
    "tests/browser/test_story.py": "demo",
    "tests/browser/test_three_in_the_morning.py": "demo",
    # They look at one performance, which is made once.
    "tests/e2e/test_real_alertmanager_groups.py": "performance",
    "tests/e2e/test_real_alertmanager_starts.py": "performance",
    "tests/e2e/test_real_prometheus.py": "performance",
    "tests/e2e/test_real_senders.py": "performance",
    # They run one image, which is built once.
    "tests/chart/test_running.py": "image",
    "tests/e2e/test_image.py": "image",
}


# They take longest, so they begin first: else one worker would still be at it when the others are done.
_FIRST = (
    "image",
    "performance",
    "tests/conformance/test_archive.py",
    "tests/integration/test_cli_archive.py",
    "demo",  # not beside the performance, which real senders give in real time
    "tests/integration/test_reconcile.py",
    "tests/integration/test_openapi_fuzz.py",
    "tests/unit/test_firing_trials.py",
    "tests/integration/test_reconcile_background.py",
    "tests/conformance/test_crashes.py",
    "tests/unit/test_source_fuzz.py",
)


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Deals whole modules, or what belongs together more than that: the longest first, then by their names."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", 1)[0]
        return _TOGETHER.get(module, module)

    def _assign_work_unit(self, node: WorkerController) -> None:
        for scope in _FIRST:
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
                break
        super()._assign_work_unit(node)

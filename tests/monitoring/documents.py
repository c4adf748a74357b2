"""What the monitoring tests read: YAML blocks of pages, and checks by Prometheus' and Alertmanager's own tools."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.processes import find_program

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def yaml_blocks(page: str) -> list[str]:
    """The YAML blocks of a page."""
    return _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def promtool(*words: str | Path) -> str:
    """What promtool says. Raises: AssertionError with it unless all is well."""
    return _said(find_program("promtool", package="prometheus"), *words)


def amtool(*words: str | Path) -> str:
    """What amtool says. Raises: AssertionError with it unless all is well."""
    return _said(find_program("amtool", package="prometheus-alertmanager"), *words)


def _said(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""The README's first alert: its commands, run as they stand, do what it says."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import StartService
from tests.processes import find_program

README = Path(__file__).parents[2] / "README.md"
TIMEOUT_SECONDS = 30


def answer(command: str) -> dict[str, Any]:
    done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_alert_that_the_readme_sends_is_found_as_it_says(service: StartService) -> None:
    find_program("curl", package="curl")
    server = service({})
    blocks = re.findall(r"^```bash\n(curl .*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    send, find = (block.replace("http://localhost:8080", server.url) for block in blocks)
    assert answer(send)["stored"] == 1
    assert [alert["alertname"] for alert in answer(find)["alerts"]] == ["DiskWillFill"]

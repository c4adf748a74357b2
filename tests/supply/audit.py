"""`make audit`: whether a vulnerability is known in what the lock files hold. `python -m tests.supply.audit`.

`pip-audit` asks OSV, or what `AUDIT_URL` names instead. Where no such service can be reached nothing is audited: the
command says so and ends with 0, because a build without a network is no worse than the day before. All else that goes
wrong is a failure.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.supply.locked import ROOT

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-node.lock", "requirements-dev.lock")
"""Not that of the peer in a benchmark, bench/alerta.lock: it is compared with, and never runs beside our data."""

ACCEPTED: dict[str, str] = {}
"""Vulnerabilities by their id → why they don't concern us."""

_OSV = "https://api.osv.dev/v1/query"
_TIMEOUT_SECONDS = 15
_QUESTION = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "26.3"}


def main(locks: Sequence[Path], *, service: str) -> int:
    """Audit these lock files, print what there is to know, and return the exit code."""
    done = subprocess.run(_command(locks, service), capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return _without_report(done.stderr, service)
    faults = list(faults_of(report))
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(report['dependencies'])} packages audited, {len(faults)} faults.")
    return 1 if faults or done.returncode else 0


def faults_of(report: Any) -> Iterator[str]:
    """What a report of pip-audit says against a package, a line each: what was not audited is a fault, too."""
    for package in report["dependencies"]:
        if "skip_reason" in package:
            yield f"{package['name']} was not audited: {package['skip_reason']}"
            continue
        for vulnerability in package["vulns"]:
            mended = ", ".join(vulnerability["fix_versions"]) or "no release"
            names = ", ".join([vulnerability["id"], *vulnerability.get("aliases", [])])
            yield f"{package['name']} {package['version']}: {names}; mended in {mended}"


def _command(locks: Sequence[Path], service: str) -> list[str]:
    options = ["--disable-pip", "--require-hashes", "--format=json", "--desc=off", "--progress-spinner=off"]
    asked = ["--vulnerability-service=osv", f"--osv-url={service}", f"--timeout={_TIMEOUT_SECONDS}"]
    ignored = [f"--ignore-vuln={name}" for name in ACCEPTED]
    files = [f"--requirement={lock}" for lock in locks]
    return [sys.executable, "-m", "pip_audit", *options, *asked, *ignored, *files]


def _without_report(complaint: str, service: str) -> int:
    """pip-audit came to no end: for want of a service, or for a fault that is ours to mend."""
    if _answers(service):
        print(complaint, file=sys.stderr)
        return 1
    print("NOT AUDITED: no service that knows vulnerabilities can be reached. Run `make audit` where there is one.")
    return 0


def _answers(service: str) -> bool:
    try:
        answer = httpx.post(service, json=_QUESTION, timeout=_TIMEOUT_SECONDS)
        return answer.status_code == httpx.codes.OK and isinstance(answer.json(), dict)
    except (httpx.HTTPError, ValueError):
        return False


if __name__ == "__main__":
    raise SystemExit(main([ROOT / name for name in LOCKS], service=os.environ.get("AUDIT_URL", _OSV)))

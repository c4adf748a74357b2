"""`make licences`: whether all that comes with us may. `python -m tests.supply.licences`.

`pip-licenses` reads what each package says of itself, `package-lock.json` what those of npm say. Tools of development
are not asked: nobody gets them from us.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping

from tests.supply.locked import development_lock, locked_scripts, shipped

ALLOWED = (
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
)
"""What binds nobody who uses us, as SPDX has it. MPL-2.0 asks for the source of its own files alone, which PyPI has."""

OTHER_NAMES = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD-0-Clause": "0BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""How older packages name them. Their BSD License is one of two clauses or of three."""

READ_BY_US = {"promql-parser": "MIT"}
"""Packages that name none in their metadata: as it stands in the file LICENSE of their sources."""


def main() -> int:
    """Check all that comes with us, print what may not, and return the exit code."""
    licences = {**_python_licences(), **{each.name: each.license for each in locked_scripts()}}
    faults = faults_of(licences)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(licences)} licences read, {len(faults)} faults.")
    return 1 if faults else 0


def faults_of(licences: Mapping[str, str]) -> list[str]:
    """A line for each package whose licence is none of `ALLOWED`."""
    return [
        f"{name}: {licence} is none of tests/supply/licences.py"
        for name, licence in sorted(licences.items())
        if not is_allowed(READ_BY_US.get(name, licence))
    ]


def is_allowed(licence: str) -> bool:
    """Whether an expression of SPDX, or what older packages say, asks for nothing but what is allowed.

    Of `A OR B` one is enough, of `A AND B` both are needed. Older packages put `;` between licences, and do not say
    which of the two they mean: all must be allowed.
    """
    parts = re.split(r"\s+AND\s+|;\s*", licence.replace("(", " ").replace(")", " ") if " OR " in licence else licence)
    return all(any(_is_known(each) for each in re.split(r"\s+OR\s+", part)) for part in parts)


def _is_known(licence: str) -> bool:
    name = licence.strip()
    return OTHER_NAMES.get(name, name) in ALLOWED


def _python_licences() -> dict[str, str]:
    """Of what comes with us and is installed here: a package for another system is none of this one's."""
    wanted: Iterable[str] = shipped(development_lock())
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json", "--packages", *wanted]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {re.sub(r"[-_.]+", "-", each["Name"]).lower(): each["License"] for each in json.loads(listed)}


if __name__ == "__main__":
    raise SystemExit(main())

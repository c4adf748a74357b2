"""`make secrets`: whether a secret stands in a file of the repository. `python -m tests.supply.secret_scan [--accept]`.

`detect-secrets` looks; what it finds and somebody looked at is in `.secrets.baseline`, by its hash. Nothing that it
finds is sent anywhere. Tests, docs and the like are full of passwords that are made up: there only what has the form of
a real key is looked for, everywhere else also what is called a password, and what is too random to be a word.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from detect_secrets.core import baseline
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.settings import transient_settings

from tests.supply.locked import ROOT
from tests.supply.own_token import OwnTokenDetector

Pattern = re.Pattern[str]

BASELINE = ".secrets.baseline"
MADE_UP = ("bench/", "docs/", "examples/", "findings/", "tests/")
"""Folders whose passwords are made up."""

_SKIPPED = (".lock", BASELINE, "package-lock.json", "tests/INDEX.md", "_dashboard_v3_enrichment.json")
"""Hashes, and what a program of ours writes."""

_VAGUE = {"BasicAuthDetector", "IPPublicDetector"}
"""These go by the shape of a URL or an address."""

_WORDS = ("Base64HighEntropyString", "BasicAuthDetector", "HexHighEntropyString", "KeywordDetector")
_FILTERS = (
    "allowlist.is_line_allowlisted",
    "heuristic.is_indirect_reference",
    "heuristic.is_likely_id_string",
    "heuristic.is_not_alphanumeric_string",
    "heuristic.is_potential_uuid",
    "heuristic.is_prefixed_with_dollar_sign",
    "heuristic.is_sequential_string",
    "heuristic.is_templated_secret",
)
"""Those that detect-secrets uses by itself, without the one that asks a vendor whether a key is good."""


def main(root: Path, *, accepts: bool = False) -> int:
    """Scan the files of that checkout, print what is new, and return the exit code. `accepts`: it is known from now."""
    names = files_of(root)
    found = scan(root, names)
    if accepts:
        (root / BASELINE).write_text(written(found))
    new = unknown(root, found)
    for secret in new:
        print(f"{secret.filename}:{secret.line_number}: {secret.type}")
    print(f"{len(names)} files scanned, {len(new)} secrets that nobody accepted.")
    if new:
        print("Take them out, or, if they are made up: make secrets ACCEPT=1")
    return 1 if new else 0


def files_of(root: Path) -> list[str]:
    """The files that git keeps, or would keep."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return sorted({name for name in listed.split("\0") if name and not name.endswith(_SKIPPED)})


def scan(root: Path, names: Iterable[str]) -> SecretsCollection:
    """All that looks like a secret in these files, known or not."""
    formats = _formats()
    patterns = list(chain.from_iterable(formats.values()))
    kept = [name for name in names if (root / name).is_file()]
    keys = _scanned(root, [name for name in kept if _has_any(root / name, patterns)], plugins=formats)
    words = _scanned(root, [name for name in kept if not name.startswith(MADE_UP)], plugins=_WORDS)
    found = SecretsCollection()
    for name, secret in (*keys, *words):
        secret.filename = name  # it had the whole path, which is another one on another machine
        found[name].add(secret)
    return found


def unknown(root: Path, found: SecretsCollection) -> list[PotentialSecret]:
    """What is not in the baseline, by file and line."""
    known = SecretsCollection.load_from_baseline(json.loads((root / BASELINE).read_text()))
    return sorted((secret for _, secret in found - known), key=lambda each: (each.filename, each.line_number))


def written(found: SecretsCollection) -> str:
    """A baseline of this: hashes, without line numbers, so that it changes only when a secret does."""
    results = baseline.format_for_output(found, is_slim_mode=True)["results"]
    return json.dumps({"results": results}, indent=1) + "\n"


def _formats() -> dict[str, list[Pattern]]:
    """The detectors that know a key by its form, and the patterns of each."""
    plugins: Iterable[Any] = [*get_mapping_from_secret_type_to_class().values(), OwnTokenDetector]
    get_mapping_from_secret_type_to_class.cache_clear()  # it is asked again when our own is among the settings
    known = [each for each in plugins if issubclass(each, RegexBasedDetector) and each.__name__ not in _VAGUE]
    return {each.__name__: list(each.denylist) for each in known}


def _has_any(path: Path, patterns: Iterable[Pattern]) -> bool:
    """Whether it is worth to scan it line by line, which takes a hundred times as long."""
    text = path.read_text(errors="replace")
    return any(pattern.search(text) for pattern in patterns)


def _named(plugin: str) -> dict[str, str]:
    path = {"path": f"file://{Path(__file__).with_name('own_token.py')}"} if plugin == OwnTokenDetector.__name__ else {}
    return {"name": plugin, **path}


def _scanned(root: Path, names: Iterable[str], *, plugins: Iterable[str]) -> SecretsCollection:
    filters = [{"path": f"detect_secrets.filters.{name}"} for name in _FILTERS]
    config: dict[str, Any] = {"plugins_used": [_named(each) for each in plugins], "filters_used": filters}
    found = SecretsCollection(root=str(root))
    with transient_settings(config):
        for name in names:
            found.scan_file(name)
    return found


if __name__ == "__main__":
    raise SystemExit(main(ROOT, accepts="--accept" in sys.argv[1:]))

"""SECURITY.md says what the service does: which paths are open, which headers are sent."""

import re

from alert_history.config import variables
from alert_history.web.http.security_headers import SECURITY_HEADERS
from tests.unit.test_docs import ROOT, text
from tests.unit.test_permissions import NEEDS

_WORDS = text(ROOT / "SECURITY.md")


def test_it_names_every_path_that_answers_everybody() -> None:
    paths = {name.split()[1] for name in NEEDS["public"] if name.startswith("GET ")}
    paths = {path for path in paths if not path.startswith("/assets/")}  # "the files that pages load"
    assert {path for path in paths if f"`{path}`" not in _WORDS} == set()


def test_it_names_no_setting_that_is_not_there() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)\b", _WORDS))
    assert named
    assert named <= {variable.name for variable in variables()}


def test_it_names_every_header() -> None:
    words = _WORDS.lower()
    assert {name for name, _ in SECURITY_HEADERS if name.decode() not in words} == set()

"""`make licences`: which licences may come with us."""

import pytest

from tests.supply.licences import OTHER_NAMES, READ_BY_US, faults_of, is_allowed
from tests.supply.locked import development_lock, locked_scripts, shipped


@pytest.mark.parametrize(
    "licence",
    ["MIT", "MIT License", "Apache-2.0 AND BSD-2-Clause", "GPL-3.0-only OR MIT", "(GPL-2.0 OR MIT) AND ISC"],
)
def test_what_binds_nobody_is_allowed(licence: str) -> None:
    assert is_allowed(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-3.0-only",
        "AGPL-3.0",
        "MIT AND GPL-2.0",
        "MIT License; GNU General Public License v3 (GPLv3)",
        "UNKNOWN",
        "",
    ],
)
def test_what_binds_or_is_not_known_is_a_fault(licence: str) -> None:
    assert len(faults_of({"a-package": licence})) == 1


def test_a_package_of_npm_is_asked_for_its_licence() -> None:
    assert faults_of({each.name: each.license for each in locked_scripts()}) == []


def test_only_what_names_no_licence_is_read_by_us() -> None:
    assert set(READ_BY_US) <= set(shipped(development_lock()))
    assert all(is_allowed(name) for name in OTHER_NAMES)

"""`make sbom`: the bill of materials of a release, as CycloneDX. `python -m tests.supply.materials FILE`.

It lists what the lock files pin for whoever installs us: Python packages, those of the extras marked as optional, and
what npm brings into the pages; with hashes, and with who requires whom. The same checkout gives the same file.
"""

import sys
from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from alert_history import __version__
from tests.supply.licences import OTHER_NAMES
from tests.supply.locked import (
    ROOT,
    Locked,
    Script,
    development_lock,
    locked,
    locked_scripts,
    required_by_us,
    shipped,
)

_NAME = "alert-history"


def main(path: Path) -> int:
    """Write the bill there, and return the exit code."""
    packages, always = development_lock(), locked((ROOT / "requirements.lock").read_text())
    text = written(bill(shipped(packages), locked_scripts(), always=always))
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    print(f"{path}: what a release brings")
    return 0


def bill(packages: Mapping[str, Locked], scripts: Iterable[Script], *, always: Iterable[str]) -> Bom:
    """The bill of a release that brings these. Of the `packages` those that are not `always` there are optional."""
    us = _component(_NAME, __version__, kind=ComponentType.APPLICATION)
    made = Bom(serial_number=uuid5(NAMESPACE_URL, str(us.purl)))
    made.metadata.component = us
    made.metadata.timestamp = None  # type: ignore[assignment]
    needed = set(always)
    parts = {each.name: _python_component(each, is_optional=each.name not in needed) for each in packages.values()}
    pages = [_script_component(each) for each in scripts]
    for component in (*parts.values(), *pages):
        made.components.add(component)
    made.register_dependency(us, [*(parts[name] for name in required_by_us(packages)), *pages])
    for each in packages.values():
        made.register_dependency(
            parts[each.name], [parts[other.name] for other in packages.values() if each.name in other.via]
        )
    return made


def written(made: Bom) -> str:
    """Its JSON. Raises ValueError where that is no CycloneDX 1.6."""
    text = JsonV1Dot6(made).output_as_string(indent=1)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise ValueError(fault)
    return text + "\n"


def _component(name: str, version: str, *, kind: ComponentType = ComponentType.LIBRARY, of: str = "pypi") -> Component:
    purl = PackageURL(type=of, name=name, version=version)
    return Component(name=name, version=version, type=kind, purl=purl, bom_ref=str(purl))


def _python_component(package: Locked, *, is_optional: bool) -> Component:
    component = _component(package.name, package.version)
    component.scope = ComponentScope.OPTIONAL if is_optional else ComponentScope.REQUIRED
    component.external_references.add(
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(f"https://pypi.org/project/{package.name}/{package.version}/"),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in package.hashes],
        )
    )
    return component


def _script_component(script: Script) -> Component:
    component = _component(script.name, script.version, of="npm")
    digest = b64decode(script.integrity.removeprefix("sha512-")).hex()
    component.hashes.add(HashType(alg=HashAlgorithm.SHA_512, content=digest))
    component.licenses.add(DisjunctiveLicense(id=OTHER_NAMES.get(script.license, script.license)))
    return component


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))

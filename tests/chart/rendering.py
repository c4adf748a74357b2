"""The chart as Helm's own engine renders it, and the objects in it by kind and name."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import helm_python
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "alert-history"
GUIDE_VALUES = ROOT / "tests" / "data" / "chart" / "values-production.yaml"
RELEASE = "alert-history"
NAMESPACE = "alert-history"

Object = dict[str, Any]

# The guide's basic installation, as it stands there.
BASIC_SETS = (
    "postgresql.enabled=true",
    "redis.enabled=true",
    "autoscaling.enabled=true",
    "ingress.enabled=true",
    "ingress.hosts[0].host=alert-history.your-domain.com",
)
REDIS_TUNING = """
redis:
  master:
    configuration: |
      maxmemory 512mb
      maxmemory-policy allkeys-lru
      save ""  # Disable persistence for cache-only usage
"""


class Rendered(NamedTuple):
    """All objects of one rendering."""

    objects: list[Object]
    notes: str

    def named(self, kind: str, name: str) -> Object:
        """The one object. Raises: AssertionError if there is none, or more."""
        matches = [each for each in self.objects if each["kind"] == kind and each["metadata"]["name"] == name]
        assert len(matches) == 1, f"{len(matches)} of {kind} {name} among {self.names()}"
        return matches[0]

    def of(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def names(self) -> list[str]:
        """`Kind/name` of all."""
        return [f"{each['kind']}/{each['metadata']['name']}" for each in self.objects]

    def pods(self) -> Iterator[tuple[str, Object]]:
        """The spec of every pod that comes of it, with the name of what makes it."""
        for each in self.objects:
            name = f"{each['kind']}/{each['metadata']['name']}"
            if each["kind"] == "Pod":
                yield name, each["spec"]
            elif each["kind"] == "Deployment":
                yield name, each["spec"]["template"]["spec"]
            elif each["kind"] == "CronJob":
                yield name, each["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    def service_pod(self) -> Object:
        """The spec of the service's pods."""
        spec: Object = self.named("Deployment", RELEASE)["spec"]["template"]["spec"]
        return spec

    def container(self) -> Object:
        """The service's container."""
        container: Object = self.service_pod()["containers"][0]
        return container

    def env(self) -> dict[str, Object]:
        """The service's variables by name. Raises: AssertionError if one is there twice."""
        entries = self.container()["env"]
        by_name = {entry["name"]: entry for entry in entries}
        assert len(by_name) == len(entries), entries
        return by_name


def guide_values() -> Object:
    """The guide's values for production."""
    values: Object = yaml.safe_load(GUIDE_VALUES.read_text(encoding="utf-8"))
    return values


def set_values(*expressions: str) -> Object:
    """Values as `helm --set` makes them."""
    return helm_python.parse_set_string(",".join(expressions))


def render(values: Mapping[str, Any] | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> Rendered:
    """Render offline. Raises: helm_python.HelmError."""
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(dict(values or {}), name=release, namespace=namespace)
    return parsed(texts)


def parsed(texts: Mapping[str, str]) -> Rendered:
    """The objects of rendered templates."""
    objects: list[Object] = []
    notes = ""
    for path, text in texts.items():
        if path.endswith("NOTES.txt"):
            notes = text
        else:
            objects += [each for each in yaml.safe_load_all(text) if each]
    return Rendered(objects, re.sub(r"\n{3,}", "\n\n", notes))

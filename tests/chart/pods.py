"""A pod of the service as a kubelet would run it.

Image, command, environment, user, file system, probes and stop are the chart's, word for word. Only addresses differ:
each pod has a port of its own on this machine, and servers are found by theirs.
"""

import re
import subprocess
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.chart.rendering import Object, Rendered
from tests.e2e.image import Stage
from tests.processes import HOST, Server, free_port

_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_MEASURES = {"Mi": "m", "Gi": "g"}


@dataclass
class Cluster:
    """What pods find around them. `addresses` gives `host:port` of this machine for `host:port` of the chart."""

    rendered: Rendered
    image: Stage
    addresses: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]]
    configs: Mapping[str, Path] = field(default_factory=dict)
    """The folders in which ConfigMaps are laid out, by name; see `ConfigFolder`."""

    def pod(self, folder: Path) -> "Pod":
        """One more pod of the service's Deployment, not started yet."""
        folder.mkdir()
        return Pod(self, folder, free_port())

    def environment(self, container: Object) -> dict[str, str]:
        """As a kubelet resolves it: `envFrom`, then `env` in order, with `$(NAME)` replaced by what came before."""
        environment: dict[str, str] = {}
        for source in container.get("envFrom", []):
            reference = source["secretRef"]
            assert reference["name"] in self.secrets or reference["optional"]
            environment.update(self.secrets.get(reference["name"], {}))
        for entry in container["env"]:
            environment[entry["name"]] = self._value(entry, environment)
        return {name: self._reachable(value) for name, value in environment.items()}

    def _value(self, entry: Object, before: Mapping[str, str]) -> str:
        if "valueFrom" in entry:
            reference = entry["valueFrom"]["secretKeyRef"]
            return self._secret(reference["name"])[reference["key"]]
        return _REFERENCE.sub(lambda name: before.get(name[1], name[0]), entry["value"])

    def _secret(self, name: str) -> Mapping[str, str]:
        if name in self.secrets:
            return self.secrets[name]
        data = self.rendered.named("Secret", name)["data"]
        return {key: b64decode(value).decode() for key, value in data.items()}

    def _reachable(self, text: str) -> str:
        for address, real in self.addresses.items():
            text = text.replace(address, real)
        return text


class ConfigFolder:
    """A ConfigMap as a kubelet lays it out: files are links into a folder of this version, reached by a link itself.

    A change makes a folder anew, and moves the one link over to it.
    """

    def __init__(self, folder: Path, data: Mapping[str, str]) -> None:
        self.folder = folder
        self._version = 0
        folder.mkdir()
        self.write(data)
        for name in data:
            (folder / name).symlink_to(f"..data/{name}")

    def write(self, data: Mapping[str, str]) -> None:
        """Put these in the place of what was there; the names stay the same."""
        self._version += 1
        made = self.folder / f"..{self._version}"
        made.mkdir()
        for name, text in data.items():
            (made / name).write_text(text, encoding="utf-8")
        link = self.folder / "..data_tmp"
        link.symlink_to(made.name)
        link.rename(self.folder / "..data")


class Pod:
    """One pod. `start` returns when its readiness probe passes; `stop` is what deleting it does.

    `headers` are those of a caller who holds the release's first token.
    """

    def __init__(self, cluster: Cluster, folder: Path, port: int) -> None:
        self._cluster = cluster
        self._spec = cluster.rendered.service_pod()
        self._container = cluster.rendered.container()
        environment = self._environment(self._container)
        self.url = f"http://{HOST}:{port}"
        self.headers = {"Authorization": f"Bearer {environment['ADMIN_TOKEN']}"}
        self._port = str(port)
        self.server = Server(
            name="alert-history",
            command=self._words(self._container, self._container["command"]),
            folder=folder,
            port=port,
            url=self.url,
            is_ready=lambda: self.passes("startupProbe") and self.passes("readinessProbe"),
            environment=environment,
        )

    def initialise(self) -> None:
        """Run its init containers, each to its end. Raises: subprocess.CalledProcessError."""
        for container in self._spec["initContainers"]:
            words = self._words(container, container["command"])
            subprocess.run(words, env=self._environment(container), check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """As after scheduling. Raises: AssertionError where the startup probe would have given up."""
        self.initialise()
        probe = self._container["startupProbe"]
        self.server.start(timeout_seconds=probe["periodSeconds"] * probe["failureThreshold"])

    def passes(self, name: str) -> bool:
        """Whether the probe passes now."""
        probe = self._container[name]
        try:
            answer = httpx.get(self.url + probe["httpGet"]["path"], timeout=probe["timeoutSeconds"], trust_env=False)
        except httpx.TransportError:
            return False
        return 200 <= answer.status_code < 400

    def holds(self, name: str) -> bool:
        """Whether it passes in one of the tries that a kubelet makes before it acts."""
        return any(self.passes(name) for _ in range(self._container[name]["failureThreshold"]))

    def stop(self) -> tuple[int, float]:
        """The preStop hook, SIGTERM, and the rest of the grace period; the exit code and the seconds it all took.

        Raises: subprocess.TimeoutExpired where a kubelet would kill it.
        """
        begin = time.monotonic()
        hook = self._container["lifecycle"]["preStop"]["exec"]["command"]
        words = self._words(self._container, hook)
        subprocess.run(words, env=self._environment(self._container), check=True, timeout=60)
        left = self._spec["terminationGracePeriodSeconds"] - (time.monotonic() - begin)
        return self.server.terminate(timeout_seconds=left), time.monotonic() - begin

    def open_for_writing(self) -> list[str]:
        """What it has open for writing in its file system; pipes, sockets and devices don't count."""
        paths = []
        for link in Path(f"/proc/{self.server.pid}/fd").iterdir():
            try:
                target = str(link.readlink())
                flags = (link.parent.parent / "fdinfo" / link.name).read_text().partition("flags:")[2].split()[0]
            except FileNotFoundError:
                continue  # closed meanwhile
            if target.startswith("/") and not target.startswith("/dev/") and int(flags, 8) & 3:
                paths.append(target)
        return paths

    def _environment(self, container: Object) -> dict[str, str]:
        return {**self._cluster.image.env, "HOME": "/tmp", **self._cluster.environment(container)}  # noqa: S108

    def _words(self, container: Object, words: list[str]) -> list[str]:
        """The command in the image, under the pod's and the container's security contexts."""
        context = {**self._spec["securityContext"], **container["securityContext"]}
        assert context["readOnlyRootFilesystem"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsNonRoot"]
        user = f"{context['runAsUser']}:{context['runAsGroup']}"
        volumes = {volume["name"]: volume for volume in self._spec["volumes"]}
        mounted = [(mount["mountPath"], volumes[mount["name"]]) for mount in container["volumeMounts"]]
        writable = {path: _measured(each["emptyDir"]["sizeLimit"]) for path, each in mounted if "emptyDir" in each}
        configs = self._cluster.configs
        readable = {path: configs[each["configMap"]["name"]] for path, each in mounted if "configMap" in each}
        assert all("subPath" not in mount for mount in container["volumeMounts"]), "it would never be updated"
        own = [self._port if word == "8080" else word for word in words]
        return self._cluster.image.entry(own, user=user, writable=writable, readable=readable)


def _measured(size: str) -> str:
    """A size of Kubernetes as mount takes it."""
    return size[:-2] + _MEASURES[size[-2:]]

"""A cluster that Helm's engine asks what is there already: Secrets, and the Deployments of a release that runs.

It takes up what was rendered, as `helm install` and `helm upgrade` would. Must not know what any test checks.
"""

from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.chart.rendering import CHART, NAMESPACE, RELEASE, Object, Rendered, parsed
from tests.kubernetes_api import KubernetesApi
from tests.kubernetes_objects import Refusal

_VERBS = ["create", "get", "list"]


class ClusterApi(KubernetesApi):
    """The API server with Deployments, which can only be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.deployments: dict[str, Object] = {}

    def _application(self) -> Starlette:
        application = super()._application()
        deployments = "/apis/apps/v1/namespaces/{namespace}/deployments"
        application.router.routes[:0] = [
            Route("/apis/apps/v1", self._apps),
            Route(deployments, self._all),
            Route(deployments + "/{name}", self._one),
        ]
        return application

    async def _apps(self, _: Request) -> Response:
        deployments = {"name": "deployments", "singularName": "deployment", "namespaced": True, "kind": "Deployment"}
        resources = [{**deployments, "verbs": _VERBS}]
        kind = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1"}
        return JSONResponse({**kind, "resources": resources})

    async def _all(self, _: Request) -> Response:
        items = list(self.deployments.values())
        return JSONResponse({"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {}, "items": items})

    async def _one(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.deployments:
            return JSONResponse(Refusal(404, f'deployments.apps "{name}" not found').body(), 404)
        return JSONResponse(self.deployments[name])


class Cluster:
    """A release in a cluster. `api` is its API server, which is started."""

    def __init__(self, api: ClusterApi, folder: Path) -> None:
        self.api = api
        self._kubeconfig = api.write_kubeconfig(folder / "kubeconfig", namespace=NAMESPACE)

    def render(
        self, values: Mapping[str, Any] | None = None, *, is_upgrade: bool = False, chart: Path = CHART
    ) -> Rendered:
        """Render as an installation or upgrade here does. Raises: helm_python.HelmError."""
        with (
            helm_python.Config(kubeconfig_path=self._kubeconfig, namespace=NAMESPACE) as config,
            helm_python.Chart.load(chart) as loaded,
        ):
            texts = config.render(
                loaded,
                dict(values or {}),
                name=RELEASE,
                namespace=NAMESPACE,
                is_install=not is_upgrade,
                is_upgrade=is_upgrade,
            )
        return parsed(texts)

    def install(self, values: Mapping[str, Any] | None = None, *, chart: Path = CHART) -> Rendered:
        """Render an installation, and take up what came of it."""
        return self._take(self.render(values, chart=chart))

    def upgrade(self, values: Mapping[str, Any] | None = None) -> Rendered:
        """Render an upgrade, and take up what came of it."""
        return self._take(self.render(values, is_upgrade=True))

    def _take(self, rendered: Rendered) -> Rendered:
        self.api.deployments = {each["metadata"]["name"]: each for each in rendered.of("Deployment")}
        for secret in rendered.of("Secret"):
            name = secret["metadata"]["name"]
            if ("secrets", NAMESPACE, name) in self.api.etcd.objects:
                self.api.remove_secret(NAMESPACE, name)
            self.api.add_secret(NAMESPACE, name, decoded(secret), labels={})
        return rendered


def decoded(secret: Object) -> dict[str, str]:
    """What a Secret holds, as text."""
    return {key: b64decode(value).decode() for key, value in secret["data"].items()}

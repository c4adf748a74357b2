"""A Kubernetes API server for namespaces and Secrets, true to the real one in what a client of lists and watches sees.

It keeps resource versions, history, bookmarks and 410, label and field selectors, pages, the patches that kubectl
sends, `Status` bodies with the real one's words, and bearer tokens. Its content outlives a restart, as etcd's does;
history before `compact` does not. It can be told to refuse verbs. Must not know what any test checks.
"""

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests import kubernetes_protobuf
from tests.kubernetes_objects import (
    Etcd,
    Object,
    Refusal,
    bookmark,
    checked,
    event_line,
    merged,
    named,
    seen,
    selects,
)
from tests.processes import HOST, START_TIMEOUT_SECONDS, free_port, wait_until

SLACK_TARGET = {"alert-history.io/target": "true", "alert-history.io/format": "slack"}

_BOOKMARK_SECONDS = 1.0  # a minute in the real one
_CORE = [
    ("namespaces", "Namespace", False, ["ns"]),
    ("secrets", "Secret", True, []),
]
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Called(NamedTuple):
    """One request, as the audit log has it. `token` is the bearer token it came with."""

    verb: str
    resource: str
    query: dict[str, str]
    token: str | None


class KubernetesApi:
    """The server. Start it, hand `write_kubeconfig`'s file to clients, stop it; it comes back on the same port.

    `denied` holds verbs refused for Secrets (403); `tokens` the bearer tokens it takes (None: it asks for none).
    """

    def __init__(self, *, certificate: Path | None = None, key: Path | None = None) -> None:
        self.port = free_port()
        self.etcd = Etcd()
        self.denied: set[str] = set()
        self.tokens: set[str] | None = None
        self.called: list[Called] = []
        self.answers_with: int | None = None
        self.longest_watch_seconds = 1800.0
        self._refusals: dict[str, Refusal] = {}
        self._certificate, self._key = certificate, key
        self._lock = threading.Lock()
        self._watches = 0
        self._end_watches_with: Refusal | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        for name in ("default", "kube-system"):
            self.etcd.put("namespaces", "", named("Namespace", name))

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://{HOST}:{self.port}"

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return self._watches

    def start(self) -> None:
        """Returns when it answers."""
        config = uvicorn.Config(
            self._application(),
            host=HOST,
            port=self.port,
            log_config=None,
            lifespan="off",
            loop="asyncio",
            ssl_certfile=self._certificate,
            ssl_keyfile=self._key,
            timeout_graceful_shutdown=0,
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, name="kubernetes-api", daemon=True)
        self._thread.start()
        wait_until(lambda: server.started, "the API server listens", timeout_seconds=START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Every connection breaks off in the middle."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._server = self._thread = None

    def compact(self) -> None:
        """Forget the history: who comes with an older version gets 410, and open watches end with it."""
        self.etcd.version += 1
        self.etcd.compacted = self.etcd.version
        self.etcd.history.clear()
        self.end_watches(Refusal(410, "The resourceVersion for the provided watch is too old."))

    def end_watches(self, error: Refusal) -> None:
        """Send an ERROR event on each open watch and end it."""
        self._end_watches_with = error
        wait_until(lambda: self._watches == 0, "the watches have ended")
        self._end_watches_with = None

    def refuse_next(self, verb: str, error: Refusal) -> None:
        """Answer the next request with this verb so."""
        self._refusals[verb] = error

    def add_namespace(self, name: str) -> None:
        """Create a namespace."""
        self._create("namespaces", "", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}})

    def add_secret(
        self,
        namespace: str,
        name: str,
        values: Mapping[str, str],
        *,
        labels: Mapping[str, str] = SLACK_TARGET,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Create a Secret; unless told otherwise one that is a target."""
        metadata = {"name": name, "labels": dict(labels), "annotations": dict(annotations or {})}
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "stringData": dict(values)}
        self._create("secrets", namespace, secret)

    def remove_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret."""
        self._delete("secrets", namespace, name)

    def write_kubeconfig(self, path: Path, *, namespace: str = "default", token: str | None = None) -> Path:
        """A kubeconfig with one context."""
        cluster: Object = {"server": self.url}
        if self._certificate:
            cluster["certificate-authority-data"] = b64encode(self._certificate.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token} if token else {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        }
        path.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        return path

    def count(self, verb: str) -> int:
        """How often Secrets were asked for with this verb."""
        return sum(call.verb == verb and call.resource == "secrets" for call in self.called)

    # --- routes ---

    def _application(self) -> Starlette:
        namespaced = "/api/v1/namespaces/{namespace}/secrets"
        routes = [
            Route("/version", self._version),
            Route("/api", self._versions),
            Route("/apis", self._groups),
            Route("/api/v1", self._resources),
            Route("/api/v1/namespaces", self._collection, methods=["GET", "POST"]),
            Route("/api/v1/namespaces/{name}", self._object, methods=["GET", "PUT", "PATCH", "DELETE"]),
            Route("/api/v1/secrets", self._collection, methods=["GET"]),
            Route(namespaced, self._collection, methods=["GET", "POST"]),
            Route(f"{namespaced}/{{name}}", self._object, methods=["GET", "PUT", "PATCH", "DELETE"]),
        ]
        return Starlette(routes=routes, exception_handlers={Refusal: _refused, 404: _not_found})

    async def _version(self, _: Request) -> Response:
        return JSONResponse({"major": "1", "minor": "32", "gitVersion": "v1.32.4", "platform": "linux/amd64"})

    async def _versions(self, _: Request) -> Response:
        return JSONResponse({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})

    async def _groups(self, _: Request) -> Response:
        return JSONResponse({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})

    async def _resources(self, _: Request) -> Response:
        resources = [
            {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": is_namespaced,
                "kind": kind,
                "verbs": _VERBS,
                "shortNames": short,
            }
            for plural, kind, is_namespaced, short in _CORE
        ]
        return JSONResponse(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": resources}
        )

    async def _collection(self, request: Request) -> Response:
        resource, namespace = _addressed(request)
        if request.method == "POST":
            self._admit("create", resource, request)
            return JSONResponse(self._create(resource, namespace, await _sent(request)), 201)
        is_watch = request.query_params.get("watch") in {"1", "true"}
        self._admit("watch" if is_watch else "list", resource, request)
        if is_watch:
            return self._watch(resource, namespace, request)
        return JSONResponse(self._list(resource, namespace, request.query_params))

    async def _object(self, request: Request) -> Response:
        resource, namespace = _addressed(request)
        name = request.path_params["name"]
        verb = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[request.method]
        self._admit(verb, resource, request)
        item = self.etcd.objects.get((resource, namespace, name))
        if item is None:
            raise Refusal(404, f'{resource} "{name}" not found')
        if verb == "delete":
            return JSONResponse(self._delete(resource, namespace, name))
        if verb == "get":
            return JSONResponse(item)
        sent = await _sent(request)
        new = merged(item, sent) if verb == "patch" else sent
        if verb == "patch" and "json-patch" in request.headers.get("content-type", ""):
            raise Refusal(415, "the body of the request was in an unknown format")
        return JSONResponse(self._put(resource, namespace, checked(new, item)))

    # --- what the verbs do ---

    def _admit(self, verb: str, resource: str, request: Request) -> None:
        """Authentication, then authorisation."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token if scheme == "Bearer" else None
        self.called.append(Called(verb, resource, dict(request.query_params), given))
        if error := self._refusals.pop(verb, None):
            raise error
        if self.answers_with is not None:
            raise Refusal(self.answers_with, "the server is not well")
        if self.tokens is not None and given not in self.tokens:
            raise Refusal(401, "Unauthorized")
        if resource == "secrets" and verb in self.denied:
            namespace = request.path_params.get("namespace", "")
            raise Refusal(
                403,
                f'secrets is forbidden: User "system:serviceaccount:alert-history:alert-history" cannot {verb} '
                f'resource "secrets" in API group "" in the namespace "{namespace}"',
            )

    def _create(self, resource: str, namespace: str, sent: Object) -> Object:
        name = sent["metadata"]["name"]
        if (resource, namespace, name) in self.etcd.objects:
            raise Refusal(409, f'{resource} "{name}" already exists')
        if namespace and ("namespaces", "", namespace) not in self.etcd.objects:
            raise Refusal(404, f'namespaces "{namespace}" not found')
        if namespace:
            sent["metadata"]["namespace"] = namespace
        return self._put(resource, namespace, checked(sent, None))

    def _put(self, resource: str, namespace: str, new: Object) -> Object:
        with self._lock:
            return self.etcd.put(resource, namespace, new)

    def _delete(self, resource: str, namespace: str, name: str) -> Object:
        with self._lock:
            gone = self.etcd.remove(resource, namespace, name)
        details = {"name": name, "kind": resource, "uid": gone["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _list(self, resource: str, namespace: str, query: Mapping[str, str]) -> Object:
        """A page. Who goes on with a token from before a compaction gets 410."""
        at, _, last = query.get("continue", "").partition(":")
        if at and int(at) < self.etcd.compacted:
            raise Refusal(410, "The provided continue parameter is too old to display a consistent list result.")
        items = [
            item
            for (kind, of, name), item in sorted(self.etcd.objects.items())
            if kind == resource and of == (namespace or of) and name > last and selects(query, item)
        ]
        limit = int(query.get("limit", "0")) or len(items)
        metadata: Object = {"resourceVersion": at or str(self.etcd.version)}
        if len(items) > limit:
            metadata["continue"] = f"{metadata['resourceVersion']}:{items[limit - 1]['metadata']['name']}"
        kind = "SecretList" if resource == "secrets" else "NamespaceList"
        return {"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items[:limit]}

    def _watch(self, resource: str, namespace: str, request: Request) -> Response:
        query = dict(request.query_params)
        version = int(query.get("resourceVersion") or self.etcd.version)
        if version < self.etcd.compacted:
            raise Refusal(410, f"too old resource version: {version} ({self.etcd.compacted})")
        events = self._events(resource, namespace, query, version)
        return StreamingResponse(events, media_type="application/json")

    async def _events(
        self, resource: str, namespace: str, query: Mapping[str, str], version: int
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + min(self.longest_watch_seconds, float(query.get("timeoutSeconds", "1800")))
        bookmark_at = loop.time() + _BOOKMARK_SECONDS
        self._watches += 1
        try:
            while loop.time() < ends_at:
                if self._end_watches_with is not None:
                    yield event_line("ERROR", self._end_watches_with.body())
                    return
                for change in [each for each in self.etcd.history if each.version > version]:
                    version = change.version
                    if change.resource == resource and (line := seen(change, namespace, query)):
                        yield line
                if query.get("allowWatchBookmarks") == "true" and loop.time() >= bookmark_at:
                    bookmark_at = loop.time() + _BOOKMARK_SECONDS
                    yield event_line("BOOKMARK", bookmark(resource, self.etcd.version))
                await asyncio.sleep(0.01)
            yield event_line("BOOKMARK", bookmark(resource, self.etcd.version))
        finally:
            self._watches -= 1


def _addressed(request: Request) -> tuple[str, str]:
    namespace = request.path_params.get("namespace", "")
    return ("secrets" if "/secrets" in request.url.path else "namespaces"), namespace


async def _sent(request: Request) -> Object:
    body = await request.body()
    if request.headers.get("content-type", "").startswith(kubernetes_protobuf.MEDIA_TYPE):
        return kubernetes_protobuf.decode(body)
    sent: Object = json.loads(body)
    return sent


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse(error.body(), error.code)


async def _not_found(_: Request, __: Exception) -> Response:
    return JSONResponse(Refusal(404, "the server could not find the requested resource").body(), 404)

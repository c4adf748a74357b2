"""How to reach a Kubernetes API server: from a pod's service account, or from a kubeconfig file.

Reads files and the environment only. Errors and texts hold no token and no password.
"""

import base64
import binascii
import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from alert_history.errors import AlertHistoryError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_DEFAULT_NAMESPACE = "default"

# A connection whose other end is gone without a word is found dead after half a minute.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *[
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ],
]


class NoCluster(AlertHistoryError):
    """There is no Kubernetes here, or what says how to reach it is wrong."""


@dataclass(frozen=True)
class Cluster:
    """An API server and how to prove who we are. `namespace` is the pod's own, or that of the context."""

    server: str
    namespace: str
    tls: ssl.SSLContext | bool = field(repr=False)
    auth: httpx.Auth | None = field(repr=False)
    tls_name: str | None = None

    def client(self) -> httpx.AsyncClient:
        """A client of this server alone, without proxies from the environment or redirects. Raises: NoCluster."""
        try:
            server = httpx.URL(self.server)
        except httpx.InvalidURL:
            raise NoCluster("the address of the API server can't be read") from None
        transport = httpx.AsyncHTTPTransport(verify=self.tls, socket_options=_KEEPALIVE)
        return httpx.AsyncClient(base_url=server, auth=self.auth, transport=transport, trust_env=False)

    @property
    def extensions(self) -> dict[str, Any]:
        """The extensions that each request needs."""
        return {"sni_hostname": self.tls_name} if self.tls_name else {}


class TokenFile(httpx.Auth):
    """Reads the token anew for each request: the kubelet writes a fresh one long before the old one expires."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Raises: NoCluster if there is no token."""
        request.headers["Authorization"] = _bearer(_text(self._path, "the token"))
        yield request


class Token(httpx.Auth):
    """A token that stays."""

    def __init__(self, token: str) -> None:
        self._bearer = _bearer(token)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._bearer
        yield request


def find_cluster(
    kubeconfig: Path | None, environ: Mapping[str, str], *, service_account: Path = SERVICE_ACCOUNT
) -> Cluster:
    """The cluster of the kubeconfig's current context, or else the one this pod runs in.

    Raises: NoCluster.
    """
    if kubeconfig is not None:
        return _Kubeconfig(kubeconfig.expanduser()).cluster()
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise NoCluster("this is no pod of a Kubernetes cluster, and TARGET_DISCOVERY_KUBECONFIG is not set")
    token = service_account / "token"
    _text(token, "the service account's token")
    return Cluster(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=_namespace(service_account / "namespace"),
        tls=_guarded(lambda: ssl.create_default_context(cafile=service_account / "ca.crt"), "ca.crt"),
        auth=TokenFile(token),
    )


def _namespace(path: Path) -> str:
    return _text(path, "the service account's namespace") if path.exists() else _DEFAULT_NAMESPACE


def _text(path: Path, what: str) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NoCluster(f"{what} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NoCluster(f"{what} is not text") from None
    if not text:
        raise NoCluster(f"{what} is empty")
    return text


def _bearer(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise NoCluster("the token is no token")
    return f"Bearer {token}"


def _guarded(make: Callable[[], ssl.SSLContext], what: str) -> ssl.SSLContext:
    """Raises: NoCluster where certificates can't be read; OpenSSL's own words hold none of them."""
    try:
        return make()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise NoCluster(f"{what} can't be used: {getattr(error, 'reason', None) or type(error).__name__}") from None


class _Kubeconfig:
    """One kubeconfig file. Paths in it are relative to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._document = self._load()

    def cluster(self) -> Cluster:
        current = self._document.get("current-context")
        if not current:
            raise NoCluster(f"{self._path}: current-context is not set")
        context = self._named("contexts", current, "context")
        cluster = self._named("clusters", context.get("cluster"), "cluster")
        user = self._named("users", context.get("user"), "user") if context.get("user") else {}
        server = str(cluster.get("server") or "")
        if not server.startswith(("http://", "https://")):
            raise NoCluster(f"{self._path}: server of the cluster is no http or https address")
        return Cluster(
            server=server,
            namespace=str(context.get("namespace") or _DEFAULT_NAMESPACE),
            tls=self._tls(cluster, user),
            auth=self._auth(user),
            tls_name=cluster.get("tls-server-name"),
        )

    def _load(self) -> dict[str, Any]:
        import yaml

        try:
            document = yaml.safe_load(_text(self._path, str(self._path)))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise NoCluster(f"{self._path} is not YAML{f', see line {mark.line + 1}' if mark else ''}") from None
        if not isinstance(document, dict):
            raise NoCluster(f"{self._path} is no kubeconfig")
        return document

    def _named(self, plural: str, name: object, singular: str) -> dict[str, Any]:
        entries = self._document.get(plural)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(singular), dict):
                section: dict[str, Any] = entry[singular]
                return section
        raise NoCluster(f"{self._path}: no {singular} is named {name}")

    def _tls(self, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext | bool:
        if not str(cluster.get("server")).startswith("https"):
            return False
        context = _guarded(lambda: self._authority(cluster), "certificate-authority")
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = self._file(user, "client-certificate"), self._file(user, "client-key")
        if certificate and key:
            _load_identity(context, certificate, key)
        return context

    def _authority(self, cluster: Mapping[str, Any]) -> ssl.SSLContext:
        certificates = self._file(cluster, "certificate-authority")
        return ssl.create_default_context(cadata=certificates.decode("ascii") if certificates else None)

    def _file(self, section: Mapping[str, Any], name: str) -> bytes | None:
        """The bytes in `name-data`, or else those of the file that `name` names."""
        if data := section.get(f"{name}-data"):
            try:
                return base64.b64decode(str(data), validate=False)
            except binascii.Error:
                raise NoCluster(f"{self._path}: {name}-data is not base64") from None
        if path := section.get(name):
            return _text(self._beside(path), f"{name} of {self._path}").encode()
        return None

    def _beside(self, path: object) -> Path:
        return self._path.parent / Path(str(path)).expanduser()

    def _auth(self, user: Mapping[str, Any]) -> httpx.Auth | None:
        if path := user.get("tokenFile"):
            return TokenFile(self._beside(path))
        if token := user.get("token"):
            return Token(str(token))
        if user.get("username") and user.get("password"):
            return httpx.BasicAuth(str(user["username"]), str(user["password"]))
        if user.get("exec") or user.get("auth-provider"):
            raise NoCluster(f"{self._path}: programs that fetch tokens are not run; give a token or a certificate")
        return None


def _load_identity(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Give the context a client certificate. OpenSSL takes it from a file only, so there is one for a moment."""
    number, name = tempfile.mkstemp()  # readable by us alone
    try:
        with os.fdopen(number, "wb") as file:
            file.write(certificate + b"\n" + key + b"\n")
        _guarded(lambda: _with_identity(context, name), "client-certificate or client-key")
    finally:
        Path(name).unlink()


def _with_identity(context: ssl.SSLContext, name: str) -> ssl.SSLContext:
    context.load_cert_chain(name)
    return context

"""The files that pages load: style sheets and scripts, ours and those that `npm ci` brought into `static/vendor/`.

Each is served at `/assets/<digest>/<name>`, so browsers may keep it for good: a file that changed has another path.
"""

import gzip
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

_FOLDER = files("alert_history.web.pages") / "static"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"
_DIGEST_LETTERS = 12

PATH = "/assets/{digest}/{name:path}"


class Asset(NamedTuple):
    """A file, also as browsers like to get it, and the first letters of its digest."""

    content: bytes
    zipped: bytes
    digest: str


@cache
def asset(name: str) -> Asset:
    """The file of that name below `static/`. Raises FileNotFoundError."""
    parts = name.split("/")
    if name.rpartition(".")[2] not in _TYPES or not all(part.strip(".") for part in parts):
        raise FileNotFoundError(name)
    content = _FOLDER.joinpath(*parts).read_bytes()
    return Asset(content, gzip.compress(content, 9, mtime=0), sha256(content).hexdigest()[:_DIGEST_LETTERS])


def asset_path(name: str) -> str:
    """The path of a file, relative to the root of the service."""
    return f"assets/{asset(name).digest}/{name}"


async def serve_asset(request: Request) -> Response:
    """`GET /assets/{digest}/{name}`. Whatever digest is asked for, the answer is the file as it is now."""
    name = request.path_params["name"]
    try:
        wanted = asset(name)
    except (OSError, ValueError):
        return Response(f"There is no file {name!r}.", HTTPStatus.NOT_FOUND, media_type="text/plain")
    is_current = request.path_params["digest"] == wanted.digest
    headers = {"cache-control": _FOREVER if is_current else "no-cache", "vary": "accept-encoding"}
    content = wanted.content
    if takes_gzip(request):
        content, headers["content-encoding"] = wanted.zipped, "gzip"
    return Response(content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])


def takes_gzip(request: Request) -> bool:
    """Whether the browser says that it can read gzip; a weight of 0 says that it can't."""
    parts = [part.lower().split(";") for part in request.headers.get("accept-encoding", "").split(",")]
    weights = {name.strip(): "".join(rest).strip().removeprefix("q=") for name, *rest in parts}
    weight = weights.get("gzip", weights.get("*", "0"))
    return bool(weight.strip("0.")) or not weight

"""A Gotify server, one of the services that apprise knows."""

from dataclasses import dataclass, field
from typing import Any

from tests.vendors.server import Reply, Request, json_reply

TOKEN = "AbCdEf012345678"  # noqa: S105  # nobody's


def url(server_url: str, *, token: str = TOKEN) -> str:
    """Apprise's URL for the server at `server_url`."""
    return f"gotify://{server_url.removeprefix('http://')}/{token}"


@dataclass
class Gotify:
    """One application. `messages` holds what it shows, oldest first."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/message"):
            return Reply(404)
        if request.headers.get("x-gotify-key") != TOKEN:
            return json_reply(401, {"error": "Unauthorized", "errorDescription": "no valid token"})
        self.messages.append(request.json())
        return json_reply(200, {"id": len(self.messages)})

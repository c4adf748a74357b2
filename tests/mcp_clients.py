"""The SDK's own client, over HTTP with a token or over standard input and output."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CallToolResult, TextContent

Era = Literal["2026-07-28", "legacy"]
"""Which protocol: the one without a handshake, or the newest with one."""


@asynccontextmanager
async def over_http(url: str, token: str = "", *, era: Era = "2026-07-28", **headers: str) -> AsyncIterator[Client]:
    """A client of the service at that URL."""
    given = {**headers, **({"authorization": f"Bearer {token}"} if token else {})}
    http = create_mcp_http_client(headers=given)
    async with http, Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client:
        yield client


def text_of(result: CallToolResult) -> str:
    """The text of an answer."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def data_of(client: Client, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a tool answers, as data. The client has checked it against the schema of the tool."""
    result = await client.call_tool(name, dict(arguments or {}))
    assert not result.is_error, text_of(result)
    assert isinstance(result.structured_content, dict)
    return result.structured_content

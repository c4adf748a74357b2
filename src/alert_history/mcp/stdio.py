"""The tools over standard input and output, for a client that starts the process itself."""

from importlib.util import find_spec

from alert_history.errors import ConfigurationError
from alert_history.mcp.endpoint import LACKING
from alert_history.mcp.toolbox import Toolbox


def check_installed() -> None:
    """Raises ConfigurationError where the SDK is not there."""
    if find_spec("mcp") is None:
        raise ConfigurationError([LACKING])


async def serve(toolbox: Toolbox) -> None:
    """Answer one client until it closes our standard input. Nothing else is written to standard output meanwhile."""
    from mcp.server.stdio import stdio_server

    from alert_history.mcp.server import make_server

    server = make_server(toolbox)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

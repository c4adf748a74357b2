"""Logs: structured events on standard error, in which nothing that a caller made up can do harm."""

import json
import logging
import sys
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from alert_history.domain.printable import printable


def configure_logging(*, level: str, is_json: bool) -> None:
    """Structured events on standard error, one line each; libraries' own logs go the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_json:
        render: list[Any] = [
            structlog.processors.ExceptionRenderer(
                ExceptionDictTransformer(show_locals=False)
            ),  # locals may be secrets
            structlog.processors.JSONRenderer(serializer=_one_json_line),
        ]
    else:
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # rich's shows locals
        )
        render = [_printable_values, console]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(logging.getLevelName(level.upper()), logging.INFO), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a migration is one event of our own
    # Below that, httpx logs whole URLs, of which targets' are secret, and mcp a line for each request.
    for name in ("httpx", "httpcore", "mcp"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _one_json_line(event: Any, **options: Any) -> str:
    """JSON leaves some control characters as they are; inside its strings they may be escaped like the others."""
    return printable(json.dumps(event, ensure_ascii=False, **options))


def _printable_values(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A path or an id that a caller made up can neither colour a log for people nor add a line to it."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}

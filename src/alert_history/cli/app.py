"""The commands by name, and how an error ends the process.

Each command is imported when it is called, so that `--help` and `--version` answer at once.
Exit codes: 0 done · 1 failed, or a check found a fault · 2 wrong usage or configuration · 130 interrupted.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from alert_history import __version__
from alert_history.errors import AlertHistoryError, ConfigurationError, InvalidRequest

_FAILED = 1
_MISUSED = 2
_INTERRUPTED = 130
_PIPE_CLOSED = 141
YOUNG_OBJECTS = 50_000
"""How many new objects a command makes between two searches for garbage."""


app = App(
    name="alert-history",
    help=(
        "The flight recorder of alerting: keeps every alert it is sent, and finds it again.\n\n"
        "Configured by environment variables, DATABASE_URL before all; doctor shows what works."
    ),
    version=__version__,
    help_flags=["--help", "-h"],
    version_flags=["--version"],
    help_format="markdown",
)


# The texts stand here, because each command's module is imported only when it is called.


@app.command
def serve(
    *,
    host: Annotated[str | None, Parameter(help="Where to listen, instead of HOST.")] = None,
    port: Annotated[int | None, Parameter(help="The port to listen on, instead of PORT.")] = None,
    workers: Annotated[int | None, Parameter(help="Processes that share the port, instead of WORKERS.")] = None,
    demo: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Fill the history with 90 days of a company and an incident, once."
        ),
    ] = False,
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from alert_history.cli import serve as server
    from alert_history.config import load_settings

    for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:  # into the environment, because that is where several workers read it
            os.environ[name] = str(value)
            os.environ.pop(f"{name}_FILE", None)
    server.serve(load_settings(os.environ), is_demo=demo)


app.command(
    "alert_history.cli.migrate:migrate",
    help="""Bring the database's schema to this release.

    Creates what is missing and upgrades what is old. Safe when several start at once; a database that is at head, or
    ahead of this release, is left as it is. serve does the same when it starts.
    """,
)
app.command(
    "alert_history.cli.doctor:doctor",
    help="""Show what works and what does not.

    Checks the configuration, the database and its schema, disk space, clocks, who is asked what fires, and the service
    if it runs here. Changes nothing but with --repair. Exits with 1 if there is a fault; a note is none.
    """,
)
app.command(
    "alert_history.cli.send:send",
    help="""Post payload files as Alertmanager would.

    An array of alerts, as Prometheus sends them, goes to /api/v2/alerts; everything else to /webhook/proxy. A 5xx
    answer or a broken connection is tried again for some seconds. Prints the receipt of each payload; exits with 1 if
    one was not taken.
    """,
)
app.command(
    "alert_history.cli.export:export",
    help="""Stream history out as JSON lines, CSV or Parquet.

    Oldest first; memory does not grow with the result. The file appears when it is complete, and replaces an older one.
    """,
)
app.command(
    "alert_history.cli.archive:archive",
    help="""Move old history to Parquet files, in a folder or on S3.

    Writes, reads back, puts in place, and only then removes from the database; killed anywhere and run again, nothing
    is lost and nothing is there twice. DuckDB, Spark and Trino read the files as they are. The service may run.
    """,
)
app.command(
    "alert_history.cli.archive:restore",
    help="""Bring history back from an archive.

    What is there already stays as it is, so it can be run again. No target is notified of what comes back. Refuses
    what retention would drop at once, unless --keep-days says for how long to spare it.
    """,
)
app.command(
    "alert_history.cli.imports:app",
    name="import",
    help="""Bring the past of another system in.

    One command a system, each with its own options. What is there already is joined, never doubled, so that an import
    may be run again, also after it was broken off. Nothing is published. The service may run meanwhile.
    """,
)
app.command(
    "alert_history.cli.replay:replay",
    help="""Queue dead letters again.

    The running service sends them, with the same idempotency keys. Say --dead-letters, so that no target is
    notified twice by a slip.
    """,
)
app.command(
    "alert_history.cli.reconcile:reconcile",
    help="""Compare history with what fires, and repair what was missed.

    Asks Alertmanagers and Prometheus servers twice, some seconds apart. What they end, open, confirm or mute is an
    event each, and targets are notified as if it had been sent. Prints what was done, and what could not be; exits with
    1 if one could not be asked.
    """,
)
app.command(
    "alert_history.cli.rollup:rollup",
    help="""Show how far the history is counted, or count it anew.

    Without an option, nothing is changed. The numbers of days stay whose occurrences retention or an archive took.
    """,
)
app.command(
    "alert_history.cli.night:night",
    help="""Print the hand-over of a night.

    What began, ended and is open, who was not notified and why, what was muted by whom, and what to look at first, in
    at most sixty lines. The night of a date begins that evening at 20:00 and ends the next morning at 08:00.
    """,
)
app.command(
    "alert_history.cli.why:why",
    help="""Say who was notified of an alert, who was not, and why.

    One sentence, then the steps that led there: received, recorded, enriched, routed, delivered, each with its time
    and reason.
    """,
)
app.command(
    "alert_history.cli.mcp:mcp",
    help="""Answer a program that speaks the Model Context Protocol, over standard input and output.

    For an assistant that starts the command itself: it reads the database, and changes nothing. The running service
    answers the same at /mcp. Needs the extra mcp.
    """,
)
app.command(
    "alert_history.cli.token:app",
    name="token",
    help="""Make, list, rotate and revoke API tokens.

    They are kept in the database of the service, which may run meanwhile: a new token is good at once, a revoked one
    is refused within two seconds.
    """,
)
app.command(
    "alert_history.cli.classify:classify",
    help="""Say what saved alerts mean: a dry run.

    Asks the model of LLM_PROXY_URL, or the rules where there is none. Stores nothing and tells no target.
    """,
)


def main() -> None:
    """Run the command that the process was given, and end it.

    Python searches for garbage rarely while it imports, because there is hardly any, and not once more at the end.
    Measured: from a tenth to a quarter of the time of `migrate` and `export`.
    """
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        sys.exit(run(sys.argv[1:]))
    finally:
        gc.freeze()


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Expected errors become a line each on standard error."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough; a second flush by Python would fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except (AlertHistoryError, CycloptsError, OSError) as error:
        return _fail(error)
    return code or 0


def _fail(error: Exception) -> int:
    from alert_history.cli.console import print_error

    for line in _lines(error):
        print_error(line)
    is_misuse = isinstance(error, ConfigurationError | CycloptsError | InvalidRequest)
    return _MISUSED if is_misuse else _FAILED


def _lines(error: Exception) -> Sequence[str]:
    if isinstance(error, ConfigurationError):
        return error.faults
    if isinstance(error, OSError) and error.filename is not None:
        return [f"{error.filename}: {error.strerror}"]
    return [str(error) or type(error).__name__]

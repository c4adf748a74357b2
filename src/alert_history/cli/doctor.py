"""`alert-history doctor`: what works, what does not, and what to do about it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from alert_history.bootstrap import find_targets, make_routes
from alert_history.cli.console import cell, output_console
from alert_history.cli.doctor_history import examine_history, print_repairs
from alert_history.cli.doctor_origins import examine_origins
from alert_history.cli.finding import Finding
from alert_history.cli.store import using_store
from alert_history.config import Settings, load_settings, near_misses
from alert_history.domain.routes import everywhere
from alert_history.domain.target import TargetSpec
from alert_history.enrichers.proxy import Proxy, llm_available
from alert_history.errors import AlertHistoryError, ConfigurationError, Rejected, Retryable
from alert_history.ports import DiscoveryState
from alert_history.signals.redis import probe as probe_redis
from alert_history.storage import is_sqlite
from alert_history.storage.probe import Probe, probe, sqlite_path
from alert_history.urls.secret import SecretUrl, revealed

_ENOUGH_FREE_BYTES = 512 * 1024 * 1024
_CLOCK_TOLERANCE = timedelta(seconds=5)
_PROBE_TIMEOUT_SECONDS = 10
_SERVICE_TIMEOUT_SECONDS = 5
_MODELS_SHOWN = 5
_NAME_SHOWN = 60
_TARGETS_SHOWN = 10
_STYLES = {"ok": "green", "note": "yellow", "fault": "bold red"}
_LISTENS_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # compared, not listened on


def doctor(
    *,
    repair: Annotated[
        bool, Parameter(negative="", help="Join doubles and close ghosts that older releases left.")
    ] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Say what --repair would do, and change nothing.")] = False,
    whole_audit: Annotated[
        bool, Parameter(negative="", help="Check all that is kept of the audit, not only the newest 7 days.")
    ] = False,
) -> int:
    """Print a table of findings; exit code 1 if one is a fault. Raises: ConfigurationError on wrong usage."""
    if dry_run and not repair:
        raise ConfigurationError(["--dry-run is for --repair; without it nothing is changed anyway"])
    findings = asyncio.run(_examine(os.environ, is_audit_whole=whole_audit))
    table = Table("check", "state", "found", "what to do", title_justify="left", show_edge=False)
    for finding in findings:
        state = Text(finding.state, style=_STYLES[finding.state])
        table.add_row(finding.subject, state, cell(finding.observation), cell(finding.advice))
    output_console().print(table)
    if repair and not any(finding.subject == "configuration" and finding.state == "fault" for finding in findings):
        print_repairs(load_settings(os.environ), is_dry_run=dry_run)
    return int(any(finding.state == "fault" for finding in findings))


async def _examine(environ: Mapping[str, str], *, is_audit_whole: bool = False) -> list[Finding]:
    findings = [Finding("configuration", "note", hint, "rename or unset the variable") for hint in near_misses(environ)]
    try:
        settings = load_settings(environ)
    except ConfigurationError as error:
        faults = [Finding("configuration", "fault", fault, "correct the variable") for fault in error.faults]
        return [*faults, *findings]
    findings.insert(0, Finding("configuration", "ok", f"environment {settings.environment}"))
    findings.append(_examine_trust(settings))
    findings += _examine_routes(settings)
    findings += await _examine_targets(settings)
    findings += [finding async for finding in _examine_database(settings)]
    findings += await examine_history(settings, is_audit_whole=is_audit_whole)
    findings += _examine_disk(settings)
    findings += await _examine_cache(settings)
    findings += await _examine_llm(settings)
    findings += await examine_origins(settings)
    findings.append(await _examine_service(settings))
    return findings


def _examine_trust(settings: Settings) -> Finding:
    if settings.auth_mode is None:
        return Finding(
            "trust",
            "note",
            "AUTH_MODE is unset: whoever can connect may read all and switch modes",
            "set AUTH_MODE=token, or AUTH_MODE=none if that is meant",
        )
    if settings.auth_mode == "none":
        return Finding("trust", "ok", "AUTH_MODE=none: whoever can connect may do all")
    return Finding("trust", "ok", f"AUTH_MODE={settings.auth_mode}; ingest: {settings.ingest_auth}")


def _examine_routes(settings: Settings) -> list[Finding]:
    try:
        routes = make_routes(settings)
    except ConfigurationError as error:
        return [Finding("routes", "fault", fault, "correct the file") for fault in error.faults]
    if routes is None:
        return []
    count = sum(1 for _ in everywhere(routes.state().routes))
    return [Finding("routes", "ok", f"{count} in {settings.routes_file}")]


async def _examine_targets(settings: Settings) -> list[Finding]:
    """No findings where the settings notify no target. No target is called, because a call would wake somebody."""
    look = await find_targets(settings, timeout_seconds=_PROBE_TIMEOUT_SECONDS)
    if look is None:
        return []
    places = [_judge_place(state) for state in look.states]
    broken = [spec for spec in look.targets if spec.fault is not None]
    faults = [
        Finding("targets", "fault", f"{spec.name}: {spec.fault}", "correct its Secret or files") for spec in broken
    ]
    if not look.targets and any(place.state == "fault" for place in places):
        return places  # the targets are unknown then
    return [*places, *faults, _judge_targets([spec for spec in look.targets if spec.fault is None])]


def _judge_place(state: DiscoveryState) -> Finding:
    subject = {"kubernetes": "kubernetes", "directory": "folder"}[state.kind]
    if state.fault is None:
        return Finding(subject, "ok", "targets can be read there")
    return Finding(subject, "fault", state.fault, "mend what it names")


def _judge_targets(usable: Sequence[TargetSpec]) -> Finding:
    names = [spec.name for spec in usable if spec.is_enabled]
    if not names:
        return Finding(
            "targets", "note", "nobody is told: no usable target was found", "see Publish alerts in the docs"
        )
    shown = ", ".join(name[:_NAME_SHOWN] for name in names[:_TARGETS_SHOWN])
    more = f" and {len(names) - _TARGETS_SHOWN} more" if len(names) > _TARGETS_SHOWN else ""
    return Finding("targets", "ok", f"{shown}{more}")


async def _examine_database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
            database = await probe(settings.database_url.reveal())
    except (AlertHistoryError, TimeoutError) as error:
        yield _unreachable("database", settings.database_url, error)
    else:
        yield Finding("database", "ok", f"{database.version} at {settings.database_url}")
        yield await _examine_schema(settings, database)
        yield _examine_writing(database)
        if database.now is not None:
            yield _examine_clock(database.now, datetime.now(UTC))
    if settings.read_database_url is not None:
        yield await _examine_replica(settings.read_database_url)


def _unreachable(subject: str, url: SecretUrl, error: Exception) -> Finding:
    reason = str(error).removeprefix("database: ") or "no answer"
    advice = "see that it runs, and that address, password and network are right"
    return Finding(subject, "fault", f"{url}: {reason}", advice)


async def _examine_schema(settings: Settings, database: Probe) -> Finding:
    if not database.has_schema:
        return Finding("schema", "note", "not there yet", "start the service, or run alert-history migrate")
    async with using_store(settings) as store:
        schema = (await store.lifecycle.check())["schema"]
    if schema == "ok":
        return Finding("schema", "ok", "at head")
    return Finding("schema", "fault", schema, "run alert-history migrate")


def _examine_writing(database: Probe) -> Finding:
    if not database.write_fault:
        return Finding("writing", "ok", "allowed")
    advice = "name the primary in DATABASE_URL" if database.is_replica else "give this user the right to write"
    return Finding("writing", "fault", database.write_fault, advice)


def _examine_clock(theirs: datetime, ours: datetime) -> Finding:
    seconds = (theirs - ours).total_seconds()
    if abs(theirs - ours) <= _CLOCK_TOLERANCE:
        return Finding("clock", "ok", f"{abs(seconds):.1f} s from the database's")
    ahead = "ahead of" if seconds > 0 else "behind"
    advice = "synchronise both by NTP: times in the history, retries and quiet hours go by our clock"
    return Finding("clock", "fault", f"the database is {abs(seconds):.0f} s {ahead} us", advice)


async def _examine_replica(url: SecretUrl) -> Finding:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
            database = await probe(url.reveal())
    except (AlertHistoryError, TimeoutError) as error:
        return _unreachable("replica", url, error)
    if database.is_replica:
        return Finding("replica", "ok", f"{database.version} at {url}")
    return Finding("replica", "note", f"{url} is no replica", "see that it holds the same data")


def _examine_disk(settings: Settings) -> Iterator[Finding]:
    """Watch free space where the database is a file."""
    if not is_sqlite(settings.database_url.reveal()):
        return
    folder = sqlite_path(settings.database_url.reveal()).absolute().parent
    if not folder.is_dir():
        yield Finding("disk", "fault", f"{folder} does not exist", "create it, or change DATABASE_URL")
        return
    yield _judge_space(folder, shutil.disk_usage(folder).free)


def _judge_space(folder: Path, free_bytes: int) -> Finding:
    space = f"{free_bytes / 1e9:.1f} GB free in {folder}"
    if free_bytes >= _ENOUGH_FREE_BYTES:
        return Finding("disk", "ok", space)
    return Finding("disk", "fault", space, "make room, or lower RETENTION_DAYS")


async def _examine_cache(settings: Settings) -> list[Finding]:
    """No findings where `REDIS_URL` is unset."""
    if settings.redis_url is None:
        return []
    shown = settings.redis_url
    if (fault := await probe_redis(shown.reveal(), revealed(settings.redis_password))) is None:
        return [Finding("cache", "ok", f"replicas hear each other through {shown}")]
    advice = "see that it runs, and that address, user and network are right, or unset REDIS_URL"
    return [Finding("cache", "fault", f"{shown}: {fault}", advice)]


async def _examine_llm(settings: Settings) -> list[Finding]:
    """No findings where `LLM_PROXY_URL` is unset. Only the list of models is read, which is free and sends no alert."""
    if settings.llm_proxy_url is None:
        return []
    if (missing := llm_available()) is not None:
        return [Finding("llm", "fault", missing, "install it, or unset LLM_PROXY_URL; until then rules classify")]
    shown = str(settings.llm_proxy_url)
    proxy = Proxy(settings)
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
            models = await proxy.models()
    except (Retryable, TimeoutError) as error:
        return [_unreachable("llm", settings.llm_proxy_url, error)]
    except Rejected as error:
        return [Finding("llm", "fault", f"{shown}: {error}", "see that LLM_PROXY_URL and LLM_API_KEY are right")]
    finally:
        await proxy.close()
    return [_judge_model(shown, settings.llm_model, models)]


def _judge_model(shown: str, model: str, models: Sequence[str] | None) -> Finding:
    if models is None:
        observation = f"{shown} answers, and has no list of models"
        return Finding("llm", "note", observation, "see that LLM_PROXY_URL is right, unless you know that it has none")
    if model in models:
        return Finding("llm", "ok", f"{model} at {shown}")
    listed = ", ".join(name[:_NAME_SHOWN] for name in models[:_MODELS_SHOWN])
    observation = f"{shown} does not list {model}, but {listed or 'nothing'}"
    return Finding("llm", "note", observation, "name one that it has in LLM_MODEL, unless it takes more than it lists")


async def _examine_service(settings: Settings) -> Finding:
    host = _LISTENS_EVERYWHERE.get(settings.host, settings.host)
    url = f"http://{host}:{settings.port}"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_SERVICE_TIMEOUT_SECONDS) as client:
            answer = await client.get(f"{url}/readyz")
    except httpx.ConnectError:
        return Finding("service", "note", f"nobody listens at {url}", "alert-history serve starts it")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        return Finding("service", "fault", f"{url}: {reason}", "see who listens on this port")
    return _judge_service(url, answer)


def _judge_service(url: str, answer: httpx.Response) -> Finding:
    checks = _checks_in(answer)
    if checks is None:
        return Finding("service", "fault", f"another program listens at {url}", "stop it, or choose another PORT")
    if answer.status_code == httpx.codes.OK:
        return Finding("service", "ok", f"ready at {url}")
    failing = ", ".join(f"{name}: {state}" for name, state in checks.items() if state != "ok")
    return Finding("service", "fault", f"not ready at {url}: {failing}", "mend what it names; it recovers by itself")


def _checks_in(answer: httpx.Response) -> dict[str, Any] | None:
    """The checks of our own `/readyz`, or None if another program answered."""
    try:
        document = answer.json()
    except ValueError:
        return None
    checks = document.get("checks") if isinstance(document, dict) else None
    return checks if isinstance(checks, dict) else None

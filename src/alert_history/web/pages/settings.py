"""`/dashboard/settings`: the enrichment mode and its switch, health, what is configured and from where, versions.

Nothing here shows a secret: values come masked. How it looks is in `templates/settings/`.
"""

import platform
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Literal, NamedTuple, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.config import EffectiveSetting
from alert_history.domain.classification import Mode
from alert_history.domain.permission import Permission
from alert_history.engine.caller import signed_as
from alert_history.engine.modes import Modes, ModeState
from alert_history.errors import InvalidBody
from alert_history.ports import RollupChecks, Rollups
from alert_history.web.api.enrichment import EnrichmentModeBody
from alert_history.web.api.health import NEEDED, Readiness
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.frame import Frame, Frames
from alert_history.web.pages.page import Link, Page, message, rendered
from alert_history.web.pages.posted import fields_of, refusal
from alert_history.web.pages.streaming import streamed

PATH = "dashboard/settings"
_BACK = Link(PATH, "Back to the settings")
_UNCHANGED = "Nothing was changed."
_FAULTS = {
    "mode": f"The mode: choose one of {', '.join(get_args(Mode))}.",
    "by": "Your name: from 1 to 100 characters.",
}
_LOGGED = 10_000
_LATELY = timedelta(minutes=5)

MODES: Mapping[Mode, tuple[str, str]] = {
    "transparent": ("Transparent", "Alerts go out at once, as they came. Nobody classifies them."),
    "enriched": ("Enriched", "Alerts wait for their classification, {seconds} s at most, and go out with it."),
    "transparent_with_recommendations": (
        "Transparent, with recommendations",
        "Alerts go out at once. Their classification follows, where the target takes it.",
    ),
}
"""Each mode in words, and what it does."""


class Advice(NamedTuple):
    """What a check of `/readyz` is about, and what to do where it is not ok."""

    meaning: str
    advice: str


ADVICE: Mapping[str, Advice] = {
    "database": Advice(
        "History can be kept", "See that it runs, and that address and password in DATABASE_URL are right."
    ),
    "schema": Advice("Its tables fit this release", "Run alert-history migrate, or restart a pod of this release."),
    "startup": Advice("The start is finished", "Wait a moment. If it stays, the log says what is waited for."),
    "discovery": Advice("Targets can be looked for", "Give the right to read Secrets, or correct TARGETS_DIR."),
    "routes": Advice("ROUTES_FILE can be read", "Correct the file; the last good routes stay in force meanwhile."),
    "origins": Advice(
        "Alertmanagers and Prometheus servers answer",
        "See that ALERTMANAGER_URLS and PROMETHEUS_URLS can be reached from here.",
    ),
    "cache": Advice(
        "Replicas hear of each other at once",
        "See REDIS_URL. Nothing is lost meanwhile: replicas find out a second later.",
    ),
    "llm": Advice("The model answers", "See LLM_PROXY_URL and LLM_API_KEY. Alerts go out without its word meanwhile."),
}
_OTHER = Advice("", "The log says more.")

GROUPS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Database and replicas", ("DATABASE_", "READ_DATABASE_", "REDIS_")),
    ("Server and logs", ("HOST", "PORT", "WORKERS", "ENVIRONMENT", "LOG_", "SHUTDOWN_", "TRUSTED_")),
    ("Trust", ("AUTH_", "ADMIN_", "INGEST_", "METRICS_", "WEBHOOK_HMAC_", "SIGN_", "OIDC_", "PUBLIC_", "MCP_")),
    ("Targets", ("PUBLISHING_", "TARGET", "ROUTES_", "ALLOW_")),
    ("Enrichment", ("ENRICHMENT_", "LLM_")),
    ("Sources", ("PAGERDUTY_", "ROOTLY_", "ALERTMANAGER_", "PROMETHEUS_", "RECONCILE_", "SILENCE_", "MAX_")),
    ("Ends of alerts", ("STALE_", "EXPIRE_")),
    ("Retention", ("RETENTION_", "AUDIT_", "ROLLUP_", "BODY_")),
    ("Flapping", ("FLAP_",)),
)
"""How settings stand together on the page, by how their names begin; what fits none stands under `Other`."""


class SettingsParameters(msgspec.Struct, frozen=True):
    """`switched`: the form was just sent; that is said only where the mode was switched lately indeed."""

    switched: Literal["yes"] | None = None
    tz: str | None = None
    part: str | None = None


class Check(NamedTuple):
    """A check of `/readyz`: its name, its word, whether requests can be kept without it, and what to do."""

    name: str
    word: str
    is_needed: bool
    meaning: str
    advice: str

    @property
    def is_ok(self) -> bool:
        """Whether all is well."""
        return self.word == "ok"


class Reach(NamedTuple):
    """Whom a switch of the mode affects: so many targets are notified; `nobody` is why none is."""

    targets: int
    nobody: str | None
    classifies: str


class Configured(NamedTuple):
    """What does not change while the process runs, and who answers for what does."""

    settings: Sequence[EffectiveSetting]
    schema: str
    deadline_seconds: int
    database: Callable[[], Awaitable[str | None]]
    reach: Callable[[], Reach]


class SettingsPage:
    """The page, and the form on it."""

    def __init__(
        self,
        configured: Configured,
        *,
        modes: Modes,
        readiness: Readiness,
        rollups: Rollups,
        checks: RollupChecks,
        frames: Frames,
    ) -> None:
        self._configured = configured
        self._modes = modes
        self._readiness = readiness
        self._rollups = rollups
        self._checks = checks
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [
            Page(path=f"/{PATH}", handle=self.show, needs=Permission.READ),
            Page(path=f"/{PATH}/mode", method="POST", handle=self.switch, needs=Permission.OPERATE),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/settings`."""
        asked = read_page_parameters(request, SettingsParameters)
        frame = await self._frames.of(request, PATH)

        async def health() -> str:
            return rendered("settings/health.html.jinja", frame=frame, checks=checks_of(await self._readiness.checks()))

        async def facts() -> str:
            return await self._facts(frame)

        return await streamed(
            request,
            frame,
            "settings/settings.html.jinja",
            {"health": health, "facts": facts},
            modes=MODES,
            mode=self._modes.state,
            seconds=self._configured.deadline_seconds,
            reach=self._configured.reach(),
            given=[each for each in self._configured.settings if each.given != "default"],
            groups=grouped(self._configured.settings),
            is_signed=bool(signed_as("")),
            was_switched=asked.switched is not None and was_just_switched(self._modes.state, frame.now),
        )

    async def switch(self, request: Request) -> Response:
        """`POST /dashboard/settings/mode`: a form of our own page, and of no other."""
        refused = refusal(request, back=_BACK)
        if refused is not None:
            return refused
        try:
            asked = _asked_of(await fields_of(request))
        except InvalidBody as error:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return message(request, status, "This can't be switched", str(error), back=_BACK, tagline=_UNCHANGED)
        await self._modes.switch(asked.mode, by=signed_as(asked.by))
        # Relative, as a proxy may serve us below a path of its own.
        return RedirectResponse("../settings?switched=yes#mode", status_code=HTTPStatus.SEE_OTHER)

    async def _facts(self, frame: Frame) -> str:
        waiting = await self._checks.log_length()
        return rendered(
            "settings/facts.html.jinja",
            frame=frame,
            database=await self._configured.database(),
            schema=self._configured.schema,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.release()}, {platform.machine()}",
            implementation=sys.implementation.name,
            is_counted=await self._rollups.is_counted(),
            waiting=waiting,
            logged=_LOGGED,
            values={each.variable.name: each.value for each in self._configured.settings},
        )


def checks_of(words: Mapping[str, str]) -> list[Check]:
    """The checks with what to do, those that are not ok first."""
    checks = [Check(name, word, name in NEEDED, *ADVICE.get(name, _OTHER)) for name, word in words.items()]
    return sorted(checks, key=lambda check: (check.is_ok, not check.is_needed))


def was_just_switched(state: ModeState, now: datetime) -> bool:
    """Whether a person switched the mode within the last minutes: a link alone can't say so."""
    return state.switched_at is not None and now - state.switched_at < _LATELY


def grouped(settings: Sequence[EffectiveSetting]) -> list[tuple[str, list[EffectiveSetting]]]:
    """The settings by group, in the order of the groups."""
    places = [*(title for title, _ in GROUPS), "Other"]
    ordered = sorted(settings, key=lambda each: places.index(_group_of(each)))
    return [(title, list(some)) for title, some in groupby(ordered, key=_group_of)]


def _group_of(setting: EffectiveSetting) -> str:
    name = setting.variable.name
    return next((title for title, prefixes in GROUPS if name.startswith(prefixes)), "Other")


def _asked_of(fields: Mapping[str, str]) -> EnrichmentModeBody:
    """What the fields of a form ask for. Raises InvalidBody naming the field."""
    given = {name: text.strip() for name, text in fields.items() if text.strip()}
    try:
        return msgspec.convert({"mode": ""} | given, EnrichmentModeBody)
    except msgspec.ValidationError as error:
        wrong = re.search(r"`\$\.(\w+)", str(error))
        raise InvalidBody(_FAULTS.get(wrong[1], str(error)) if wrong else str(error)) from None

"""The paths that vendors send their webhooks to: PagerDuty's and Rootly's, each signed with a secret of ours.

Holds who may send, and the answers; `engine.vendor_acts` takes the events. A webhook that is signed is answered 200,
whatever becomes of it, because a vendor drops a webhook on 4xx, and stops to send any after a few of them.
"""

from collections.abc import Callable, Collection
from typing import Any

import msgspec
import structlog
from starlette.requests import Request

from alert_history.domain.acts import ActSource
from alert_history.domain.permission import Permission
from alert_history.engine.vendor_acts import VENDORS, Fate, VendorActs
from alert_history.errors import SettingLacking, WrongSignature
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import read_small
from alert_history.web.ingest.signature import is_signed_by_pagerduty, is_signed_by_rootly

_TAG = "Ingest"
_MAX_BODY_BYTES = 256 * 1024  # PagerDuty drops webhooks that are larger
_UNSET_RETRY_SECONDS = 60

_log = structlog.get_logger()


class VendorWebhook(msgspec.Struct, frozen=True):
    """One event of a vendor, as the vendor documents it."""

    event: dict[str, Any]
    data: dict[str, Any] | None = None


class VendorAnswer(msgspec.Struct, frozen=True):
    """What became of the event: `received` = `stored` + `repeated` + `ignored` + `quarantined`, and why."""

    status: str
    received: int
    stored: int
    repeated: int
    ignored: int
    quarantined: int
    reason: str


class _Signing(msgspec.Struct, frozen=True):
    """How a vendor signs: the header, the check, and the setting that holds the secrets."""

    header: str
    is_signed: Callable[..., bool]
    setting: str


_SIGNING: dict[ActSource, _Signing] = {
    "pagerduty": _Signing("x-pagerduty-signature", is_signed_by_pagerduty, "PAGERDUTY_WEBHOOK_SECRET"),
    "rootly": _Signing("x-rootly-signature", is_signed_by_rootly, "ROOTLY_WEBHOOK_SECRET"),
}


class VendorWebhooks:
    """The handlers. `secrets` are those of each vendor; none where its setting is not set."""

    def __init__(self, vendor_acts: VendorActs, *, secrets: dict[ActSource, Collection[str]]) -> None:
        self._vendor_acts = vendor_acts
        self._secrets = secrets

    def operations(self) -> list[Operation]:
        """An operation for each vendor. The signature says who calls, so the path needs no permission."""
        return [
            Operation(
                method="POST",
                path=f"/webhook/{source}",
                summary=f"Take what people did at {VENDORS[source]}",
                handle=self._handler(source),
                body=VendorWebhook,
                answer=VendorAnswer,
                tag=_TAG,
                needs=Permission.PUBLIC,
                failures=(401, 413, 503),
                description=f"For {VENDORS[source]}'s own webhooks, signed with `{signing.setting}`. Who acknowledged, "
                "noted or resolved an incident there stands on the timeline of its alert. 503 while the secret is "
                "not set, so that the event comes again.",
            )
            for source, signing in _SIGNING.items()
        ]

    def _handler(self, source: ActSource) -> Callable[[Request, None], Any]:
        async def handle(request: Request, _: None) -> VendorAnswer:
            return await self._take(source, request)

        return handle

    async def _take(self, source: ActSource, request: Request) -> VendorAnswer:
        body = await read_small(request, max_bytes=_MAX_BODY_BYTES)
        self._check(source, request, body)
        taken = await self._vendor_acts.take(source, body)
        return _answer(taken.fate, taken.reason)

    def _check(self, source: ActSource, request: Request, body: bytes) -> None:
        """Raises SettingLacking without a secret, WrongSignature where no signature was made with one of ours."""
        signing, secrets = _SIGNING[source], self._secrets.get(source, ())
        if not secrets:
            raise SettingLacking(
                f"{signing.setting} is not set, so nobody can tell whether {VENDORS[source]} sent this",
                after_seconds=_UNSET_RETRY_SECONDS,
            )
        if not signing.is_signed(body, request.headers.get(signing.header, ""), secrets=secrets):
            _log.warning("vendor_webhook_refused", source=source, reason="the signature is wrong")
            raise WrongSignature(f"{signing.header}: no signature was made with {signing.setting}")


def _answer(fate: Fate, reason: str) -> VendorAnswer:
    counts = {name: int(fate == name) for name in ("stored", "repeated", "ignored", "quarantined")}
    return VendorAnswer("success", 1, **counts, reason=reason)

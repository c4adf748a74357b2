"""The audit over HTTP: who did what, from where; and the digests that show whether it was changed."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.audit import AuditChain, AuditEntry
from alert_history.domain.permission import Permission
from alert_history.ports import AuditFilter, AuditTrail
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import Limit

_TAG = "Audit"


class AuditParameters(msgspec.Struct, frozen=True):
    """Which entries."""

    since: Annotated[datetime, Meta(tz=True, description="From then on")] | None = None
    until: Annotated[datetime, Meta(tz=True, description="Before then")] | None = None
    actor: Annotated[str, Meta(max_length=1000, description="Who did it, by the whole name")] = ""
    action: Annotated[str, Meta(max_length=1000, description="What was done, as `action` says it")] = ""
    outcome: Literal["done", "refused", "failed"] | None = None
    limit: Limit = 50
    cursor: Annotated[UUID, Meta(description="`next_cursor` of the page before")] | None = None


class ChainParameters(msgspec.Struct, frozen=True):
    """Which days."""

    since: Annotated[date, Meta(description="That day, in UTC, and later ones")] | None = None


class AuditEntryAnswer(msgspec.Struct, frozen=True):
    """Who did what, from where, and how that ended. `before` and `after` are what it changed, null where nothing is.

    `day`, `replica`, `position` and `digest` are its place in its chain; empty and 0 where it was written before there
    were chains.
    """

    id: str
    at: datetime
    actor: str
    from_address: str
    action: str
    outcome: Literal["done", "refused", "failed"]
    before: Any
    after: Any
    detail: dict[str, Any]
    day: str
    replica: str
    position: int
    digest: str


class AuditAnswer(msgspec.Struct, frozen=True):
    """A page of the audit, newest first."""

    entries: list[AuditEntryAnswer]
    limit: int
    next_cursor: str | None


class ChainAnswer(msgspec.Struct, frozen=True):
    """The chain of one process on one day (UTC): how many entries it has, and its digests.

    `follows` is the digest with which the chain before it ended when this one began. With `dropped_at` its entries are
    gone, as `AUDIT_RETENTION_DAYS` says.
    """

    number: int
    day: str
    replica: str
    follows: str
    entries: int
    first_digest: str
    last_digest: str
    dropped_at: datetime | None


class ChainList(msgspec.Struct, frozen=True):
    """Chains, in the order in which they began."""

    chains: list[ChainAnswer]


class AuditApi:
    """The handlers."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/audit",
                summary="Who did what",
                handle=self.page,
                answer=AuditAnswer,
                tag=_TAG,
                needs=Permission.ADMIN,
                parameters=AuditParameters,
                failures=(400, 503),
                description="Every call that changed something, sign-in, refusal and export; newest first.",
            ),
            Operation(
                path="/api/v1/audit/chains",
                summary="The digests of the audit, by day and process",
                handle=self.chains,
                answer=ChainList,
                tag=_TAG,
                needs=Permission.ADMIN,
                parameters=ChainParameters,
                failures=(400, 503),
                description="Kept elsewhere, they show later whether anybody changed the audit of that day.",
            ),
        ]

    async def page(self, _: Request, asked: AuditParameters) -> AuditAnswer:
        """`GET /api/v1/audit`."""
        wanted = AuditFilter(
            since=asked.since, until=asked.until, actor=asked.actor, action=asked.action, outcome=asked.outcome
        )
        cursor = None if asked.cursor is None else str(asked.cursor)
        page = await self._trail.page(wanted, limit=asked.limit, cursor=cursor)
        return AuditAnswer([_entry(entry) for entry in page.entries], asked.limit, page.next_cursor)

    async def chains(self, _: Request, asked: ChainParameters) -> ChainList:
        """`GET /api/v1/audit/chains`."""
        chains = await self._trail.chains(since="" if asked.since is None else asked.since.isoformat())
        return ChainList([_chain(chain) for chain in chains])


def _entry(entry: AuditEntry) -> AuditEntryAnswer:
    return AuditEntryAnswer(
        entry.id,
        entry.at,
        entry.actor,
        entry.from_address,
        entry.action,
        entry.outcome,
        entry.detail.get("from"),
        entry.detail.get("to"),
        dict(entry.detail),
        entry.day,
        entry.replica,
        entry.position,
        entry.digest,
    )


def _chain(chain: AuditChain) -> ChainAnswer:
    return ChainAnswer(**msgspec.structs.asdict(chain))

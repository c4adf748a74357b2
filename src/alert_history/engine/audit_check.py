"""Whether the audit is as it was written: each chain link by link, and the chains among each other."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec

from alert_history.domain.audit import AuditChain, AuditEntry, fault_of
from alert_history.ports import AuditTrail

_STEP = 500
_MOST_STRAYS = 5
_OLDER_RELEASE = timedelta(days=1)
"""So long after the first chain a replica of an older release may write entries that have none."""


class AuditReport(msgspec.Struct, frozen=True):
    """What was looked at, and what is wrong: a sentence for each break, which names the first entry that it concerns.

    `newest` is the last chain of all, with whatever digest it ends now.
    """

    days: int
    chains: int
    entries: int
    faults: Sequence[str]
    newest: AuditChain | None


async def check_audit(trail: AuditTrail, *, since: str = "") -> AuditReport:
    """Check the chains of that day (as `2026-09-30`) and later; without it all. Raises StorageUnavailable."""
    chains = await trail.chains(since=since)
    faults = _faults_among(chains)
    kept_chains = [chain for chain in chains if chain.dropped_at is None]
    entries = 0
    followed = {chain.number - 1: chain for chain in chains}
    for chain in kept_chains:
        number, fault = await _check(trail, chain, follower=followed.get(chain.number))
        entries += number
        faults += [fault] if fault else []
    if kept_chains:
        faults += [fault async for fault in _strays(trail, kept_chains, is_all=not since)]
    return AuditReport(
        days=len({chain.day for chain in kept_chains}),
        chains=len(kept_chains),
        entries=entries,
        faults=faults,
        newest=chains[-1] if chains else None,
    )


async def _check(trail: AuditTrail, chain: AuditChain, *, follower: AuditChain | None) -> tuple[int, str]:
    """How many links a chain has that are right, and what is wrong behind them; empty if nothing is."""
    previous, count = chain.origin, 0
    is_followed = follower is None or not follower.follows
    async for link in _links(trail, chain):
        if fault := fault_of(link, previous, position=count + 1):
            return count, f"{_name(chain)}: entry {link.id}: {fault}"
        previous, count = link.digest, count + 1
        is_followed = is_followed or (follower is not None and previous == follower.follows)
    return count, _fault_at_end(chain, count, previous, is_followed=is_followed)


def _fault_at_end(chain: AuditChain, count: int, last_digest: str, *, is_followed: bool) -> str:
    if count < chain.entries:
        return f"{_name(chain)}: its last {chain.entries - count} entries are missing, behind position {count}"
    if count > chain.entries:
        return f"{_name(chain)}: {count - chain.entries} entries were added at its end, behind position {chain.entries}"
    if last_digest != (chain.last_digest or chain.origin):
        return f"{_name(chain)}: it does not end with the digest that was kept of it"
    return "" if is_followed else f"{_name(chain)}: the chain that began next follows a digest that it does not have"


async def _links(trail: AuditTrail, chain: AuditChain) -> AsyncIterator[AuditEntry]:
    after: int | None = None
    while links := await trail.links(chain, after=after, limit=_STEP):
        for link in links:
            yield link
        after = links[-1].position


def _faults_among(chains: Sequence[AuditChain]) -> list[str]:
    """Chains that are missing between others, and days that were dropped while older ones stay."""
    faults = [
        f"{_name(later)}: the chain before it is missing, number {later.number - 1}"
        for earlier, later in pairwise(chains)
        if later.number != earlier.number + 1
    ]
    oldest = min((chain.day for chain in chains if chain.dropped_at is None), default="9999")
    return faults + [
        f"{_name(chain)}: it is marked as dropped, though older days are kept"
        for chain in chains
        if chain.dropped_at is not None and chain.day > oldest
    ]


async def _strays(trail: AuditTrail, kept_chains: Sequence[AuditChain], *, is_all: bool) -> AsyncIterator[str]:
    first = datetime.fromisoformat(min(chain.day for chain in kept_chains)).replace(tzinfo=UTC)
    is_begin = is_all or min(chain.number for chain in kept_chains) == 1
    for entry in await trail.strays(since=first + _OLDER_RELEASE if is_begin else first, limit=_MOST_STRAYS):
        yield f"entry {entry.id} of {entry.at:%Y-%m-%d %H:%M} UTC is in no chain: it was inserted by somebody else"


def _name(chain: AuditChain) -> str:
    return f"{chain.day} of {chain.replica}"

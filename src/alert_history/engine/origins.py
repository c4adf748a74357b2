"""The origins that are asked what fires: all at once, and which of them answered is remembered.

Must not decide what an answer changes (that is `reconcile` and `domain.reconciling`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Self

import httpx
import msgspec

from alert_history.domain.alertmanager.masking import masked
from alert_history.domain.origin import Origin, parse_origins
from alert_history.domain.poll import AlertmanagerPoll, PrometheusPoll
from alert_history.domain.reconciling import APART_US
from alert_history.domain.speaker import witness_id
from alert_history.domain.standing import Witnesses
from alert_history.engine.listing import Listing, alertmanager_listing, api_sender, prometheus_listings
from alert_history.errors import OriginUnavailable
from alert_history.origins.alertmanager import Mask, poll_alertmanager
from alert_history.origins.asking import origin_client
from alert_history.origins.prometheus import poll_prometheus
from alert_history.ports import Clock

_REMEMBERED_TEXTS = 16  # the text of a configuration is masked once, not at each round


class Origins(msgspec.Struct, frozen=True):
    """The Alertmanagers and Prometheus servers that are asked."""

    alertmanagers: Sequence[Origin] = ()
    prometheuses: Sequence[Origin] = ()

    @classmethod
    def read(cls, alertmanager_urls: str | None, prometheus_urls: str | None) -> Self:
        """Origins from two comma-separated lists of URLs. Raises: ValueError, which says what is wrong."""
        return cls(*(parse_origins(urls) if urls else [] for urls in (alertmanager_urls, prometheus_urls)))

    @property
    def is_empty(self) -> bool:
        """Whether there is no origin."""
        return not self.alertmanagers and not self.prometheuses

    def witnesses(self) -> Witnesses:
        """The peers of each cluster's API by configuration: senders whose own URL is the one that is asked."""
        known = Witnesses()
        for origin in self.alertmanagers:
            for server in origin.servers:
                known = known.joined(api_sender(origin.name), witness_id(server.url))
        return known


class Round(msgspec.Struct, frozen=True):
    """One round of asking: the answers of all origins, and, by source, why an origin is silent."""

    listings: list[Listing]
    faults: dict[str, str]


class Asking:
    """Asks origins, and remembers the external URL of each server: a silent server may share it with another.

    `apart_us` is for how long an Alertmanager has to lack an alert before the alert is over. `mask` masks the secrets
    of a configuration.
    """

    def __init__(
        self,
        origins: Origins,
        *,
        clock: Clock,
        is_publishing: bool,
        apart_us: int = APART_US,
        mask: Mask = masked,
    ) -> None:
        self.origins = origins
        self._mask = lru_cache(maxsize=_REMEMBERED_TEXTS)(mask)
        self._apart_us = apart_us
        self._clock = clock
        self._is_publishing = is_publishing
        self._urls: dict[str, str] = {}
        self._client: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close all connections; `ask` may be called again."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def ask(self, witnesses: Witnesses) -> Round:
        """Ask all origins at once. An origin that is silent becomes a fault of the answer, and raises nothing."""
        faults: dict[str, str] = {}
        client = self._client = self._client or origin_client()
        asking = [self._ask_alertmanager(origin, client, faults) for origin in self.origins.alertmanagers]
        asking += [self._ask_prometheus(origin, client, faults, witnesses) for origin in self.origins.prometheuses]
        listings = [listing for answer in await asyncio.gather(*asking) for listing in answer]
        return Round(sorted(listings, key=lambda listing: listing.asked.asked_us), faults)

    async def _ask_alertmanager(
        self, origin: Origin, client: httpx.AsyncClient, faults: dict[str, str]
    ) -> list[Listing]:
        try:
            poll = await poll_alertmanager(origin, client, clock=self._clock, mask=self._mask)
        except OriginUnavailable as error:
            faults[f"alertmanager/{origin.name}"] = str(error)
            return []
        return [await asyncio.to_thread(self._read_alertmanager, poll)]

    async def _ask_prometheus(
        self, origin: Origin, client: httpx.AsyncClient, faults: dict[str, str], witnesses: Witnesses
    ) -> list[Listing]:
        try:
            polls = await poll_prometheus(origin, client, clock=self._clock)
        except OriginUnavailable as error:
            faults[f"prometheus/{origin.name}"] = str(error)
            return []
        return await asyncio.to_thread(self._read_prometheus, origin, polls, witnesses)

    def _read_alertmanager(self, poll: AlertmanagerPoll) -> Listing:
        return alertmanager_listing(poll, self._clock(), is_publishing=self._is_publishing, apart_us=self._apart_us)

    def _read_prometheus(self, origin: Origin, polls: Sequence[PrometheusPoll], witnesses: Witnesses) -> list[Listing]:
        self._urls |= {poll.server: poll.external_url or poll.server for poll in polls}
        return prometheus_listings(
            polls,
            self._clock(),
            silent=self._silent(origin, polls),
            witnesses=witnesses,
            is_publishing=self._is_publishing,
        )

    def _silent(self, origin: Origin, polls: Sequence[PrometheusPoll]) -> str | None:
        """Why a silent server may share the external URL of one that answered; None if no silent server may."""
        answered = {poll.server for poll in polls}
        shared = {poll.external_url or poll.server for poll in polls}
        for server in origin.servers:
            if server.url not in answered and self._urls.get(server.url) in {None, *shared}:
                return f"its replica at {server.url} does not answer"
        return None


class OriginState(msgspec.Struct, frozen=True):
    """When an origin last answered (None: never), and why it is silent now (None: it answers)."""

    answered_at: datetime | None = None
    fault: str | None = None


def states_after(round_: Round, before: Mapping[str, OriginState], now: datetime) -> dict[str, OriginState]:
    """How the origins fare after they were asked, by source."""
    answered = {listing.asked.source: OriginState(now) for listing in round_.listings}
    silent = {
        source: OriginState(before[source].answered_at if source in before else None, fault)
        for source, fault in round_.faults.items()
    }
    return answered | silent

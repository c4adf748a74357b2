"""The names of the alerting rules of the Prometheus servers that are known, asked now and then and remembered."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from alert_history.domain.origin import Origin
from alert_history.errors import OriginUnavailable
from alert_history.origins.asking import origin_client
from alert_history.origins.prometheus import ask_rule_names
from alert_history.ports import Clock

_LASTS = timedelta(minutes=1)
_ASKING_SECONDS = 3.0


class PrometheusRules:
    """Knows the names of the rules of some Prometheus servers."""

    def __init__(self, origins: Sequence[Origin], *, clock: Clock) -> None:
        self._origins = origins
        self._clock = clock
        self._asked_at: datetime | None = None
        self._names: frozenset[str] = frozenset()
        self._silent: tuple[str, ...] = ()
        self._turn = asyncio.Lock()

    async def names(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """The names, and why those of a server are missing. Takes at most 3 s, and never raises."""
        async with self._turn:
            if self._asked_at is None or self._clock() - self._asked_at > _LASTS:
                await self._ask()
            return self._names, self._silent

    async def _ask(self) -> None:
        async with origin_client() as client:
            asking = (
                ask_rule_names(origin, client, clock=self._clock, seconds=_ASKING_SECONDS) for origin in self._origins
            )
            answers = await asyncio.gather(*asking, return_exceptions=True)
        silent = []
        names: set[str] = set()
        for origin, answer in zip(self._origins, answers, strict=True):
            if isinstance(answer, OriginUnavailable):
                silent.append(f"the rules of prometheus/{origin.name}: {answer}")
            elif isinstance(answer, BaseException):
                raise answer
            else:
                names |= answer
        self._names, self._silent, self._asked_at = frozenset(names), tuple(silent), self._clock()

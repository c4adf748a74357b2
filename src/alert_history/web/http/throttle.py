"""Failed tries to sign in, counted in memory: for each address, and for all of them together."""

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil

_WINDOW_SECONDS = 60.0
_MOST_OF_ONE = 10
_MOST_OF_ALL = 300
_MOST_ADDRESSES = 10_000
_NETWORK_BITS = 64
"""Of IPv6: whoever has one address of such a network has all of them."""


class Throttle:
    """Says who must wait. An address may fail `most_of_one` times a minute.

    While all addresses together fail more than `most_of_all` times a minute, an address that failed once waits, too.
    One that has not failed never waits, so that nobody can lock others out.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        most_of_one: int = _MOST_OF_ONE,
        most_of_all: int = _MOST_OF_ALL,
    ) -> None:
        self._clock = clock
        self._most_of_one = most_of_one
        self._most_of_all = most_of_all
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._all: list[float] = [0, 0.0]

    def wait_seconds(self, address: str) -> int:
        """How long an address must wait before it may try; 0: not at all."""
        now = self._clock()
        count, begin = self._of(address, now)
        all_count, _ = self._all if now - self._all[1] < _WINDOW_SECONDS else (0, now)
        must_wait = count >= self._most_of_one or (count and all_count > self._most_of_all)
        return max(ceil(begin + _WINDOW_SECONDS - now), 1) if must_wait else 0

    def note_failure(self, address: str) -> None:
        """Count a try that failed."""
        now = self._clock()
        count, begin = self._of(address, now)
        self._failures[_place(address)] = [count + 1, begin]
        if now - self._all[1] >= _WINDOW_SECONDS:
            self._all = [0, now]
        self._all[0] += 1
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def _of(self, address: str, now: float) -> tuple[float, float]:
        """How often it failed, and since when; what is older than a minute does not count."""
        count, begin = self._failures.get(_place(address), (0, now))
        return (count, begin) if now - begin < _WINDOW_SECONDS else (0, now)


def _place(address: str) -> str:
    """What counts as one address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(int(parsed) >> _NETWORK_BITS)
    return address

"""Refused requests: a few a minute one by one, the others counted, so that a flood costs neither time nor room."""

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

_WINDOW = timedelta(minutes=1)
_MOST_OF_ADDRESS = 3
_MOST_ALONE = 20
_MOST_COUNTS = 9
_MOST_ADDRESSES = 1_000
_MOST_REQUESTS = 5

_OTHERS = ""
"""Stands for the addresses beyond those that are counted one by one."""


class Refusal(NamedTuple):
    """A request that was refused."""

    at: datetime
    address: str
    actor: str
    request: str
    status: int
    reason: str


class RefusalCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many more were refused in a minute, of an address or of all `addresses` others, and some of the requests."""

    address: str
    addresses: int
    count: int
    since: str
    requests: list[str]


class Refusals:
    """At most `3` entries an address, `20` in all, and `10` counts a minute, however many requests are refused."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._alone: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._requests: dict[str, dict[str, None]] = {}

    def take(self, refusal: Refusal) -> bool:
        """Take a refusal in; whether it is to be an entry of its own."""
        self._since = self._since or refusal.at
        if self._alone[refusal.address] < _MOST_OF_ADDRESS and self._alone.total() < _MOST_ALONE:
            self._alone[refusal.address] += 1
            return True
        is_known = refusal.address in self._counted or len(self._counted) < _MOST_ADDRESSES
        address = refusal.address if is_known else _OTHERS
        self._counted[address] += 1
        requests = self._requests.setdefault(address, {})
        if len(requests) < _MOST_REQUESTS:
            requests[f"{refusal.request} {refusal.status}"] = None
        return False

    def counted(self, now: datetime, *, is_last: bool = False) -> list[RefusalCount]:
        """The counts of a minute that is over, those with the most first; none before it is, unless it is the last."""
        if self._since is None or not (is_last or now - self._since >= _WINDOW):
            return []
        since = self._since.isoformat(timespec="seconds")
        ranked = [address for address, _ in self._counted.most_common()]
        counts = [self._count([address], address, since) for address in ranked[:_MOST_COUNTS]]
        if others := ranked[_MOST_COUNTS:]:
            counts.append(self._count(others, _OTHERS, since))
        self._since = None
        self._alone.clear()
        self._counted.clear()
        self._requests.clear()
        return counts

    def _count(self, addresses: list[str], name: str, since: str) -> RefusalCount:
        requests = list(dict.fromkeys(text for address in addresses for text in self._requests[address]))
        return RefusalCount(
            address=name,
            addresses=len(addresses),
            count=sum(self._counted[address] for address in addresses),
            since=since,
            requests=requests[:_MOST_REQUESTS],
        )

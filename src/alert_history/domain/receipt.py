"""A receipt: one accepted request, and what became of it."""

from datetime import UTC, datetime, timedelta
from functools import cached_property

import msgspec

from alert_history.domain.alert import AlertGroup
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Sighting, sight
from alert_history.domain.speaker import Speaker, speaker_of

RANDOM_ID_BYTES = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def time_ordered_id(time: datetime, *, randomness: bytes) -> str:
    """A UUIDv7 (RFC 9562): ids made later sort later. `randomness` is `RANDOM_ID_BYTES` random bytes."""
    milliseconds = max((time - _EPOCH) // _MILLISECOND, 0)
    value = milliseconds << 80 | int.from_bytes(randomness)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Receipt(msgspec.Struct, frozen=True, dict=True):
    """One accepted request. `id` is a UUIDv7, so ids sort by time; `body` is what was sent, uncompressed.

    `publish` is true where its alerts are to be passed on (`/webhook/proxy`), false where they are only kept. `client`
    is the address it came from, `scope` the one that its URL names, `group_interval_us` how often its group is looked
    at, None where that is not known.
    """

    id: str
    received_at: datetime
    path: str
    publish: bool
    group: AlertGroup
    body: bytes
    body_sha256: bytes
    client: str = ""
    scope: str = ""
    group_interval_us: int | None = None

    @cached_property
    def speaker(self) -> Speaker:
        """Who sent it."""
        return speaker_of(
            self.group,
            client=self.client,
            scope=self.scope,
            is_to_publish=self.publish,
            group_interval_us=self.group_interval_us,
        )

    @cached_property
    def sightings(self) -> list[Sighting]:
        """Its alerts in the order sent."""
        group, at_us = self.group, to_us(self.received_at)
        return [
            sight(
                alert,
                source=group.source,
                receiver=group.receiver,
                receipt_id=self.id,
                received_at=self.received_at,
                speaker=self.speaker,
                at_us=at_us,
            )
            for alert in group.alerts
        ]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request: `received` = `stored` + `repeated` + `quarantined`.

    `stored` counts what changed the history, `repeated` what it already held, `quarantined` what it refused. `targets`
    are those that its `deliveries` are for, by name.
    """

    receipt_id: str
    received: int
    stored: int
    repeated: int
    quarantined: int
    deliveries: int = 0
    targets: frozenset[str] = frozenset()

"""What tests of origins share: the configuration of one server, and polls of it by the clock of this machine."""

from collections.abc import Callable
from datetime import UTC, datetime

from alert_history.domain.alertmanager.masking import masked
from alert_history.domain.origin import Origin, parse_origins
from alert_history.domain.poll import AlertmanagerPoll, PrometheusPoll
from alert_history.origins.alertmanager import poll_alertmanager
from alert_history.origins.asking import POLL_SECONDS, origin_client
from alert_history.origins.prometheus import poll_prometheus


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def origin(*urls: str, name: str = "it") -> Origin:
    """One origin with these servers."""
    (only,) = parse_origins(",".join(f"{name}={url}" for url in urls))
    return only


async def ask_alertmanager(
    *urls: str, seconds: float = POLL_SECONDS, mask: Callable[[str], str] = masked
) -> AlertmanagerPoll:
    """A poll of the cluster with these peers."""
    async with origin_client() as client:
        return await poll_alertmanager(origin(*urls), client, clock=now, seconds=seconds, mask=mask)


async def ask_prometheus(*urls: str, seconds: float = POLL_SECONDS) -> list[PrometheusPoll]:
    """Polls of these replicas."""
    async with origin_client() as client:
        return await poll_prometheus(origin(*urls), client, clock=now, seconds=seconds)

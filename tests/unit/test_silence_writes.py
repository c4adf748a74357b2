"""`engine.silence_writes`: which Alertmanager a silence is passed on to, and when it is not."""

from typing import cast

import pytest

from alert_history.domain.origin import parse_origins
from alert_history.engine.silence_writes import SilenceWrites
from alert_history.errors import AlertHistoryError, Forbidden, InvalidQuery, NotFound, OriginUnavailable
from alert_history.ports import Reconciling
from alert_history.ports.moments import SilenceVersions
from tests.held import NOW
from tests.processes import free_port


def _writes(urls: str, *, is_on: bool = True) -> SilenceWrites:
    nothing_is_kept = cast("SilenceVersions", None), cast("Reconciling", None)
    return SilenceWrites(parse_origins(urls) if urls else [], *nothing_is_kept, is_on=is_on, clock=lambda: NOW)


@pytest.mark.parametrize(
    "urls, cluster, is_on, error, text",
    [
        ("eu=http://a:1", None, False, Forbidden, "SILENCE_WRITES is false"),
        ("", None, True, NotFound, "ALERTMANAGER_URLS names them"),
        ("eu=http://a:1,us=http://b:1", None, True, InvalidQuery, "say which Alertmanager is meant by /am/NAME"),
        ("eu=http://a:1", "us", True, NotFound, "no Alertmanager is called 'us'; there are eu"),
    ],
)
async def test_silence_that_nobody_can_take_is_refused(
    urls: str, cluster: str | None, *, is_on: bool, error: type[AlertHistoryError], text: str
) -> None:
    with pytest.raises(error, match=text):
        await _writes(urls, is_on=is_on).make(b"{}", cluster=cluster)
    with pytest.raises(error, match=text):
        await _writes(urls, is_on=is_on).end("id", cluster=cluster)


async def test_each_peer_that_can_not_be_reached_is_named() -> None:
    ports = free_port(), free_port()
    urls = ",".join(f"eu=http://127.0.0.1:{port}" for port in ports)
    with pytest.raises(OriginUnavailable) as caught:
        await _writes(urls).make(b"{}", cluster="eu")
    assert str(caught.value) == "; ".join(f"http://127.0.0.1:{port}: can't connect" for port in ports)

"""What an Alertmanager holds now: its alerts, muted or not, as open firings, and its silences.

Asked by API v2, as `origins.alertmanager_wire` reads it (`api/v2/openapi.yaml` of prometheus/alertmanager 0.25.0; 0.16
and newer). An Alertmanager remembers no alert that is over, and neither does an import of it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from alert_history.domain.past_firing import PastFiring
from alert_history.domain.poll import PolledAlert
from alert_history.errors import ImportFault
from alert_history.origins.alertmanager_wire import ALERTS, SILENCES, read_alerts, read_silences
from alert_history.origins.imports.http import HTTP_OPTIONS, Server, open_server
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

_BATCH = 2000
_WHERE = Option("url", "Where it is, as in http://alertmanager:9093.", kind="url", is_required=True)

_Value = TypeVar("_Value")


async def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All that one Alertmanager holds. See `ports.past_origins.ReadPast`.

    Alerts are asked for before silences, so that a silence that muted an alert is among them.
    """
    async with open_server(request, option=_WHERE.name) as server:
        alerts = await _ask(server, ALERTS, read=read_alerts)
        silences = await _ask(server, SILENCES, read=read_silences)
    wanted = [_firing(alert, seen_at=request.now) for alert in alerts if request.wants(alert.starts_at)]
    for firings in _parts(wanted):
        yield PastBatch(firings)
    for some in _parts(silences):
        yield PastBatch(silences=some)
    yield PastBatch(done=1.0)


async def _ask(server: Server, path: str, *, read: Callable[[bytes], list[_Value]]) -> list[_Value]:
    """Raises: OriginUnavailable, ImportFault where the answer is not an Alertmanager's."""
    body = await server.get(path)
    try:
        return read(body)
    except (ValueError, RecursionError) as error:
        raise ImportFault(f"{server.url}{path}: its answer is not what an Alertmanager answers: {error}") from None


def _firing(alert: PolledAlert, *, seen_at: datetime) -> PastFiring:
    """The open firing of an alert. Of several receivers the first is the firing's; all of them are details."""
    return PastFiring(
        labels=alert.labels,
        starts_at=alert.starts_at,
        last_seen_at=seen_at,
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        receiver=alert.receivers[0] if alert.receivers else "",
        details={"receivers": alert.receivers} if len(alert.receivers) > 1 else None,
        place=f"alert {alert.fingerprint}",
    )


def _parts(values: Sequence[_Value]) -> list[Sequence[_Value]]:
    return [values[i : i + _BATCH] for i in range(0, len(values), _BATCH)]


ORIGIN = PastOrigin(
    name="alertmanager",
    title="Alertmanager",
    about="What an Alertmanager holds now: the alerts that fire, silenced and inhibited ones too, and its silences.",
    options=(_WHERE, *HTTP_OPTIONS),
    read=read,
)

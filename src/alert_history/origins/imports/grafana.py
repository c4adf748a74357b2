"""Grafana: the history of its alerts' states, from the annotations of its API or from the history that Loki keeps.

Written against the sources of grafana/grafana, versions 8 to 12, as read in November 2026; each module names its files.
`grafana_walk` asks, `grafana_states` reads what is answered, `grafana_pairing` makes firings, and `grafana_rules` finds
the scope and the fingerprints that Grafana's webhook has here.
"""

from collections.abc import AsyncIterator

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.origins.imports.grafana_pairing import Pairing
from alert_history.origins.imports.grafana_rules import find_scope, read_rules
from alert_history.origins.imports.grafana_walk import Window, annotation_windows, line_windows
from alert_history.origins.imports.http import HTTP_OPTIONS, URL, open_server
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

_BATCH = 1000


async def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All firings that began in the asked span. Raises: see `ReadPast`."""
    async with open_server(request) as server:
        scope, external_url = await find_scope(server, request)
        pairing = Pairing(request, await read_rules(server, request), scope=scope, external_url=external_url)
        windows = line_windows if request.text("history") == "loki" else annotation_windows
        async for window in windows(server, request):
            yield _batch(pairing, window)
            if request.end is not None and window.until >= request.end and not pairing.is_waiting():
                break
        rest = list(pairing.rest())
        for begin in range(0, len(rest), _BATCH):
            yield PastBatch(rest[begin : begin + _BATCH], done=1.0)


def _batch(pairing: Pairing, window: Window) -> PastBatch:
    """What ended in a window, and the rows of it that can't be read."""
    firings: list[PastFiring] = []
    refused: list[RefusedRow] = []
    for row in window.rows:
        for each in [row] if isinstance(row, RefusedRow) else pairing.take(row):
            if isinstance(each, RefusedRow):
                refused.append(each)
            else:
                firings.append(each)
    return PastBatch(firings, refused, done=window.done)


ORIGIN = PastOrigin(
    name="grafana",
    title="Grafana",
    about="Take the firings of Grafana's own alert rules from the history of their states.",
    options=(
        URL,
        Option(
            "history",
            "Where Grafana keeps the history of states: in annotations, as it does by default, or in Loki.",
            choices=("annotations", "loki"),
            default="annotations",
        ),
        Option("receiver-scope", "The scope in the URL of Grafana's contact point for Alert History, if it has one."),
        Option("external-url", "The URL that Grafana calls itself, if it does not say: externalURL of its webhook."),
        Option("org-id", "The number of the organisation, if Grafana does not say."),
        Option("without-rules", "Do not ask for the rules: alerts have fingerprints of their labels.", kind="flag"),
        *HTTP_OPTIONS,
    ),
    read=read,
)

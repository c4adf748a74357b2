"""Opsgenie: alerts with their notes and who acknowledged them, from saved files and from its API while it lives.

Opsgenie ends on 5 April 2027. Schema: opsgenie-oas.json 2.0.0 of the repository opsgenie/opsgenie-python-sdk at
0d20d23 (2 August 2021). `opsgenie_api` asks, `opsgenie_files` reads files, `opsgenie_labels` says which labels an alert
has, `opsgenie_firings` what becomes of it.
"""

from collections.abc import AsyncIterator

from alert_history.errors import ConfigurationError
from alert_history.origins.imports.http import HTTP_OPTIONS
from alert_history.origins.imports.opsgenie_api import DEFAULT_URL, read_api
from alert_history.origins.imports.opsgenie_files import read_files
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

_OWN_LOGIN = frozenset({"user", "password", "token"})


async def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All alerts of a file or a folder, or of the API. Raises: see `ReadPast`."""
    has_file, has_key = request.is_set("file"), request.is_set("api-key")
    if has_file == has_key:
        raise ConfigurationError(["name either a file or folder, or a key of the API (--api-key-file)"])
    async for batch in read_files(request) if has_file else read_api(request):
        yield batch


ORIGIN = PastOrigin(
    name="opsgenie",
    title="Opsgenie",
    about="Take alerts, notes and acknowledgements from Opsgenie's API, or from files that were saved from it.",
    options=(
        Option("file", "A file of alerts, JSON, JSON lines or CSV, or a folder of such files.", kind="file"),
        Option("url", "Where its API is; https://api.eu.opsgenie.com for Europe.", kind="url", default=DEFAULT_URL),
        Option("api-key", "A key of its API that may read.", kind="secret"),
        Option("query", "Which alerts, in Opsgenie's search language, as in status:closed."),
        Option("without-acts", "Do not ask for notes and logs: a third of the requests.", kind="flag"),
        *(option for option in HTTP_OPTIONS if option.name not in _OWN_LOGIN),
    ),
    read=read,
)

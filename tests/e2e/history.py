"""Our service under watch: its occurrences as they are now, and the whole story of one alert at the end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.audience import Audience
from tests.processes import Server, wait_until

ONCE = (["fired", "resolved"], ["trigger", "resolve"])
"""What the webhook and PagerDuty are told of one firing."""

_LOOK_SECONDS = 0.2
_SETTLE_SECONDS = 20.0


@dataclass(frozen=True)
class Story:
    """All that became of one alert: its occurrences by start, their events, and what both targets were told.

    `events` holds a list for each occurrence; `messages` are the webhook's, `pages` PagerDuty's actions and keys.
    """

    occurrences: list[dict[str, Any]]
    events: list[list[dict[str, Any]]]
    messages: list[dict[str, Any]]
    pages: list[tuple[str, str]]

    @property
    def only(self) -> dict[str, Any]:
        """The only occurrence. Raises: ValueError where there is not exactly one."""
        (occurrence,) = self.occurrences
        return occurrence

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events of the only occurrence."""
        (events,) = self.events
        return [event["kind"] for event in events]

    @property
    def event_kinds(self) -> list[str]:
        """The kinds of the events that the webhook was told of, in order."""
        return [message["event"] for message in self.messages]

    @property
    def actions(self) -> list[str]:
        """What PagerDuty was asked for, in order."""
        return [action for action, _ in self.pages]

    def detail(self, kind: str) -> dict[str, Any]:
        """The detail of the first event of that kind."""
        return next(event["detail"] or {} for events in self.events for event in events if event["kind"] == kind)


Tell = Callable[..., Story]
"""What the fixture `story` is: `story(scene, alertname, **labels)`."""


@dataclass
class History:
    """One service, by the database that it is on. `occurrences` is what it showed a moment ago."""

    name: str
    server: Server
    audience: Audience
    occurrences: list[dict[str, Any]] = field(default_factory=list)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=10))

    def get(self, path: str, **parameters: str) -> Any:
        """The decoded answer to one call."""
        answer = self.client.get(self.server.url + path, params=parameters)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def look(self) -> None:
        """Take up what is there now."""
        self.occurrences = self.get("/api/v1/alerts", limit="1000")["alerts"]

    def of(self, alertname: str, **labels: str) -> list[dict[str, Any]]:
        """The occurrences of alerts with these labels, the oldest first."""
        wanted = {"alertname": alertname, **labels}.items()
        occurrences = [occurrence for occurrence in self.occurrences if wanted <= occurrence["labels"].items()]
        return sorted(occurrences, key=lambda occurrence: str(occurrence["starts_at"]))

    def story(self, alertname: str, **labels: str) -> Story:
        """What became of an alert, once every delivery of it is made."""
        self.look()
        occurrences = self.of(alertname, **labels)
        events = [self.get(f"/api/v1/alerts/{occurrence['id']}/timeline")["events"] for occurrence in occurrences]
        wanted = {"alertname": alertname, **labels}.items()
        messages = [message for message in self.audience.messages() if wanted <= message["labels"].items()]
        names = {_alert_of(occurrence["id"]) for occurrence in occurrences}
        pages = [page for page in self.audience.pages() if _alert_of(page[1]) in names]
        return Story(occurrences, events, messages, pages)

    def settle(self) -> None:
        """Returns when no delivery waits any more."""
        wait_until(
            lambda: (
                not any(self.get("/api/v1/deliveries", state=state)["deliveries"] for state in ("pending", "leased"))
            ),
            f"all deliveries of {self.name} are made",
            timeout_seconds=_SETTLE_SECONDS,
        )


def _alert_of(occurrence_id: str) -> str:
    """The alert that an occurrence is of, also one that is not kept any more."""
    return occurrence_id.rpartition("-")[0]


@contextmanager
def watched(histories: list[History]) -> Iterator[None]:
    """Looks at all of them again and again until the block ends."""
    is_over = threading.Event()

    def watch(history: History) -> None:
        while not is_over.wait(_LOOK_SECONDS):
            history.look()

    threads = [threading.Thread(target=watch, args=(history,)) for history in histories]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        for history in histories:
            history.client.close()

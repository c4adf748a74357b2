"""Small histories for tests: firings at times that a test names, recorded as senders would have told of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alert import Alert
from alert_history.engine.analysis import Asked, asked
from alert_history.engine.people_acts import KeptAct
from alert_history.ports import Store
from tests.conformance.samples import MINUTE, NOW, alert, receipt


class Firing(msgspec.Struct, frozen=True):
    """One alert that fired from `begins` until `ends`; None: it fires still. It was repeated `repeats` times."""

    alertname: str
    begins: datetime
    ends: datetime | None = None
    labels: dict[str, str] = {}
    repeats: int = 0

    def sent_alerts(self) -> Iterable[tuple[datetime, Alert]]:
        """What senders say of it, and when."""
        yield self.begins, alert(self.alertname, starts_at=self.begins, labels=self.labels)
        for number in range(self.repeats):
            at = self.begins + (number + 1) * timedelta(seconds=1)
            yield at, alert(self.alertname, starts_at=self.begins, labels=self.labels)
        if self.ends is not None:
            over = alert(self.alertname, "resolved", starts_at=self.begins, ends_at=self.ends, labels=self.labels)
            yield self.ends, over


async def record(store: Store, *firings: Firing) -> None:
    """Record firings in the order of time: each is received when it begins, and when it ends."""
    sent_alerts = sorted((each for firing in firings for each in firing.sent_alerts()), key=lambda each: each[0])
    await store.recorder.commit([receipt(sent, at=at) for at, sent in sent_alerts])


class PersonsAct(msgspec.Struct, frozen=True):
    """One act, as whoever keeps acts returns it."""

    fingerprint: str
    starts_at: datetime
    alertname: str
    at: datetime
    kind: str = "acknowledged"
    by: str = "ada"
    text: str = ""
    source: str = "person"


class PersonsActs(msgspec.Struct, frozen=True):
    """Keeps acts."""

    acts: Sequence[PersonsAct]

    async def between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[KeptAct]:
        """Those in a span."""
        return [act for act in self.acts if since <= act.at < until][:limit]

    async def of_occurrence(self, fingerprint: str, starts_at: datetime) -> Sequence[KeptAct]:
        """Those of an occurrence."""
        return [act for act in self.acts if (act.fingerprint, act.starts_at) == (fingerprint, starts_at)]


def act(of: Firing, *, kind: str = "acknowledged", after: timedelta = MINUTE, by: str = "ada") -> PersonsAct:
    """What somebody did about a firing."""
    fingerprint = alert(of.alertname, labels=of.labels).fingerprint
    return PersonsAct(fingerprint, of.begins, of.alertname, of.begins + after, kind, by)


def span(since: datetime, until: datetime, *, query: str = "", now: datetime = NOW) -> Asked:
    """What was received from one time until before another."""
    return asked(query, since.isoformat(), until.isoformat(), now=now)


def evening(alertname: str, begin: datetime, *, labels: dict[str, str] | None = None) -> list[Firing]:
    """The worked example of docs/explanation/flapping.md: four firings of ten minutes, ten minutes apart."""
    begins = [begin + 20 * number * MINUTE for number in range(4)]
    return [Firing(alertname, each, each + 10 * MINUTE, labels or {}) for each in begins]


async def counted(store: Store) -> Store:
    """The store, whose numbers cover its whole history: what a new database is marked as."""
    await store.rollups.count_anew(progress=lambda _: None)
    return store

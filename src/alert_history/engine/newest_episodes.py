"""The newest episodes of a span, as far as they can be read at once; and what an answer from them covers."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.covers import Covers
from alert_history.domain.episode import Episode
from alert_history.engine.analysis import Asked
from alert_history.ports import Analytics, HistoryFilter

MOST_EPISODES = 40_000
"""So many episodes are read at most: to read and to judge them takes about half a second."""

COUNTED_BY_RECEIPT = "timestamp"

_TICK = timedelta(microseconds=1)
_COLUMNS = frozenset({"alertname", "severity", "namespace"})


class NewestEpisodes(msgspec.Struct, frozen=True):
    """Episodes of a span, oldest first. They are all that were received at `since` or later, before `until`.

    `is_cut`: more were received in the span that was asked for, before `since`.
    """

    episodes: Sequence[Episode]
    since: datetime
    until: datetime
    is_cut: bool

    def covers(self, asked: Asked, *, counted_by: str = COUNTED_BY_RECEIPT, left_out: Sequence[str] = ()) -> Covers:
        """What an answer from these episodes covers."""
        span = msgspec.structs.replace(asked, since=self.since, until=self.until)
        return cut_covers(span, self.since if self.is_cut else None, counted_by=counted_by, left_out=left_out)


def cut_covers(
    asked: Asked,
    since: datetime | None,
    *,
    counted_by: str = COUNTED_BY_RECEIPT,
    left_out: Sequence[str] = (),
) -> Covers:
    """What an answer from the occurrences of a span covers; of those received before `since` none was read."""
    more = () if since is None else (f"what was first received before {since.isoformat()}: there is too much",)
    return Covers(
        since=since or asked.since,
        until=asked.until,
        counted_by=counted_by,
        is_exact=since is None,
        counted_from="occurrences",
        fresh_as_of=asked.now,
        left_out=(*more, *left_out),
    )


async def read_newest(analytics: Analytics, asked: Asked, *, most: int = MOST_EPISODES) -> NewestEpisodes:
    """The newest episodes of a span. Raises what `Analytics.episodes` raises."""
    newest = await analytics.episodes(asked.filter, most=most)
    if len(newest) < most:
        return NewestEpisodes(newest[::-1], asked.since, asked.until, is_cut=False)
    since = newest[-1].received_at + _TICK  # what came together with the last one may be cut
    return NewestEpisodes([each for each in reversed(newest) if each.received_at >= since], since, asked.until, True)


def is_by_columns(wanted: HistoryFilter) -> bool:
    """Whether an episode alone tells that it is meant: no condition is about other labels than an episode has."""
    return (
        wanted.fingerprint is None
        and wanted.status is None
        and not wanted.came_by
        and not wanted.query.words
        and all(matcher.name in _COLUMNS for matcher in wanted.query.matchers)
    )


def is_meant(wanted: HistoryFilter, episode: Episode) -> bool:
    """Whether an episode is meant by such a filter; its span is not looked at."""
    labels = {"alertname": episode.alertname, "severity": episode.severity, "namespace": episode.namespace}
    equal = all(getattr(wanted, name) in {None, value} for name, value in labels.items())
    return equal and wanted.query.matches(labels, {})

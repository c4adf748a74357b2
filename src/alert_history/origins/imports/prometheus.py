"""Past alerts of a Prometheus, from the samples of `ALERTS`; also of VictoriaMetrics, Thanos and Mimir.

Raw samples are read by instant queries of a range, span after span: so times are exact to the millisecond.
Written against the HTTP API v1 of Prometheus 2.42 and 3.x and VictoriaMetrics 1.79.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import chain

import structlog

from alert_history.domain.past_firing import PastFiring
from alert_history.domain.times import parse_duration
from alert_history.errors import ConfigurationError, OriginUnavailable
from alert_history.origins.imports.http import HTTP_OPTIONS, URL, open_server
from alert_history.origins.imports.prometheus_asking import (
    LONGEST_SPAN_MS,
    Questions,
    Span,
    one_ahead,
    quoted,
    selector_of,
)
from alert_history.origins.imports.prometheus_knowledge import Knowledge, learn
from alert_history.origins.imports.prometheus_life import Life
from alert_history.origins.imports.prometheus_posts import Posts
from alert_history.origins.imports.prometheus_runs import Firing, Observed, Runs
from alert_history.origins.imports.prometheus_wire import (
    Activation,
    Alert,
    Series,
    activations_of,
    alert_of,
    ms_of,
    stretches_of,
)
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

_LOOKBACK_MS = 5 * 60_000
_HIDDEN_MS = 60_000
"""How long a server that holds others' samples may hold back the newest: VictoriaMetrics does for 30 s."""
_MEMORY_MS = 2 * 3_600_000
_BATCH = 1000
_NAMES_CHARACTERS = 2000
_SPECIAL = str.maketrans({char: f"\\{char}" for char in r"\.+*?()|[]{}^$"})

log = structlog.get_logger(__name__)


async def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """See `ReadPast`."""
    longest_ms = _longest_ms(request)
    async with open_server(request) as server:
        questions = Questions(server)
        now_ms = await questions.now_ms()
        knowledge = await learn(questions, request)
        from_ms = await _from_ms(questions, request, now_ms=now_ms)
        if from_ms is None:
            return
        reading = Reading(questions, knowledge, request=request, from_ms=from_ms)
        async for span in one_ahead(questions.spans(from_ms, now_ms, longest_ms=longest_ms)):
            firings = await reading.take(span)
            done = (span.until_ms - from_ms) / max(1, now_ms - from_ms)
            async for batch in reading.batches(firings, done=done):
                yield batch
            if reading.is_past_end(span.until_ms):
                break
        async for batch in reading.batches(await reading.rest(now_ms), done=1.0):
            yield batch
        reading.report()


def _longest_ms(request: ImportRequest) -> int:
    """Raises: ConfigurationError."""
    if not request.is_set("step"):
        return LONGEST_SPAN_MS
    try:
        step_ms = round(parse_duration(request.text("step")).total_seconds() * 1000)
    except ValueError:
        step_ms = 0
    if step_ms < 1000:  # noqa: PLR2004  # a second
        raise ConfigurationError([f"--step: {request.text('step')!r} is no duration of a second or more, as in 6h"])
    return step_ms


async def _from_ms(questions: Questions, request: ImportRequest, *, now_ms: int) -> int | None:
    """From when on samples are read: a little before the asked start, so that what began before is known to have."""
    if request.start is not None:
        return ms_of(request.start) - _LOOKBACK_MS
    return await questions.earliest_ms(now_ms)


class Reading:
    """One import: what is open between spans, and what the firings of a span become."""

    def __init__(self, questions: Questions, knowledge: Knowledge, *, request: ImportRequest, from_ms: int) -> None:
        self._questions = questions
        self._knowledge = knowledge
        self._request = request
        self._from_ms = from_ms
        self._lookback_ms = max(_LOOKBACK_MS, 4 * knowledge.longest_interval_ms)
        self._lives: dict[tuple[str, ...], Life] = {}
        self._runs = Runs(self._life_of, reads_from_ms=from_ms)
        self._witness = ""
        self._posts = Posts(questions, knowledge, request=request)
        self._samples = 0

    async def take(self, span: Span) -> list[Firing]:
        """The firings that are over by the end of a span."""
        edges = await asyncio.to_thread(self._edges, span)
        if edges:
            since_ms = max(self._from_ms, span.from_ms - self._lookback_ms)
            activations = await self._activations(edges, since_ms=since_ms, until_ms=span.until_ms)
            for series in edges:
                series.activations = activations.get(series.alert, ())
                series.since_ms = since_ms
        if self._knowledge.is_one and (edges or self._runs.silent(span.from_ms)):
            await self._ask_witness(span)
        firings = await asyncio.to_thread(self._follow, edges, span.until_ms)
        self._forget(span.until_ms)
        return firings

    async def rest(self, now_ms: int) -> list[Firing]:
        """What is over or fires still at the end of the reading."""
        current = await self._questions.current(now_ms) if len(self._runs) else set()
        hidden_ms = 0 if self._knowledge.is_one else _HIDDEN_MS
        return list(self._runs.close_all(now_ms, current=current, hidden_ms=hidden_ms))

    def is_past_end(self, time_ms: int) -> bool:
        """Whether nothing that is asked for can come after that time."""
        if self._request.end is None or time_ms < ms_of(self._request.end) + _LOOKBACK_MS:
            return False
        earliest = self._runs.earliest_open_ms()
        return earliest is None or earliest >= ms_of(self._request.end)

    async def batches(self, firings: Iterable[Firing], *, done: float) -> AsyncIterator[PastBatch]:
        """The firings that are wanted, as they were sent."""
        pasts: list[PastFiring] = []
        for firing in firings:
            past = await self._posts.post(firing)
            if past is not None:
                pasts.append(past)
            if len(pasts) == _BATCH:
                yield PastBatch(pasts, done=done)
                pasts = []
        yield PastBatch(pasts, done=done)

    def report(self) -> None:
        """Log what was read, and what was left out."""
        log.info(
            "prometheus_was_read",
            samples=self._samples,
            firings=self._posts.made,
            dropped_by_relabelling=self._posts.dropped,
            annotations_left_out=self._posts.annotations_left_out,
        )

    # --- The samples of a span ----------------------------------------------------------------------------------------

    def _edges(self, span: Span) -> list[Observed]:
        """The series in which something begins, ends or is lacking; those that just go on are taken on."""
        edges = []
        for series in span.series:
            labels = series.labels
            alert = alert_of(labels)
            run = self._runs.open_run(alert)
            known_ms = (run.interval_ms if run else None) or self._knowledge.rule(labels).interval_ms
            read = stretches_of(series, known_ms=known_ms)
            self._samples += read.samples
            if not read.stretches:
                continue
            self._life_of(labels).add_evaluated(read.stretches)
            if not self._runs.go_on(alert, read.stretches, until_ms=span.until_ms):
                edges.append(Observed(alert, labels, read.stretches, read.interval_ms))
        return edges

    def _follow(self, edges: list[Observed], until_ms: int) -> list[Firing]:
        self._runs.note(edges)
        taken = chain.from_iterable(self._runs.take(series, self._knowledge.rule(series.labels)) for series in edges)
        return [*taken, *self._runs.close_silent(until_ms)]

    async def _activations(
        self, edges: list[Observed], *, since_ms: int, until_ms: int
    ) -> dict[Alert, list[Activation]]:
        """What ALERTS_FOR_STATE says of these alerts, by their labels."""
        names = sorted({series.labels.get("alertname", "") for series in edges})
        text = "|".join(name.translate(_SPECIAL) for name in names)
        matcher = f"{{alertname=~{quoted(text)}}}" if len(text) <= _NAMES_CHARACTERS else ""
        found = await self._questions.matrix(f"ALERTS_FOR_STATE{matcher}", from_ms=since_ms, until_ms=until_ms)
        wanted = {series.alert for series in edges}
        return await asyncio.to_thread(_activations_of, found, wanted)

    async def _ask_witness(self, span: Span) -> None:
        """Ask a target that is scraped all the time when it was: its gaps are those of the server."""
        since_ms = max(self._from_ms, span.from_ms - self._lookback_ms)
        found = await self._witnessed(since_ms, span.until_ms) if self._witness else []
        if not found:
            self._witness = await self._choose_witness(span)
            found = await self._witnessed(since_ms, span.until_ms) if self._witness else []
        for series in found:
            read = stretches_of(series, known_ms=None)
            if read.samples > 2 and read.interval_ms is not None:  # noqa: PLR2004  # fewer have no interval
                self._life_of({}).add_witnessed(read.stretches, step_ms=read.interval_ms)

    async def _witnessed(self, since_ms: int, until_ms: int) -> list[Series]:
        return await self._questions.matrix(self._witness, from_ms=since_ms, until_ms=until_ms)

    async def _choose_witness(self, span: Span) -> str:
        """The selector of the target that was scraped most often; empty where there is none."""
        for time_ms in (span.until_ms, (span.from_ms + span.until_ms) // 2):
            try:
                vector = await self._questions.vector("topk(1, count_over_time(up[10m]))", time_ms)
            except OriginUnavailable:  # too many targets to count
                return ""
            if vector.result:
                return selector_of("up", vector.result[0].metric)
        return ""

    def _forget(self, until_ms: int) -> None:
        for life in self._lives.values():
            life.forget_before(until_ms - _MEMORY_MS)

    def _life_of(self, labels: dict[str, str]) -> Life:
        server = self._knowledge.server_of(labels)
        if server not in self._lives:
            self._lives[server] = Life()
        return self._lives[server]


def _activations_of(found: list[Series], wanted: set[Alert]) -> dict[Alert, list[Activation]]:
    activations: dict[Alert, list[Activation]] = {}
    for series in found:
        alert = alert_of(series.labels)
        if alert in wanted:
            activations.setdefault(alert, []).extend(activations_of(series))
    return activations


ORIGIN = PastOrigin(
    name="prometheus",
    title="Prometheus",
    about="Past alerts of Prometheus, VictoriaMetrics, Thanos or Mimir, from the samples of ALERTS.",
    options=(
        URL,
        Option(
            "external-label",
            "A label that alerts are sent with and the server does not show, as in cluster=eu.",
            kind="pairs",
        ),
        Option("replica-label", "A label that tells replicas apart; alerts are sent without it.", is_repeated=True),
        Option(
            "rules",
            "A file of rules, for annotations, where the server does not show its rules.",
            kind="path",
            is_repeated=True,
        ),
        Option(
            "values",
            "Ask what each rule's expression had at the start, for annotations that say the value.",
            kind="flag",
        ),
        Option(
            "as-recorded", "Take labels as they are recorded, without external labels and relabelling.", kind="flag"
        ),
        Option("step", "The longest span of one question, as in 6h; by itself it adapts to the answers."),
        *HTTP_OPTIONS,
    ),
    read=read,
)

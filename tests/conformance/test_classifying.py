"""What people ask of classifications: what is known, a new answer, a correction that serves from then on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from alert_history.domain.classification import Case, Verdict, shape_of
from alert_history.engine.classify import Classifying, Correction
from alert_history.errors import NotFound, Rejected
from alert_history.ids import new_id
from alert_history.ports import KeptVerdict
from tests.conformance.samples import MINUTE, NOW, SECOND, alert
from tests.conformance.test_enrichment import Replica, running, verdict

FINGERPRINT = alert().fingerprint


@asynccontextmanager
async def asked(database_url: str) -> AsyncIterator[tuple[Classifying, Replica]]:
    async with running(database_url) as replica:
        await replica.record(alert())
        await replica.let_go()
        store = replica.store
        yield (
            Classifying(
                replica.enrichment,
                store,
                clock=replica.clock,
                make_id=new_id,
            ),
            replica,
        )


async def test_what_is_known_of_an_alert_is_found_by_its_fingerprint(database_url: str) -> None:
    async with asked(database_url) as (classifying, _):
        known = await classifying.find(FINGERPRINT)
        assert (known.shape, [kept_verdict.verdict for kept_verdict in known.verdicts]) == (
            shape_of(alert().labels),
            [verdict()],
        )


async def test_an_alert_nobody_knows_is_not_found(database_url: str) -> None:
    async with asked(database_url) as (classifying, _):
        with pytest.raises(NotFound, match="0000000000000000"):
            await classifying.find("0" * 16)


async def test_what_is_known_is_asked_for_again_only_by_force(database_url: str) -> None:
    async with asked(database_url) as (classifying, replica):
        assert len((await classifying.classify(FINGERPRINT, force=False)).verdicts) == 1
        replica.clock.now = NOW + SECOND
        assert len((await classifying.classify(FINGERPRINT, force=True)).verdicts) == 2
        assert len(replica.model.calls) == 2


async def test_no_model_speaks_after_a_person(database_url: str) -> None:
    async with asked(database_url) as (classifying, replica):
        replica.clock.now = NOW + SECOND
        await classifying.correct(FINGERPRINT, Correction("noise", "ada"))
        replica.clock.now = NOW + 2 * SECOND
        verdicts = (await classifying.classify(FINGERPRINT, force=True)).verdicts
        assert [kept_verdict.verdict.classification.source for kept_verdict in verdicts] == ["person", "llm"]
        assert len(replica.model.calls) == 1


async def test_an_answer_that_comes_after_a_correction_does_not_take_its_place(database_url: str) -> None:
    async with running(database_url) as replica:
        replica.model.hangs.clear()
        await replica.record(alert())
        while not replica.model.calls:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)
        classification = msgspec.structs.replace(
            verdict().classification, severity="noise", source="person", model="ada"
        )
        corrected = KeptVerdict(new_id(NOW), shape_of(alert().labels), FINGERPRINT, Verdict(classification))
        await replica.store.classifications.keep([corrected], now=NOW)
        replica.clock.now = NOW + SECOND
        replica.model.hangs.set()
        await replica.let_go()
        assert await replica.store.classification_history.history(corrected.shape, limit=9) == [corrected]
        (leased,) = await replica.lease()
        assert leased.alert.classification == classification


async def test_an_answer_that_makes_no_sense_is_an_error_and_is_not_kept(database_url: str) -> None:
    def refuse(cases: Sequence[Case]) -> list[Verdict | None]:
        raise Rejected(f"nonsense about {len(cases)}")

    async with asked(database_url) as (classifying, replica):
        replica.model.answer = refuse
        with pytest.raises(Rejected, match="nonsense"):
            await classifying.classify(FINGERPRINT, force=True)
        assert len((await classifying.find(FINGERPRINT)).verdicts) == 1


async def test_a_correction_goes_out_with_the_next_alert_of_the_shape(database_url: str) -> None:
    async with asked(database_url) as (classifying, replica):
        replica.clock.now = NOW + MINUTE
        correction = Correction("noise", by="ada", comment="a cron job")
        corrected = await classifying.correct(FINGERPRINT, correction)
        classification = corrected.verdicts[0].verdict.classification
        assert (classification.severity, classification.source, classification.model, classification.summary) == (
            "noise",
            "person",
            "ada",
            "It fills.",
        )
        await replica.record(alert(labels={"pod": "web-7"}))
        leased = [delivery for delivery in await replica.lease() if delivery.alert.labels.get("pod") == "web-7"]
        assert [delivery.alert.classification for delivery in leased] == [classification]
        assert len(replica.model.calls) == 1


async def test_the_figures_say_what_was_used_and_how_often_people_agreed(database_url: str) -> None:
    async with asked(database_url) as (classifying, replica):
        replica.clock.now = NOW + MINUTE
        await classifying.correct(FINGERPRINT, Correction("noise", by="ada"))
        figures = await classifying.figures(since=NOW - MINUTE, until=NOW + 2 * MINUTE)
        assert (figures.spent.calls, figures.spent.tokens, figures.spent_today.cost_usd) == (2, 120, 0.01)
        assert [(accuracy.model, accuracy.reviewed, accuracy.right) for accuracy in figures.accuracy] == [
            ("gpt-4", 1, 0)
        ]
        assert {(figure.model, figure.severity): figure.count for figure in figures.counts} == {
            ("gpt-4", "warning"): 1,
            ("ada", "noise"): 1,
        }


async def test_alerts_of_one_shape_are_found_each_once(database_url: str) -> None:
    async with asked(database_url) as (classifying, replica):
        for pod in ("web-7", "web-8"):
            await replica.record(alert(labels={"pod": pod}))
        await replica.record(alert(labels={"pod": "web-8"}, starts_at=NOW))
        await replica.record(alert(labels={"team": "other"}))
        await replica.record(alert("SomethingElse"))
        alike = await classifying.alike((await classifying.find(FINGERPRINT)).alert)
        assert sorted(each.labels.get("pod", "") for each in alike.alerts) == ["", "web-7", "web-8"]
        assert alike.is_whole


async def test_the_newest_word_on_each_shape_comes_with_its_alerts(database_url: str) -> None:
    async with asked(database_url) as (classifying, replica):
        await replica.record(alert(labels={"pod": "web-7"}))
        replica.clock.now = NOW + MINUTE
        await classifying.correct(FINGERPRINT, Correction("noise", by="ada"))
        (entry,) = await classifying.newest(limit=10)
        assert (entry.verdict.verdict.classification.severity, len(entry.alike.alerts)) == ("noise", 2)
        assert entry.alert is not None
        assert entry.alert.fingerprint == FINGERPRINT
        assert await classifying.newest(limit=10, severity="warning") == []
        assert len(await classifying.newest(limit=10, severity="noise")) == 1


async def test_the_word_on_a_shape_whose_alert_is_forgotten_comes_without(database_url: str) -> None:
    async with asked(database_url) as (classifying, replica):
        kept_verdict = (await classifying.find(FINGERPRINT)).verdicts[0]
        lost = KeptVerdict(new_id(NOW + MINUTE), "0" * 16, "0" * 16, kept_verdict.verdict)
        await replica.store.classifications.keep([lost], now=NOW + MINUTE)
        first, second = await classifying.newest(limit=10)
        assert (first.alert, first.alike.alerts) == (None, [])
        assert second.alert is not None

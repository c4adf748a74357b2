"""A call of a tool: who may, how long it takes, how faults are told.

Holds: `mcp.toolbox`, `mcp.tool`, `mcp.tools.history`.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from alert_history import errors
from alert_history.domain.grant import EVERYBODY, NOBODY, Grant
from alert_history.domain.permission import Permission
from alert_history.engine.caller import set_caller
from alert_history.mcp import toolbox as calling
from alert_history.mcp.tool import Answer, Parameters, Tool
from alert_history.mcp.toolbox import Called, Toolbox
from alert_history.mcp.tools.history import HistoryTools
from alert_history.ports import HistoryPage


class Pages(Answer, frozen=True, kw_only=True):
    """An answer with a list."""

    rows: tuple[str, ...] = ()


def tool(handle: Any, **more: Any) -> Tool:
    return Tool(
        name="try",
        title="Try",
        description="Try",
        parameters=Parameters,
        answer=Pages,
        handle=handle,
        write=lambda answer: [answer.summary, *answer.rows],
        **more,
    )


async def call(handle: Any, **more: Any) -> Called:
    one = tool(handle, **more)
    return await Toolbox([one]).call(one, {})


def raising(error: Exception) -> Any:
    async def handle(_: Parameters) -> Pages:
        raise error

    return handle


@pytest.mark.parametrize(
    "error, words",
    [
        (errors.InvalidQuery("query, character 3: no", at=2), "try: query, character 3: no"),
        (errors.NotFound("no occurrence 'x'"), "try: no occurrence 'x'"),
        (errors.Forbidden("this is about all alerts"), "try: this is about all alerts"),
        (errors.QueryTimeout("it took more than 5 s"), "it took more than 5 s; ask for less, such as a shorter time"),
        (
            errors.StorageUnavailable("the database is down", after_seconds=7),
            "the database is down; it may work in 7 s",
        ),
        (errors.ArchiveFault("/secret/path is damaged"), "The operator must mend something first"),
        (RuntimeError("a secret"), "The service made a mistake; its log says more."),
        (errors.NotFound("a\x1b[2J\nb" + "x" * 5_000), r"a\u001b[2J\u000ab"),
    ],
)
async def test_a_fault_is_told_in_words(error: Exception, words: str) -> None:
    called = await call(raising(error))
    assert called.is_error
    assert words in called.text
    assert "secret" not in called.text
    assert len(called.text) < 1_100


async def test_a_call_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "CALL_SECONDS", 0.01)
    ended = asyncio.Event()

    async def handle(_: Parameters) -> Pages:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Pages(summary="never")

    called = await call(handle)
    assert called.is_error
    assert "ask for less" in called.text
    assert ended.is_set()


async def test_a_call_that_is_cancelled_ends_and_says_nothing() -> None:
    begun = asyncio.Event()

    async def handle(_: Parameters) -> Pages:
        begun.set()
        await asyncio.Event().wait()
        return Pages(summary="never")

    calling_ = asyncio.create_task(call(handle))
    await begun.wait()
    calling_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling_


@pytest.mark.parametrize(
    "grant, words",
    [(NOBODY, "say who you are"), (Grant(actor="x", permissions=frozenset({Permission.INGEST})), "permission read")],
)
async def test_who_may_not_read_is_answered_nothing_also_where_the_gate_is_passed_by(grant: Grant, words: str) -> None:
    async def handle(_: Parameters) -> Pages:
        raise AssertionError("it was asked")

    set_caller(grant)
    try:
        called = await call(handle)
    finally:
        set_caller(EVERYBODY)
    assert called.is_error
    assert words in called.text


async def test_a_page_is_asked_for_anew_with_as_many_rows_as_fit() -> None:
    asked: list[int] = []

    async def again(_: Parameters, rows: int) -> Pages:
        asked.append(rows)
        return Pages(summary=f"goes on behind {rows}", rows=("x" * 100,) * rows)

    async def handle(_: Parameters) -> Pages:
        return Pages(summary="goes on behind 1000", rows=("x" * 100,) * 1_000)

    called = await call(handle, pages="rows", again=again)
    assert called.data is not None
    assert len(asked) == 1
    assert called.data["summary"] == f"goes on behind {len(called.data['rows'])}"
    assert called.data["left_out"] == []


def test_an_unknown_tool_is_not_found_by_naming_all() -> None:
    with pytest.raises(errors.NotFound, match="there is no tool 'x'; there are try"):
        Toolbox([tool(raising(ValueError()))]).find("x")


@pytest.mark.parametrize(
    "page, words",
    [
        (HistoryPage([], 0, False, "on", datetime(2026, 1, 2, tzinfo=UTC)), "0 of more than 0 occurrences that match"),
        (HistoryPage([], 0, True, None), "No occurrence matches."),
    ],
)
async def test_a_search_that_stopped_early_does_not_say_that_nothing_matches(page: HistoryPage, words: str) -> None:
    class Stopping:
        async def page(self, *_: Any) -> HistoryPage:
            return page

    tools = HistoryTools(Stopping(), None, None, clock=lambda: datetime.now(UTC))  # type: ignore[arg-type]
    set_caller(EVERYBODY)
    called = await Toolbox([]).call(tools.tools()[0], {"query": "rare words"})
    assert words in called.text

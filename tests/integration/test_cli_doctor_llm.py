"""`alert-history doctor` on the LLM proxy: what works, what does not, and nothing that is secret."""

import asyncio
from pathlib import Path

import pytest

from tests.commands import SOURCE_FOLDER
from tests.integration.test_cli_doctor import Diagnosis, diagnose
from tests.llm_proxy import ALWAYS, DAYS, KEY, LlmProxy, llm_proxy
from tests.processes import free_port
from tests.vendors.server import Day, replies

pytestmark = pytest.mark.migrated


async def examined(sqlite_url: str, url: str, **env: str) -> Diagnosis:
    settings = {"DATABASE_URL": sqlite_url, "LLM_PROXY_URL": url, "LLM_API_KEY": KEY, "LLM_TIMEOUT_SECONDS": "9"} | env
    return await asyncio.to_thread(diagnose, **settings)


async def test_a_proxy_that_has_the_model_is_well(sqlite_url: str) -> None:
    async with llm_proxy() as proxy:
        diagnosis = await examined(sqlite_url, proxy.url)
    assert diagnosis.states("llm") == ["ok"]
    assert diagnosis.code == 0, diagnosis.output
    assert [request.path for request in proxy.requests] == ["/v1/models"]


async def test_a_proxy_that_does_not_list_the_model_is_noted(sqlite_url: str) -> None:
    async with llm_proxy(LlmProxy(models=("llama-3", "qwen-3"))) as proxy:
        diagnosis = await examined(sqlite_url, proxy.url)
    assert diagnosis.states("llm") == ["note"]
    assert diagnosis.code == 0, diagnosis.output
    assert "llama-3" in diagnosis.output


async def test_a_proxy_without_a_list_of_models_is_noted(sqlite_url: str) -> None:
    async with llm_proxy() as proxy:
        proxy.script(*[replies(404, "no such page")] * ALWAYS)
        diagnosis = await examined(sqlite_url, proxy.url)
    assert (diagnosis.code, diagnosis.states("llm")) == (0, ["note"]), diagnosis.output


@pytest.mark.parametrize("day", [DAYS["hangs"], DAYS["server-error"], DAYS["floods"], replies(200, "<html>")])
async def test_a_proxy_on_a_bad_day_is_a_fault(sqlite_url: str, day: Day) -> None:
    async with llm_proxy() as proxy:
        proxy.script(day)
        diagnosis = await examined(sqlite_url, proxy.url, LLM_TIMEOUT_SECONDS="2")
    assert diagnosis.states("llm") == ["fault"]
    assert diagnosis.code == 1
    assert [row for row in diagnosis.rows if row.state == "fault" and not row.advice] == []


async def test_a_wrong_key_is_a_fault_and_is_not_shown(sqlite_url: str) -> None:
    async with llm_proxy() as proxy:
        diagnosis = await examined(sqlite_url, proxy.url, LLM_API_KEY="sk-wrong-key")
    assert diagnosis.states("llm") == ["fault"]
    assert "sk-wrong-key" not in diagnosis.output


async def test_a_proxy_that_is_away_is_a_fault_without_its_password(sqlite_url: str) -> None:
    diagnosis = await examined(sqlite_url, f"http://ada:s3cret@127.0.0.1:{free_port()}")
    assert diagnosis.states("llm") == ["fault"]
    assert "s3cret" not in diagnosis.output


async def test_a_missing_client_is_a_fault_that_says_how_to_install_it(sqlite_url: str, tmp_path: Path) -> None:
    tmp_path.joinpath("sitecustomize.py").write_text("import sys\nsys.modules['openai'] = None\n")
    diagnosis = await examined(sqlite_url, "http://127.0.0.1:9", PYTHONPATH=f"{tmp_path}:{SOURCE_FOLDER}")
    assert diagnosis.states("llm") == ["fault"]
    assert "openai>=3" in "".join(diagnosis.output.split())


def test_without_a_proxy_nothing_is_said(sqlite_url: str) -> None:
    assert diagnose(DATABASE_URL=sqlite_url).states("llm") == []


async def test_a_way_out_that_can_not_be_used_is_a_fault_without_its_password(sqlite_url: str) -> None:
    diagnosis = await examined(sqlite_url, "http://proxy", HTTP_PROXY="ftp://ada:s3cret@way-out", COLUMNS="300")
    assert (diagnosis.code, diagnosis.states("llm")) == (1, ["fault"])
    assert "HTTPS_PROXY" in diagnosis.output
    assert "s3cret" not in diagnosis.output

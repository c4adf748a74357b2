"""Peers are compared fairly: counted by what they hold, by medians, with the raw results kept."""

import json
from pathlib import Path

import pytest
from bench import alerta
from bench.load import FullLoad
from bench.notifications import FOLDER
from bench.peers import Peer, Round, alerts_of, check_stored, compare, settled
from bench.raw import plain, write_json
from bench.workers import Round as OfWorkers
from bench.workers import lines_of

LOAD = FullLoad(seconds=1, requests=1000, refused=0, broken=0, p50_ms=1, p99_ms=1, max_ms=1)


@pytest.mark.parametrize("stored", [9_800, 10_000, 10_640])
def test_a_peer_may_join_a_few_alerts_and_finish_what_was_under_way(stored: int) -> None:
    check_stored(LOAD, stored)


@pytest.mark.parametrize("stored", [9_700, 10_700])
def test_a_peer_that_holds_less_or_more_than_it_acknowledged_is_found_out(stored: int) -> None:
    with pytest.raises(AssertionError, match="10000 acknowledged"):
        check_stored(LOAD, stored)


def test_a_peer_is_counted_when_it_has_come_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.peers._SETTLE_SECONDS", 0)
    numbers = iter([1, 5, 7, 7, 8])
    assert settled(lambda: next(numbers)) == 7


def test_alertmanager_says_in_its_metrics_how_many_alerts_it_holds() -> None:
    metrics = '# TYPE alertmanager_alerts gauge\nalertmanager_alerts_received_total{status="firing"} 9'
    states = 'alertmanager_alerts{state="active"} 1.2e+06\nalertmanager_alerts{state="suppressed"} 3'
    assert alerts_of(f"{metrics}\n{states}\n") == 1_200_003


def test_peers_are_compared_by_medians_and_the_better_is_named() -> None:
    def peer(name: str, path: str) -> Peer:
        return Peer(name, path, lambda: pytest.fail("nobody is started"))

    slow = Round(100, 9, 9, 0, 80, 90, 0, 300)
    rounds = [(Round(speed, 9, 9, 0, 2, 3, 0, 100), slow) for speed in (5_000, 6_000, 7_000)]
    lines = compare("PostgreSQL", (peer("ours", "/webhook"), peer("Alerta", alerta.PATH)), rounds=rounds)
    stored, p50, memory = lines[-3:]
    assert (stored.value, stored.verdict) == (60, "✓ 1.09 ×")
    assert stored.note == "rounds 50 to 70; better: ours on /webhook"
    assert (p50.value, p50.verdict) == (0.025, "✓ 1.00 ×")
    assert memory.limit is None
    assert memory.value == pytest.approx(1 / 3)


def test_raw_results_keep_the_names_of_what_was_measured(tmp_path: Path) -> None:
    assert plain([(Round(1, 2, 3, 0, 4, 5, 0, float("nan")), "x")])[0][0]["peak_mib"] is None
    write_json(tmp_path / "raw.json", rounds={"SQLite": [LOAD]}, revision="abc")
    written = json.loads((tmp_path / "raw.json").read_text())
    assert (written["rounds"]["SQLite"][0]["requests"], written["revision"]) == (1000, "abc")


def test_alerta_is_pinned_with_the_hashes_of_all_that_it_needs() -> None:
    lock = (FOLDER / "alerta.lock").read_text()
    assert f"alerta-server=={alerta.VERSION} \\\n    --hash=sha256:" in lock
    assert "://" not in lock


def test_more_workers_are_held_beside_one_round_by_round() -> None:
    one_worker = [OfWorkers(10_000, 80, 12_000, 110), OfWorkers(8_000, 100, 10_000, 110)]
    two_workers = [OfWorkers(15_000, 60, 12_000, 300), OfWorkers(16_000, 50, 10_000, 300)]
    distinct, _, repeats, memory = lines_of("PostgreSQL", 2, two_workers, one_worker)
    assert (distinct.what, distinct.value) == ("2 workers: distinct alerts", 15_500)
    assert distinct.note == "1.72 × one worker; rounds 1.5 to 2"
    assert repeats.note.startswith("1.00 × one worker")
    assert memory.unit == "MiB"

"""`alert-history replay` and `classify`.

Holds: `cli.replay`, `cli.classify`.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.occurrence import Event
from alert_history.ports import DeliveryFilter
from alert_history.storage import open_store
from tests.commands import lines, run
from tests.conformance.samples import alert, receipt
from tests.payloads import alert as sent_alert
from tests.payloads import webhook

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def router(alert: Alert, event: Event) -> Routing:
    del alert, event
    return Routing(("pager", "chat"), {})


async def _two_dead(url: str) -> None:
    store = open_store(url, router=router)
    await store.lifecycle.open()
    await store.recorder.commit([msgspec.structs.replace(receipt(alert(), at=NOW), publish=True)])
    for target in ("pager", "chat"):
        leased, _ = await store.outbox.lease(target, now=NOW, limit=9, lease_for=timedelta(seconds=30))
        dead = Attempt(NOW, "dead", "it said no", 1)
        await store.outbox.settle([(delivery, Settlement(delivery.id, "dead", dead)) for delivery in leased])
    await store.lifecycle.close()


async def _states(url: str) -> dict[str, str]:
    store = open_store(url)
    page = await store.delivery_log.deliveries(DeliveryFilter())
    await store.lifecycle.close()
    return {delivery.target: delivery.state for delivery in page.deliveries}


def test_dead_deliveries_of_a_target_are_due_again(database_url: str) -> None:
    asyncio.run(_two_dead(database_url))
    done = run("replay", "--dead-letters", "--target", "pager", env={"DATABASE_URL": database_url})
    assert (done.returncode, lines(done.stdout)) == (0, ["1 dead letter is due again"])
    assert asyncio.run(_states(database_url)) == {"pager": "pending", "chat": "dead"}


def test_a_replay_of_nothing_says_so(sqlite_url: str) -> None:
    asyncio.run(_two_dead(sqlite_url))
    done = run("replay", "--dead-letters", "--target", "mail", env={"DATABASE_URL": sqlite_url})
    assert lines(done.stdout) == ["there is no dead letter of mail, so nothing is due again"]


def test_all_dead_deliveries_are_due_again(sqlite_url: str) -> None:
    asyncio.run(_two_dead(sqlite_url))
    assert run("replay", "--dead-letters", env={"DATABASE_URL": sqlite_url}).returncode == 0
    assert set(asyncio.run(_states(sqlite_url)).values()) == {"pending"}


def test_a_replay_has_to_be_meant(sqlite_url: str) -> None:
    done = run("replay", env={"DATABASE_URL": sqlite_url})
    assert done.returncode == 2
    assert "--dead-letters" in lines(done.stderr)[0]


def test_a_saved_notification_is_classified_by_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "sent.json"
    file.write_bytes(webhook(sent_alert(1), sent_alert(2)))
    done = run("classify", file, "--json")
    answers = [json.loads(line) for line in lines(done.stdout)]
    assert [answer["classification"]["model"] for answer in answers] == ["rules", "rules"]
    assert "30 days" not in done.stdout.decode()  # nobody looked
    assert "first-seen" not in done.stdout.decode()
    assert run("classify", file).returncode == 0


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_the_name_of_an_alert_can_not_command_a_terminal(tmp_path: Path, options: list[str]) -> None:
    file = tmp_path / "sent.json"
    file.write_bytes(webhook(sent_alert(1, alertname="\x1b[2J\x9b31mEvil")))
    shown = run("classify", file, *options).stdout.decode()
    assert "Evil" in shown
    assert not {"\x1b", "\x9b"} & set(shown)


def test_a_file_of_lines_holds_a_notification_a_line(tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    file.write_bytes(webhook(sent_alert(1)) + b"\n\n" + webhook(sent_alert(2), sent_alert(3)) + b"\n")
    done = run("classify", file, "--json")
    assert (done.returncode, len(lines(done.stdout))) == (0, 3)


def test_a_dry_run_may_take_the_history_along(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "sent.json"
    file.write_bytes(webhook(sent_alert(1)))
    env = {"DATABASE_URL": sqlite_url}
    assert run("classify", file, "--history", env=env).returncode == 2
    assert run("migrate", env=env).returncode == 0
    done = run("classify", file, "--history", "--json", env=env)
    assert "not seen in the last 30 days" in json.loads(lines(done.stdout)[0])["classification"]["reasoning"]


def test_what_is_no_notification_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "sent.json"
    file.write_text("not json")
    done = run("classify", file)
    assert (done.returncode, len(lines(done.stderr))) == (2, 1)
    assert done.stderr.startswith(f"error: {file}: ".encode())


def test_the_line_that_is_no_notification_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    file.write_bytes(webhook(sent_alert(1)) + b"\n{}\n")
    assert run("classify", file).stderr.startswith(f"error: {file}:2: ".encode())

"""What we tell people to put into Alertmanager's configuration: it takes it, and routes as the page says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.documents import ROOT, amtool, load, promtool, yaml_blocks

COMPOSE = ROOT / "deploy" / "compose" / "alertmanager" / "alertmanager.yml"
BLOCKS = yaml_blocks("docs/how-to/connect-alertmanager.md")
CONFIGURATIONS = [yaml.safe_load(block) for block in BLOCKS if block.startswith("# alertmanager.yml")]
WHOLE = [configuration for configuration in CONFIGURATIONS if "route" in configuration]
SHORT = yaml.safe_load(yaml_blocks("docs/how-to/connect-sources.md")[0])
README = yaml.safe_load(yaml_blocks("README.md")[0])
EACH = pytest.mark.parametrize(
    "configuration",
    [*WHOLE, SHORT, README, load(COMPOSE)],
    ids=["through", "only-record", "short", "readme", "compose"],
)


def written(configuration: Mapping[str, Any], folder: Path) -> Path:
    """As a file; without what Alertmanagers before 0.33 do not know."""
    path = folder / "alertmanager.yml"
    known = {name: value for name, value in configuration.items() if name != "event_recorder"}
    path.write_text(yaml.safe_dump(known), encoding="utf-8")
    return path


def receivers(configuration: Mapping[str, Any], folder: Path, *labels: str) -> list[str]:
    """Who is told of an alert with these labels."""
    config = f"--config.file={written(configuration, folder)}"
    return amtool("config", "routes", "test", config, *labels).strip().split(",")


@EACH
def test_alertmanager_takes_it(configuration: Mapping[str, Any], tmp_path: Path) -> None:
    assert "SUCCESS" in amtool("check-config", written(configuration, tmp_path))


@EACH
def test_every_receiver_of_ours_hears_of_ends_and_gets_groups_whole(configuration: Mapping[str, Any]) -> None:
    ours = [hook for receiver in configuration["receivers"] for hook in receiver.get("webhook_configs", [])]
    assert ours
    for hook in ours:
        assert hook["send_resolved"] is True
        assert hook["max_alerts"] == 0
        assert hook["url"].endswith(("/webhook", "/webhook/proxy"))


def test_all_goes_through_alert_history(tmp_path: Path) -> None:
    assert receivers(WHOLE[0], tmp_path, "alertname=DiskFull") == ["alert-history-proxy"]


def test_what_is_only_recorded_reaches_everybody_else_as_before(tmp_path: Path) -> None:
    for configuration in (WHOLE[1], SHORT, README):
        assert receivers(configuration, tmp_path, "alertname=DiskFull") == ["alert-history", "your-team"]


def test_what_is_about_alert_history_goes_past_it_too(tmp_path: Path) -> None:
    names = receivers(load(COMPOSE), tmp_path, "alertname=AlertHistoryDown")
    assert names == ["about-alert-history", "alert-history-proxy"]


def test_the_watchdog_repeats_much_more_often_than_its_alert_waits() -> None:
    for configuration in (WHOLE[0], load(COMPOSE)):
        (route,) = [route for route in configuration["route"]["routes"] if "Watchdog" in route["matchers"][0]]
        assert route["repeat_interval"] == "5m"
        assert configuration["route"]["repeat_interval"] == "1h"  # AlertHistoryNoAlertsReceived waits 75 minutes


def test_an_alert_that_always_fires_always_fires(tmp_path: Path) -> None:
    (of_the_page,) = [block for block in BLOCKS if block.startswith("# rules.yml")]
    (tmp_path / "rules.yml").write_text(of_the_page)
    watchdog = ROOT / "deploy" / "compose" / "prometheus" / "watchdog.yml"
    promtool("check", "rules", tmp_path / "rules.yml", watchdog)
    for file in (tmp_path / "rules.yml", watchdog):
        (rule,) = load(file)["groups"][0]["rules"]
        assert (rule["alert"], rule["expr"]) == ("Watchdog", "vector(1)")


def test_the_event_recorder_is_where_alertmanager_looks_for_it() -> None:
    """Source: eventrecorder/config.go and webhook.go of Alertmanager 0.34; the packaged one is too old to ask."""
    recorders = [config["event_recorder"] for config in [*CONFIGURATIONS, load(COMPOSE)] if "event_recorder" in config]
    assert len(recorders) == 2
    for recorder in recorders:
        assert [set(output) for output in recorder["webhook_outputs"]] == [{"url"}]

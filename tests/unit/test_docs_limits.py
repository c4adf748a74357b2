"""The page of limits says what the constants and defaults say."""

import re
from pathlib import Path
from typing import get_args

from alert_history.config import load_settings
from alert_history.domain.alert import Cause
from alert_history.sources import alert_rules, annotation_limit, grafana_details, protojson
from alert_history.web.http import connection, slow_body
from alert_history.web.ingest import webhook

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "limits.md").read_text()
ROW = re.compile(r"^\| (.+?) \| (.+?) \|", re.MULTILINE)
SETTINGS = load_settings({})
KIBIBYTE = 1024

IN_BYTES = {
    "body, packed or not: `MAX_BODY_BYTES`": SETTINGS.max_body_bytes,
    "bodies that wait together: `MAX_PENDING_BYTES`": SETTINGS.max_pending_bytes,
    "request line and headers": connection.MAX_HEAD_BYTES,
    "name of a label": alert_rules.LABEL_NAME_BYTES,
    "value of a label": alert_rules.LABEL_VALUE_BYTES,
    "value of `alertname`, `namespace` or `severity`": alert_rules.INDEXED_VALUE_BYTES,
    "all its annotations, names and values": annotation_limit.ANNOTATIONS_BYTES,
    "id of a silence": protojson.SILENCE_ID_BYTES,
    "name or pattern of a silence's matcher": protojson.PATTERN_BYTES,
}
OTHERS = {
    "alerts, events and what they say: `MAX_ALERTS_PER_REQUEST`": f"{SETTINGS.max_alerts_per_request}",
    "time for the body to arrive": f"{slow_body.READ_SECONDS} s",
    "`X-Request-ID`": f"{webhook.MAX_REQUEST_ID_CHARACTERS} characters",
    "each text of Grafana's: links, values, title and message": f"{grafana_details.TEXT_CHARACTERS} characters",
}


def shown(size: int) -> str:
    unit, name = (KIBIBYTE**2, "MiB") if size % KIBIBYTE**2 == 0 else (KIBIBYTE, "KiB")
    return f"{size // unit} {name}"


def test_every_limit_is_the_one_in_force() -> None:
    limits = PAGE.split("| reason |")[0]
    values = {name: value for name, value in ROW.findall(limits) if name not in {"limit", "---"}}
    assert values == {name: shown(size) for name, size in IN_BYTES.items()} | OTHERS


def test_the_labels_with_a_limit_of_their_own_are_named() -> None:
    (row,) = (name for name in IN_BYTES if "severity" in name)
    assert set(re.findall(r"`(\w+)`", row)) == alert_rules.INDEXED_LABELS


def test_every_reason_of_the_metric_is_explained() -> None:
    reasons = PAGE.split("| reason |")[1]
    assert {name.strip("`") for name, _ in ROW.findall(reasons) if name != "---"} == set(get_args(Cause))


def test_the_mark_and_the_name_of_what_is_left_out_are_those_that_are_written() -> None:
    assert annotation_limit.mark(786432) in PAGE
    assert f"`{annotation_limit.LEFT_OUT}`" in PAGE

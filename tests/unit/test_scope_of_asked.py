"""Under which scope is kept what an Alertmanager lists that is asked: the one that its own requests name."""

from datetime import UTC, datetime

import msgspec
import pytest

from alert_history.domain.alert import Alert, fingerprint
from alert_history.domain.claim import SECOND_US, Word
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Sighting
from alert_history.domain.reconciling import Asked, Listed
from alert_history.domain.speaker import witness_id
from alert_history.domain.standing import Witnesses
from alert_history.engine.comparing import Comparison, Voice
from alert_history.engine.listing import Listing, api_sender
from alert_history.engine.witnesses import learn
from tests.conformance.samples import alert, receipt

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "DiskFull"}
NAME = fingerprint(LABELS)
EU, US = "http://alertmanager-eu:9093", "http://alertmanager-us:9093"
KNOWN = Witnesses().joined(api_sender("eu"), witness_id(EU))
"""The Alertmanager that is asked calls itself by its URL."""


def heard(known: Witnesses, url: str, scope: str) -> Witnesses:
    """What is known after a notification of the Alertmanager with that URL, to a URL of ours that names that scope."""
    sent = receipt(alert("Other"))
    group = msgspec.structs.replace(sent.group, external_url=url)
    return learn(known, msgspec.structs.replace(sent, group=group, scope=scope))


def places(known: Witnesses) -> list[str]:
    """Where the one alert would be kept that the Alertmanager lists, and that nobody claims."""
    asked = Asked("alertmanager/eu", "Alertmanager eu", "witness", api_sender("eu"), to_us(NOW))
    word = Word(asked.sender, "witness", is_firing=True, start_us=to_us(NOW), at_us=to_us(NOW), content=7)
    listed = Alert(NAME, "firing", LABELS, {}, NOW)
    sighting = Sighting(listed, 7, b"{}", "alertmanager", "", "", NOW, word, 1)
    voice = Voice([Listing(asked, {NAME: Listed(asked, sighting)})])
    return list(Comparison([voice], known, sign_every_us=SECOND_US).listed())


def test_where_nobody_names_a_scope_it_is_kept_without_one() -> None:
    assert places(heard(KNOWN, US, "")) == [NAME]


def test_it_is_kept_under_the_scope_that_its_own_requests_name() -> None:
    assert places(heard(KNOWN, EU, "eu-1")) == [f"{NAME}@eu-1"]


def test_nothing_is_kept_where_only_another_sender_is_known_by_its_scope() -> None:
    assert places(heard(KNOWN, US, "us-1")) == []


def test_whose_requests_name_no_scope_where_others_do_is_kept_without_one() -> None:
    assert places(heard(heard(KNOWN, US, "us-1"), EU, "")) == [NAME]


@pytest.mark.parametrize("scope", ["eu-2", ""])
def test_a_sender_that_names_another_scope_is_in_that_one_from_then_on(scope: str) -> None:
    known = heard(heard(KNOWN, EU, "eu-1"), EU, scope)
    assert places(known) == [f"{NAME}@eu-2" if scope else NAME]


def test_what_two_replicas_learn_of_scopes_is_known_to_both() -> None:
    assert places(heard(KNOWN, US, "us-1").merged(heard(KNOWN, EU, "eu-1"))) == [f"{NAME}@eu-1"]

"""What the polls of an origin say: whose claims they are, and how far they go."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import Alert, Silence, fingerprint
from alert_history.domain.claim import MINUTE_US
from alert_history.domain.microseconds import to_us
from alert_history.domain.origin import Origin, Server
from alert_history.domain.poll import PrometheusPoll
from alert_history.domain.speaker import sender_id
from alert_history.domain.standing import Muted, Witnesses
from alert_history.engine.listing import Listing, alertmanager_listing, api_sender, prometheus_listings
from alert_history.engine.origins import Origins
from alert_history.sources.annotation_limit import ANNOTATIONS_BYTES
from tests.polls import EXTERNAL_URL, alertmanager_poll, polled, prometheus_poll, ruled

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DISK = Alert(fingerprint({"alertname": "DiskFull"}), "firing", {"alertname": "DiskFull"}, {}, NOW)
POSTS = Witnesses().posted("000000000001", EXTERNAL_URL)


def by_prometheus(*polls: PrometheusPoll, witnesses: Witnesses = POSTS, silent: str | None = None) -> list[Listing]:
    return prometheus_listings(polls, NOW, silent=silent, witnesses=witnesses, is_publishing=False)


def other(**changes: Any) -> PrometheusPoll:
    return msgspec.structs.replace(prometheus_poll(NOW), server="http://prometheus-1:9090", **changes)


def silence(name: str, *, hours: int) -> Silence:
    return Silence(name, [], NOW, NOW + timedelta(hours=hours), NOW, f"{name}'s author", "why")


# --- Alertmanager -----------------------------------------------------------------------------------------------------


def test_what_an_alertmanager_lists_is_claimed_by_the_api_of_its_cluster() -> None:
    listing = alertmanager_listing(alertmanager_poll(NOW, polled(DISK)), NOW, is_publishing=True)
    word = listing.listed[DISK.fingerprint].sighting.word
    assert (word.sender, word.kind, word.start_us, word.at_us) == (api_sender("eu"), "witness", to_us(NOW), to_us(NOW))
    assert (listing.asked.source, listing.hindrance, listing.asked.is_alone) == ("alertmanager/eu", None, True)


def test_of_several_silences_the_longest_is_told() -> None:
    poll = alertmanager_poll(
        NOW, polled(DISK, silenced_by=["b", "a"]), silences=[silence("a", hours=1), silence("b", hours=2)]
    )
    listed = alertmanager_listing(poll, NOW, is_publishing=False).listed[DISK.fingerprint]
    assert listed.muted == Muted("silenced", "a, b", to_us(NOW + timedelta(hours=2)))
    assert (listed.details["silence_id"], listed.details["created_by"]) == ("b", "b's author")


def test_what_a_time_interval_mutes_is_muted() -> None:
    alert = msgspec.structs.replace(polled(DISK), state="suppressed", muted_by=["nights"])
    listed = alertmanager_listing(alertmanager_poll(NOW, alert), NOW, is_publishing=False).listed[DISK.fingerprint]
    assert listed.muted == Muted("silenced", "of the time interval nights")


def test_a_fingerprint_that_is_none_is_computed() -> None:
    alert = msgspec.structs.replace(polled(DISK), fingerprint="<script>")
    assert list(alertmanager_listing(alertmanager_poll(NOW, alert), NOW, is_publishing=False).listed) == [
        DISK.fingerprint
    ]


@pytest.mark.parametrize("labels", [{}, {"a": "\0"}, {"": "x"}, {"a": "x" * 70_000}, {"a": "\ud800"}])
def test_labels_that_can_not_be_kept_are_refused_with_a_reason(labels: dict[str, str]) -> None:
    alert = msgspec.structs.replace(polled(DISK), labels=labels)
    listing = alertmanager_listing(alertmanager_poll(NOW, alert, polled(DISK)), NOW, is_publishing=False)
    assert list(listing.listed) == [DISK.fingerprint]
    assert len(listing.refused) == 1


def test_annotations_that_are_too_long_are_cut() -> None:
    alert = msgspec.structs.replace(polled(DISK), annotations={"summary": "x" * 1_000_000})
    sighting = (
        alertmanager_listing(alertmanager_poll(NOW, alert), NOW, is_publishing=False).listed[DISK.fingerprint].sighting
    )
    assert len(sighting.annotations_json) < ANNOTATIONS_BYTES + 100


def test_a_cluster_with_a_silent_peer_may_open_and_must_not_end() -> None:
    poll = alertmanager_poll(NOW, silent={"http://am-1": "http://am-1: can't connect"})
    asked = alertmanager_listing(poll, NOW, is_publishing=False).asked
    assert (asked.no_end, asked.no_opening, asked.is_alone) == (
        "not all of its peers answer: http://am-1: can't connect",
        None,
        False,
    )


def test_an_alertmanager_that_calls_itself_by_the_url_that_is_asked_is_known_at_once() -> None:
    origins = Origins([Origin("eu", (Server("http://am:9093"),))])
    known = origins.witnesses()
    assert known.of(api_sender("eu")) == known.of(sender_id("witness", "http://am:9093", ""))


# --- Prometheus -------------------------------------------------------------------------------------------------------


def test_what_a_prometheus_lists_is_claimed_by_who_posts_with_its_external_url() -> None:
    (listing,) = by_prometheus(prometheus_poll(NOW, ruled(DISK)))
    word = listing.listed[DISK.fingerprint].sighting.word
    assert (word.sender, word.kind, word.until_us) == ("000000000001", "first_hand", to_us(NOW) + 4 * MINUTE_US)
    assert (listing.asked.senders, listing.hindrance) == (frozenset({"000000000001"}), None)


def test_of_several_addresses_the_newest_claims_and_all_are_its_own() -> None:
    (listing,) = by_prometheus(prometheus_poll(NOW), witnesses=POSTS.posted("000000000009", EXTERNAL_URL))
    assert (listing.asked.sender, listing.asked.senders) == (
        "000000000009",
        frozenset({"000000000001", "000000000009"}),
    )


def test_one_whose_alerts_link_to_the_url_that_is_asked_is_known_without_a_setting() -> None:
    poll = msgspec.structs.replace(prometheus_poll(NOW), external_url=None)
    (listing,) = by_prometheus(poll, witnesses=Witnesses().posted("000000000001", "http://prometheus:9090"))
    assert (listing.asked.sender, listing.hindrance) == ("000000000001", None)


@pytest.mark.parametrize(
    "url, hindrance",
    [
        (EXTERNAL_URL, "it has sent us nothing yet"),
        (None, "it does not say its external URL, by which its alerts are known; set --web.external-url"),
    ],
)
def test_one_that_is_not_known_says_why(url: str | None, hindrance: str) -> None:
    poll = msgspec.structs.replace(prometheus_poll(NOW), external_url=url)
    (listing,) = by_prometheus(poll, witnesses=Witnesses())
    assert (listing.asked.sender, listing.hindrance) == ("", hindrance)


def test_replicas_with_one_external_url_speak_together() -> None:
    (listing,) = by_prometheus(prometheus_poll(NOW), other(alerts=[ruled(DISK)]))
    assert (listing.asked.servers, list(listing.listed)) == (2, [DISK.fingerprint])


def test_replicas_with_external_urls_of_their_own_speak_each_for_itself() -> None:
    listings = by_prometheus(prometheus_poll(NOW), other(external_url="http://prometheus-1:9090"))
    assert [(listing.asked.servers, listing.asked.sender) for listing in listings] == [(1, "000000000001"), (1, "")]


def test_a_replica_that_has_just_started_keeps_the_other_from_ending() -> None:
    (listing,) = by_prometheus(prometheus_poll(NOW), other(started_at=NOW))
    assert "it started 0 s ago" in (listing.asked.no_end or "")


def test_a_silent_replica_keeps_the_other_from_ending_and_not_from_opening() -> None:
    (listing,) = by_prometheus(prometheus_poll(NOW), silent="its replica at http://x does not answer")
    assert (listing.asked.no_end, listing.asked.no_opening) == ("its replica at http://x does not answer", None)


def test_what_pends_is_not_listed() -> None:
    pending = msgspec.structs.replace(ruled(DISK), state="pending")
    (listing,) = by_prometheus(prometheus_poll(NOW, pending))
    assert listing.listed == {}


def test_what_began_nobody_knows_when_began_when_it_was_asked_for() -> None:
    alert = msgspec.structs.replace(ruled(DISK), fires_since=None, active_at=NOW - timedelta(hours=1))
    (listing,) = by_prometheus(prometheus_poll(NOW, alert))
    assert listing.listed[DISK.fingerprint].sighting.word.start_us == to_us(NOW)


def test_external_labels_are_part_of_the_fingerprint() -> None:
    poll = msgspec.structs.replace(prometheus_poll(NOW, ruled(DISK)), external_labels={"cluster": "eu"})
    (listing,) = by_prometheus(poll)
    assert list(listing.listed) == [fingerprint({"alertname": "DiskFull", "cluster": "eu"})]


# --- Who posts --------------------------------------------------------------------------------------------------------


def test_posters_that_came_long_before_are_forgotten() -> None:
    known = POSTS
    for number in range(1_200):
        known = known.posted(f"{number + 99:012x}", "http://other")
    assert known.posters_of({EXTERNAL_URL}) == []
    assert len(known.posters) == 1_000


def test_posters_survive_what_else_is_learnt() -> None:
    known = POSTS.joined("a", "b").restarted("a", 5)
    assert Witnesses().merged(known).posters_of({EXTERNAL_URL}) == ["000000000001"]

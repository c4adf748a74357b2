"""An id that somebody kept of an occurrence that turned out to be part of another one leads to that one."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.storage import open_store
from tests.conformance.samples import MINUTE, STARTS_AT, alert, id_of, receipt
from tests.conftest import StartService
from tests.legacy import double, forget_claims

FIRING = alert()
SECOND_START = STARTS_AT + timedelta(minutes=2)
DOUBLE = occurrence_id(FIRING.fingerprint, to_us(SECOND_START))

pytestmark = pytest.mark.migrated


async def _record(url: str) -> None:
    store = open_store(url)
    await store.lifecycle.open()
    await store.recorder.commit([receipt(FIRING, at=SECOND_START + MINUTE)])
    await store.lifecycle.close()
    await double(url, FIRING, starts_at=SECOND_START)
    await forget_claims(url)


@pytest.fixture
def upgraded(database_url: str, service: StartService) -> str:
    """The URL of a service on a database where a release before kept one firing as two occurrences."""
    asyncio.run(_record(database_url))
    return service({"DATABASE_URL": database_url}).url


@pytest.mark.parametrize("page", ["", "/timeline", "/similar", "/around", "/why"])
def test_the_id_of_a_joined_double_redirects_to_what_it_is_part_of(upgraded: str, page: str) -> None:
    url = f"{upgraded}/api/v1/alerts"
    answer = httpx.get(f"{url}/{DOUBLE}{page}", trust_env=False)
    assert answer.status_code == httpx.codes.PERMANENT_REDIRECT
    followed = httpx.get(f"{url}/{DOUBLE}{page}", trust_env=False, follow_redirects=True)
    assert (followed.status_code, str(followed.url)) == (httpx.codes.OK, f"{url}/{id_of(FIRING)}{page}")


def test_the_page_of_a_joined_double_leads_to_the_page_of_what_it_is_part_of(upgraded: str) -> None:
    url = f"{upgraded}/dashboard/alerts"
    followed = httpx.get(f"{url}/{DOUBLE}?within=1h", trust_env=False, follow_redirects=True)
    assert (followed.status_code, str(followed.url)) == (httpx.codes.OK, f"{url}/{id_of(FIRING)}?within=1h")
    assert followed.history[0].status_code == httpx.codes.PERMANENT_REDIRECT


def test_what_a_person_does_about_a_joined_double_is_kept_with_what_it_is_part_of(upgraded: str) -> None:
    url, body = f"{upgraded}/api/v1/alerts", {"by": "ada", "text": "on it"}
    for call in ("acknowledge", "notes"):
        answer = httpx.post(f"{url}/{DOUBLE}/{call}", json=body, trust_env=False)
        assert answer.status_code == httpx.codes.PERMANENT_REDIRECT
        followed = httpx.post(f"{url}/{DOUBLE}/{call}", json=body, trust_env=False, follow_redirects=True)
        assert (followed.status_code, str(followed.url)) == (httpx.codes.OK, f"{url}/{id_of(FIRING)}/{call}")
    timeline = httpx.get(f"{url}/{id_of(FIRING)}/timeline", trust_env=False).json()
    assert [act["kind"] for act in timeline["acts"]] == ["acknowledged", "noted"]

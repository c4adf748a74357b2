"""Tokens are kept, found by their secret at once, replaced with an overlap, and revoked for every replica.

Holds: `storage.shared.tokens`, `engine.tokens`.
"""

import asyncio
from datetime import timedelta

import msgspec
import pytest
import structlog

from alert_history.domain.permission import Permission
from alert_history.engine.tokens import TokenDesk, TokenWish
from alert_history.errors import InvalidBody, NotFound
from alert_history.ports import Store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import NOW
from tests.trust import Time, opened

READ = TokenWish(name="grafana", scopes=["read"])


@pytest.fixture
def time() -> Time:
    return Time(NOW)


@pytest.fixture
def desk(store: Store, time: Time) -> TokenDesk:
    return TokenDesk(store.tokens, clock=time)


async def test_a_new_token_is_good_at_once_and_its_secret_is_not_kept(
    store: Store, desk: TokenDesk, time: Time
) -> None:
    book = await opened(store.tokens, time)
    made = await desk.create(TokenWish(name="pay", scopes=["operate"], match='{team="payments"}'), by="ada")
    grant = await book.find(made.secret)
    assert grant is not None
    assert (grant.actor, grant.key) == ("pay", made.token.id)
    assert grant.permissions == {Permission.PUBLIC, Permission.READ, Permission.OPERATE}
    assert grant.reach is not None
    assert grant.reach.matches({"team": "payments"}, {})
    assert not grant.reach.matches({"team": "search"}, {})
    [kept] = await desk.all()
    assert kept == made.token
    assert made.secret.encode() not in kept.digest
    assert made.secret.startswith(kept.prefix)
    assert len(made.secret) > len(kept.prefix) + 32


async def test_nothing_near_a_token_is_one(store: Store, desk: TokenDesk, time: Time) -> None:
    book = await opened(store.tokens, time)
    made = await desk.create(READ, by="ada")
    for secret in ("", made.secret[:-1], made.secret + "A", made.secret.lower(), made.token.id, made.token.name):
        assert await book.find(secret) is None


async def test_a_token_ends_when_it_was_to_end(store: Store, desk: TokenDesk, time: Time) -> None:
    book = await opened(store.tokens, time)
    made = await desk.create(TokenWish(name="short", scopes=["read"], expires="90m"), by="ada")
    time.now = NOW + timedelta(minutes=90, microseconds=-1)
    assert await book.find(made.secret) is not None
    time.now = NOW + timedelta(minutes=90)
    assert await book.find(made.secret) is None


async def test_a_revoked_token_is_refused_by_another_replica(
    store: Store, desk: TokenDesk, time: Time, open_replica: OpenReplica
) -> None:
    made = await desk.create(READ, by="ada")
    book = await opened((await open_replica()).tokens, time)
    assert await book.find(made.secret) is not None
    running = asyncio.create_task(book.run())
    assert [token.name for token in await desk.revoke("grafana")] == ["grafana"]
    await asyncio.sleep(2)
    assert book.known(made.secret) is None
    running.cancel()
    assert [token.revoked_at for token in await store.tokens.all()] == [NOW]
    with pytest.raises(NotFound):
        await desk.revoke("grafana")


async def test_a_new_secret_has_all_that_the_old_one_had_and_both_are_good_for_the_overlap(
    store: Store, desk: TokenDesk, time: Time
) -> None:
    book = await opened(store.tokens, time)
    old = await desk.create(TokenWish(name="eu", scopes=["ingest"], ingest_scope="eu-1", expires="30d"), by="ada")
    time.now = NOW + timedelta(days=1)
    new = await desk.rotate("eu", overlap="1h", by="ada")
    assert await book.find(old.secret) is not None
    fresh = await book.find(new.secret)
    assert fresh is not None
    assert fresh.ingest_scope == "eu-1"
    assert new.token.expires_at == time.now + timedelta(days=30)
    time.now += timedelta(hours=1)
    assert book.known(old.secret) is None
    assert book.known(new.secret) is not None


async def test_a_name_is_good_once_until_its_token_has_ended(desk: TokenDesk, time: Time) -> None:
    await desk.create(TokenWish(name="a", scopes=["read"], expires="1h"), by="ada")
    with pytest.raises(InvalidBody, match="there is a token a already"):
        await desk.create(TokenWish(name="a", scopes=["read"]), by="ada")
    time.now = NOW + timedelta(hours=2)
    await desk.create(TokenWish(name="a", scopes=["read"]), by="ada")


async def test_a_token_that_can_not_be_read_is_told_of_once_and_opens_nothing(
    store: Store, desk: TokenDesk, time: Time
) -> None:
    made = await desk.create(READ, by="ada")
    await store.tokens.add(msgspec.structs.replace(made.token, id="b", name="b", digest=b"b", match="{a later release"))
    book = await opened(store.tokens, time)
    with structlog.testing.capture_logs() as lines:
        await book.begin()
    assert lines == []
    assert not book.is_good("b")
    assert book.is_good(made.token.id)


async def test_when_a_token_was_used_is_kept(store: Store, desk: TokenDesk, time: Time) -> None:
    book = await opened(store.tokens, time)
    made = await desk.create(READ, by="ada")
    time.now = NOW + timedelta(minutes=5)
    await book.find(made.secret)
    running = asyncio.create_task(book.run())
    async with asyncio.timeout(10):
        while [token.last_used_at for token in await store.tokens.all()] != [time.now]:
            await asyncio.sleep(0.05)
    running.cancel()


@pytest.mark.parametrize(
    "wish, fault",
    [
        (TokenWish(name="", scopes=["read"]), "name"),
        (TokenWish(name="a b", scopes=["read"]), "name"),
        (TokenWish(name="a", scopes=[]), "scopes"),
        (TokenWish(name="a", scopes=["root"]), "'root' is none"),
        (TokenWish(name="a", scopes=["read"], match="{team="), "match"),
        (TokenWish(name="a", scopes=["ingest"], match="{team=a}"), "match"),
        (TokenWish(name="a", scopes=["admin"], match="{team=a}"), "match"),
        (TokenWish(name="a", scopes=["read"], expires="soon"), "expires"),
        (TokenWish(name="a", scopes=["read"], expires="0d"), "expires"),
        (TokenWish(name="a", scopes=["read"], ingest_scope="eu-1"), "ingest_scope"),
        (TokenWish(name="a", scopes=["ingest"], ingest_scope="eu 1"), "ingest_scope"),
    ],
)
async def test_a_wish_that_can_not_be_says_why(desk: TokenDesk, wish: TokenWish, fault: str) -> None:
    with pytest.raises(InvalidBody, match=fault):
        await desk.create(wish, by="ada")
    assert await desk.all() == []

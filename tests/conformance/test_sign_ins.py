"""Sign-ins of browsers are kept as a digest, end on all replicas, and end with the token that they were made from.

Holds: `storage.shared.sign_ins`, `engine.sign_ins`, `domain.sign_in`.
"""

import asyncio
from datetime import timedelta

import pytest

from alert_history.domain.sign_in import SignIn
from alert_history.domain.token import digest_of
from alert_history.engine.sign_ins import NewSignIn, SignInDesk
from alert_history.engine.tokens import TokenBook, TokenDesk, TokenWish
from alert_history.errors import Forbidden
from alert_history.ports import Store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import NOW
from tests.trust import Time, opened

_HOUR = timedelta(hours=1)


@pytest.fixture
def time() -> Time:
    return Time(NOW)


@pytest.fixture
def tokens(store: Store, time: Time) -> TokenDesk:
    return TokenDesk(store.tokens, clock=time)


async def desk_of(store: Store, time: Time) -> SignInDesk:
    book = await opened(store.tokens, time)
    return SignInDesk(store.sign_ins, book, audit=store.audit, clock=time, lasts=12 * _HOUR)


async def sign_in(desk: SignInDesk, tokens: TokenDesk, name: str = "ada", expires: str = "") -> NewSignIn:
    made = await tokens.create(
        TokenWish(name=name, scopes=["operate"], match='{team="payments"}', expires=expires), by="root"
    )
    signed_in = await desk.sign_in_by_token(made.secret)
    assert signed_in is not None
    return signed_in


async def test_a_browser_that_signed_in_with_a_token_may_what_the_token_may(
    store: Store, tokens: TokenDesk, time: Time
) -> None:
    desk = await desk_of(store, time)
    made = await sign_in(desk, tokens)
    found = await desk.find(made.cookie)
    assert found is not None
    [token] = await tokens.all()
    assert found.grant == token.grant()
    assert found.method == "token"
    [kept] = await desk.all()
    assert kept.digest == digest_of(made.cookie)
    assert len(made.cookie) >= 43  # 256 bits
    assert made.cookie not in repr(kept)


async def test_what_is_no_cookie_of_ours_is_nobody(store: Store, tokens: TokenDesk, time: Time) -> None:
    desk = await desk_of(store, time)
    made = await sign_in(desk, tokens)
    for cookie in ("", made.cookie[:-1], made.cookie + "x", "aht_x"):
        assert await desk.find(cookie) is None
    assert await desk.sign_in_by_token("aht_wrong") is None


async def test_a_sign_in_ends_after_its_hours_however_often_it_is_used(
    store: Store, tokens: TokenDesk, time: Time
) -> None:
    desk = await desk_of(store, time)
    made = await sign_in(desk, tokens)
    for _ in range(11):
        time.now += _HOUR
        assert await desk.find(made.cookie) is not None
    time.now = NOW + 12 * _HOUR
    assert await desk.find(made.cookie) is None
    assert await desk.all() == []
    assert await store.sign_ins.forget(time.now + timedelta(seconds=1)) == 1


async def test_a_sign_in_ends_no_later_than_its_token(store: Store, tokens: TokenDesk, time: Time) -> None:
    desk = await desk_of(store, time)
    made = await sign_in(desk, tokens, expires="90m")
    assert made.sign_in.expires_at == NOW + timedelta(minutes=90)


async def test_signing_out_is_heard_by_another_replica_within_two_seconds(
    store: Store, tokens: TokenDesk, time: Time, open_replica: OpenReplica
) -> None:
    desk, other = await desk_of(store, time), await desk_of(await open_replica(), time)
    made = await sign_in(desk, tokens)
    assert await other.find(made.cookie) is not None
    ended = await desk.end(made.cookie)
    assert ended is not None
    assert ended.actor == "ada"
    assert await desk.find(made.cookie) is None
    await asyncio.sleep(1.1)
    assert await other.find(made.cookie) is None
    assert await desk.end(made.cookie) is None


async def test_revoking_a_token_signs_out_whoever_signed_in_with_it(
    store: Store, tokens: TokenDesk, time: Time, open_replica: OpenReplica
) -> None:
    replica = await open_replica()
    book = TokenBook(replica.tokens, clock=time)
    other = SignInDesk(replica.sign_ins, book, audit=replica.audit, clock=time, lasts=_HOUR)
    await book.begin()
    running = asyncio.create_task(book.run())
    made = await sign_in(await desk_of(store, time), tokens)
    assert await other.find(made.cookie) is not None  # at once, though that replica may not know the token yet
    await tokens.revoke("ada")
    await asyncio.sleep(2)
    assert await other.find(made.cookie) is None
    running.cancel()


async def test_all_sign_ins_of_one_user_end_and_those_of_others_stay(
    store: Store, tokens: TokenDesk, time: Time
) -> None:
    desk = await desk_of(store, time)
    ada, grace = await sign_in(desk, tokens), await sign_in(desk, tokens, "grace")
    assert {each.actor for each in await desk.all()} == {"ada", "grace"}
    assert await desk.end_all(ada.sign_in.key) == 1
    assert await desk.find(ada.cookie) is None
    assert await desk.find(grace.cookie) is not None


async def test_who_may_only_send_alerts_does_not_sign_in(store: Store, tokens: TokenDesk, time: Time) -> None:
    made = await tokens.create(TokenWish(name="am", scopes=["ingest"]), by="root")
    with pytest.raises(Forbidden):
        await (await desk_of(store, time)).sign_in_by_token(made.secret)


async def test_of_several_who_take_a_begun_sign_in_one_gets_it(store: Store, time: Time) -> None:
    begun = SignIn(
        digest=digest_of("state"),
        actor="",
        key="",
        scopes=(),
        method="oidc-begun",
        detail={"nonce": "n", "verifier": "v"},
        created_at=NOW,
        expires_at=NOW + _HOUR,
    )
    await store.sign_ins.add(begun)
    assert await (await desk_of(store, time)).find("state") is None  # it opens nothing
    assert await (await desk_of(store, time)).all() == []
    taken = await asyncio.gather(*(store.sign_ins.take(begun.digest) for _ in range(5)))
    assert [each for each in taken if each is not None] == [begun]
    assert await store.sign_ins.take(begun.digest) is None

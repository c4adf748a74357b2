"""What a browser holds while it signs in at a provider."""

from datetime import UTC, datetime
from typing import cast

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from alert_history.engine.provider_sign_ins import Begun, ProviderSignIns
from alert_history.web.http.throttle import Throttle
from alert_history.web.pages.oidc import OidcPages


class Beginning:
    """Begins sign-ins, of `engine.provider_sign_ins`."""

    def __init__(self) -> None:
        self.backs: list[str] = []

    async def begin(self, back: str) -> Begun:
        self.backs.append(back)
        return Begun("https://id.example/authorize", "secret")


def client_of(beginning: Beginning, *, is_secure: bool, most: int = 60) -> TestClient:
    pages = OidcPages(
        cast("ProviderSignIns", beginning),
        Throttle(most_of_one=most),
        clock=lambda: datetime.now(UTC),
        trusted=(),
        is_secure=is_secure,
    )
    return TestClient(Starlette(routes=[page.for_router() for page in pages.pages()]), follow_redirects=False)


@pytest.mark.parametrize("is_secure", [True, False])
def test_its_cookie_is_short_lived_hidden_from_scripts_and_for_tls_where_there_is_tls(*, is_secure: bool) -> None:
    answer = client_of(Beginning(), is_secure=is_secure).get("/login/oidc")
    parts = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"alert-history-oidc=secret", "max-age=600", "httponly", "samesite=lax", "path=/"} <= parts
    assert ("secure" in parts) is is_secure
    assert answer.headers["cache-control"] == "no-store"


def test_one_address_begins_so_many_a_minute_and_then_waits() -> None:
    beginning = Beginning()
    client = client_of(beginning, is_secure=True, most=2)
    assert [client.get("/login/oidc?back=//evil.example").status_code for _ in range(3)] == [303, 303, 429]
    assert beginning.backs == ["evil.example", "evil.example"]

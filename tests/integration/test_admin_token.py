"""The first token comes from the settings: it is good without a database row, and another one when they change.

Also: a running service knows what senders sign with.
Holds: `engine.tokens`.
"""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from alert_history.domain.token import Token, new_secret, token_of_settings
from alert_history.engine.tokens import TokenBook
from alert_history.errors import StorageUnavailable
from tests import servers
from tests.payloads import alert, webhook
from tests.processes import Server
from tests.trust import MemoryTokens

_JSON = {"content-type": "application/json"}


def ask(server: Server, path: str, token: str) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=20)


def test_the_token_of_the_settings_may_do_all_and_is_another_one_with_another_secret(tmp_path: Path) -> None:
    first, second = new_secret(), new_secret()
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'alert_history.db'}", "AUTH_MODE": "token"}
    with servers.service({**env, "ADMIN_TOKEN": first}) as server:
        assert ask(server, "/history", first).status_code == 200
        assert ask(server, "/history", second).status_code == 401
        made = httpx.post(
            f"{server.url}/api/v1/tokens",
            json={"name": "grafana", "scopes": ["read"]},
            headers={"authorization": f"Bearer {first}"},
            trust_env=False,
        )
        assert made.status_code == 200, made.text
        [listed] = ask(server, "/api/v1/tokens", first).json()["tokens"]
        assert (listed["name"], listed["created_by"]) == ("grafana", "admin")
        assert first not in server.log()
    (tmp_path / "token").write_text(second)
    with servers.service({**env, "ADMIN_TOKEN_FILE": str(tmp_path / "token")}) as server:
        assert ask(server, "/history", second).status_code == 200
        assert ask(server, "/history", first).status_code == 401
        assert ask(server, "/history", made.json()["secret"]).status_code == 200


def test_the_token_of_the_settings_closes_no_ingest_and_sends_no_alerts(tmp_path: Path) -> None:
    token = new_secret()
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'alert_history.db'}", "AUTH_MODE": "token", "ADMIN_TOKEN": token}
    body = webhook(alert(1))
    with servers.service(env) as server:
        assert httpx.post(f"{server.url}/webhook", content=body, headers=_JSON, trust_env=False).status_code == 200
    with servers.service({**env, "INGEST_AUTH": "required", "WEBHOOK_HMAC_SECRET": "old,new"}) as server:
        for headers, status in [
            ({}, 401),
            ({"authorization": f"Bearer {token}"}, 403),
            ({"x-grafana-alerting-signature": hmac.digest(b"new", body, "sha256").hex()}, 200),
            ({"x-grafana-alerting-signature": hmac.digest(b"other", body, "sha256").hex()}, 401),
        ]:
            answer = httpx.post(f"{server.url}/webhook", content=body, headers=_JSON | headers, trust_env=False)
            assert (headers, answer.status_code) == (headers, status)
        refusals = httpx.get(f"{server.url}/metrics", trust_env=False).text
        assert 'alert_history_webhook_errors_total{reason="wrong-signature"} 1.0' in refusals


class LostTokens(MemoryTokens):
    """A database that is away."""

    async def all(self) -> Sequence[Token]:
        raise StorageUnavailable("it is away")


async def test_the_token_of_the_settings_is_good_while_the_database_is_away() -> None:
    secret = new_secret()
    book = TokenBook(LostTokens(), clock=lambda: datetime.now(UTC), own=[token_of_settings(secret)])
    grant = await book.find(secret)
    assert grant is not None
    assert grant.actor == "admin"
    assert not book.has_ingest_token

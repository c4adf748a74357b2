"""A real OpenID provider on this machine, `oidc-provider-mock`, with a hand on what it says.

It runs as a process of its own: `python -m tests.oidc_provider PORT`. The provider signs with RSA and keeps codes,
nonces and users. Added here: it insists on PKCE and on the secret, which the library passes over; `PUT /hand/flaw`
makes each further ID token wrong in one way; `POST /hand/rotate` gives it a new key; `GET /hand/seen` tells what it was
asked.
"""

import os
import sys
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx

CLIENT_ID = "alert-history"
CLIENT_SECRET = "s3cret-of-ours/+"  # noqa: S105  # of a provider on this machine
HOST = "127.0.0.1"
PATH_OF_TOKENS = "/oauth2/token"

CHANGES: Mapping[str, Mapping[str, Any]] = {
    "nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "audience": {"aud": "another-client"},
    "party": {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
    "issuer": {"iss": "https://evil.example"},
    "expired": {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600},
    "no end": {"exp": None},
    "no subject": {"sub": None},
    "key": {},
    "unsigned": {},
    "shared secret": {},
}
"""What each flaw changes in the claims; None takes a claim away."""

NAMED_KEY = "named key"
"""No flaw: the ID token says which key signed it, which the library's own tokens do not."""


class Hand:
    """The hand: what it watches, and what it changes."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.challenges: dict[str, str] = {}
        self.flaw = ""

    def watch(self) -> Any:
        """Before each request: refuse a code without its verifier, or from a stranger."""
        import flask

        self.seen[flask.request.path] += 1
        if flask.request.path != PATH_OF_TOKENS:
            return None
        form, basic = flask.request.form, flask.request.authorization
        challenge = _base64(sha256(form.get("code_verifier", "").encode()).digest())
        if self.challenges.pop(form.get("code", ""), None) != challenge:
            return flask.jsonify({"error": "invalid_grant"}), 400
        if basic is None or (basic.username, basic.password) != (CLIENT_ID, CLIENT_SECRET):
            return flask.jsonify({"error": "invalid_client"}), 401
        return None

    def change(self, response: Any) -> Any:
        """After each request: remember the challenge of a code, and make an ID token wrong."""
        import flask

        asked = flask.request.args
        if flask.request.path == "/oauth2/authorize" and asked.get("code_challenge_method") == "S256":
            code = httpx.URL(response.headers.get("location", "")).params.get("code", "")
            self.challenges[code] = asked["code_challenge"]
        if flask.request.path == PATH_OF_TOKENS and response.status_code == 200 and self.flaw:
            answer = response.get_json()
            key = flask.g.oidc_provider_mock_storage.jwk.as_dict(is_private=True)
            response.set_data(flask.json.dumps({**answer, "id_token": wrong(self.flaw, answer["id_token"], key)}))
        return response

    def set_flaw(self) -> Any:
        """`PUT /hand/flaw`."""
        import flask

        self.flaw = flask.request.get_json()["flaw"]
        return "", 204

    def rotate(self) -> Any:
        """`POST /hand/rotate`."""
        import flask
        from authlib import jose

        flask.g.oidc_provider_mock_storage.jwk = jose.RSAKey.generate_key(is_private=True)
        return "", 204

    def tell(self) -> Any:
        """`GET /hand/seen`."""
        return dict(self.seen)


def wrong(flaw: str, id_token: str, key: dict[str, Any]) -> str:
    """An ID token with one flaw."""
    from joserfc import jwk, jwt

    signing = jwk.RSAKey.import_key(key)
    claims = {**jwt.decode(id_token, signing).claims, **CHANGES.get(flaw, {})}
    claims = {name: value for name, value in claims.items() if value is not None}
    if flaw == "unsigned":
        return ".".join([_base64(b'{"alg":"none"}'), id_token.split(".")[1], ""])
    if flaw == "shared secret":
        header = {"alg": "HS256", "kid": key["kid"]}
        return jwt.encode(header, claims, jwk.OctKey.import_key(CLIENT_SECRET), algorithms=["HS256"])
    if flaw == "key":
        signing = jwk.RSAKey.generate_key(2048, {"kid": key["kid"]})
    return jwt.encode({"alg": "RS256", "kid": key["kid"]}, claims, signing)


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def main(port: int) -> None:
    """Serve until killed."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    from oidc_provider_mock import app as make_app

    app, hand = make_app(require_nonce=True), Hand()
    app.debug = False
    app.before_request(hand.watch)
    app.after_request(hand.change)
    app.add_url_rule("/hand/flaw", view_func=hand.set_flaw, methods=["PUT"])
    app.add_url_rule("/hand/rotate", view_func=hand.rotate, methods=["POST"])
    app.add_url_rule("/hand/seen", view_func=hand.tell)
    app.run(HOST, port, threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))

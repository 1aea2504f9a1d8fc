"""A small provider of OpenID Connect as a process of its own, true to the standard where it counts.

Discovery, keys, authorization with code, state, nonce and PKCE (S256), a token endpoint with client_secret_basic, RS256
id tokens. It runs apart from the service under test and shares no code with it but the JOSE library. Faults are asked
for in the login hint: ``fault=nonce`` and so on. Start: ``python -m tests.flow.oidc_provider PORT``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "gridward-test", "the secret of the client"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
CODES: dict[str, dict[str, Any]] = {}
#: Who is signed in at the provider, and what goes wrong next; set over HTTP by the test.
STATE: dict[str, Any] = {"user": {"sub": "u-1", "preferred_username": "wang"}, "fault": ""}


class Provider(BaseHTTPRequestHandler):
    """Answers one request."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def issuer(self) -> str:
        """What it is called: its address."""
        return f"http://{self.headers['Host']}"

    def do_GET(self) -> None:
        """Discovery, keys, authorization; and the test's own switch."""
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/.well-known/openid-configuration":
            issuer = "https://somebody.else" if STATE["fault"] == "issuer" else self.issuer
            self._json(
                {
                    "issuer": issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/jwks",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )
        elif parts.path == "/jwks":
            self._json({"keys": [KEY.as_dict(private=False)]})
        elif parts.path == "/authorize":
            self._authorize(asked)
        elif parts.path == "/switch":
            STATE.update(json.loads(asked["to"]))
            self._json(STATE)
        else:
            self._json({"error": "not_found"}, 404)

    def _authorize(self, asked: dict[str, str]) -> None:
        right = (
            asked.get("client_id") == CLIENT_ID
            and asked.get("response_type") == "code"
            and "openid" in asked.get("scope", "").split()
            and asked.get("code_challenge_method") == "S256"
        )
        if not right:
            self._json({"error": "invalid_request"}, 400)
            return
        code = secrets.token_urlsafe(16)
        CODES[code] = {**asked, "user": STATE["user"]}
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        if STATE["fault"] == "denied":
            back = {"error": "access_denied", "state": asked["state"]}
        if STATE["fault"] == "mix-up":
            back["iss"] = "https://somebody.else"
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{urlencode(back)}")
        self.end_headers()

    def do_POST(self) -> None:
        """Give a token for a code, once."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        basic = base64.b64encode(f"{quote(CLIENT_ID)}:{quote(CLIENT_SECRET)}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {basic}":
            self._json({"error": "invalid_client"}, 401)
            return
        asked = CODES.pop(form.get("code", [""])[0], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", [""])[0].encode()).digest())
        if (
            asked is None
            or form["redirect_uri"][0] != asked["redirect_uri"]
            or challenge.rstrip(b"=").decode() != asked["code_challenge"]
        ):
            self._json({"error": "invalid_grant"}, 400)
            return
        now, fault = int(time.time()), STATE["fault"]
        claims = {
            "iss": self.issuer,
            "aud": "another client" if fault == "aud" else CLIENT_ID,
            "iat": now,
            "exp": now - 3600 if fault == "exp" else now + 300,
            "nonce": "another" if fault == "nonce" else asked["nonce"],
            **asked["user"],
        }
        key = OTHER_KEY if fault == "key" else KEY
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        if fault == "none":
            head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
            token = f"{head}.{token.split('.')[1]}."
        self._json({"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": token})

    def _json(self, body: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Provider)
    print(server.server_port, flush=True)
    server.serve_forever()

"""Single sign-on by OpenID Connect: authorization code with PKCE, state and nonce; the library checks the token.

What begins in one request and ends in another is kept in the browser, in a cookie signed with the client's secret:
any process can end what another one began. Source: OpenID Connect Core 1.0, RFC 7636, RFC 9700.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from itsdangerous import BadSignature, URLSafeTimedSerializer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api.settings import Settings
from geo.errors import BadInputError, NotFoundError

__all__ = ["COOKIE", "LASTS_S", "Begun", "Identity", "SingleSignOn"]

COOKIE: Final = "gridward_oidc"
#: Signing in elsewhere may take as long as finding one's phone. Units: seconds.
LASTS_S: Final = 600
_PATIENCE_S: Final = 10.0
_REMEMBER_S: Final = 3600.0
#: Only signatures that need the provider's key; never "none", never a shared secret taken for a public key.
_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where to send the browser, and the cookie it must come back with."""

    address: str
    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the provider says it is; ``login`` is None when the claim is missing or not verified."""

    issuer: str
    subject: str
    login: str | None
    next: str


class SingleSignOn:
    """Talks to the provider that the settings name.

    Parameters
    ----------
    transport
        For tests; None is the network.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._known: tuple[dict[str, Any], KeySet, float] | None = None

    async def begin(self, redirect_uri: str, next_: str) -> Begun:
        """Begin.

        Raises
        ------
        NotFoundError
            ``access.identity_off``.
        BadInputError
            ``access.identity_failed``: the provider is not reached or is not what it says.
        """
        provider, _ = await self._provider()
        state, nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(24), generate_token(64)
        address: str = prepare_grant_uri(
            provider["authorization_endpoint"],
            self._settings.oidc_client_id,
            "code",
            redirect_uri=redirect_uri,
            scope="openid profile email",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        kept = {"s": state, "n": nonce, "v": verifier, "to": next_}
        return Begun(address=address, cookie=self._signer().dumps(kept))

    async def end(self, redirect_uri: str, cookie: str, answer: dict[str, str]) -> Identity:
        """Take the provider's answer, get the token for its code, and check both.

        Raises
        ------
        BadInputError
            ``access.identity_failed`` with the reason.
        """
        try:
            kept: dict[str, str] = self._signer().loads(cookie, max_age=LASTS_S)
        except BadSignature:
            raise _failed("expired") from None
        if not secrets.compare_digest(kept["s"].encode(), answer.get("state", "").encode()):
            raise _failed("state")
        if "error" in answer:
            raise _failed(answer["error"][:60])
        provider, keys = await self._provider()
        # RFC 9207: a provider that names itself in the answer must be the one that was asked.
        if answer.get("iss", provider["issuer"]) != provider["issuer"]:
            raise _failed("issuer")
        token = await self._token(provider, redirect_uri, answer.get("code", ""), kept["v"])
        claims = await self._claims(token, provider, keys, kept["n"])
        return Identity(
            issuer=provider["issuer"], subject=str(claims["sub"]), login=self._login(claims), next=kept["to"]
        )

    async def _token(self, provider: dict[str, Any], redirect_uri: str, code: str, verifier: str) -> str:
        """Give the code for the id token."""
        body = prepare_token_request(
            "authorization_code", redirect_uri=redirect_uri, code=code or "-", code_verifier=verifier
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        # RFC 6749 §2.3.1: both parts are form-encoded before they become one header.
        name = quote(self._settings.oidc_client_id, safe="")
        secret = quote(self._settings.oidc_client_secret.get_secret_value(), safe="")
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=_PATIENCE_S) as client:
                found = await client.post(
                    provider["token_endpoint"], content=body, headers=headers, auth=(name, secret)
                )
            told = found.json()
            if found.status_code != 200 or not isinstance(told, dict):
                raise _failed(str(told.get("error", found.status_code))[:60] if isinstance(told, dict) else "token")
            return str(told["id_token"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise _failed(type(error).__name__) from error

    async def _claims(self, text: str, provider: dict[str, Any], keys: KeySet, nonce: str) -> dict[str, Any]:
        rules = jwt.JWTClaimsRegistry(
            leeway=60,
            iss={"essential": True, "value": provider["issuer"]},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            try:
                claims = jwt.decode(text, keys, algorithms=_ALGORITHMS).claims
            except (ValueError, JoseError):
                # The provider may have changed its keys since we asked.
                _, keys = await self._provider(fresh=True)
                claims = jwt.decode(text, keys, algorithms=_ALGORITHMS).claims
            rules.validate(claims)
        except (ValueError, JoseError) as error:
            raise _failed(type(error).__name__) from error
        # A token for several services must say that it was made for this one.
        if isinstance(claims["aud"], list) and claims.get("azp", self._settings.oidc_client_id) != (
            self._settings.oidc_client_id
        ):
            raise _failed("azp")
        return claims

    def _login(self, claims: dict[str, Any]) -> str | None:
        name = self._settings.oidc_login_claim
        # An address that nobody has verified is whatever somebody typed at the provider.
        if name == "email" and claims.get("email_verified") is not True:
            return None
        value = claims.get(name)
        return value if isinstance(value, str) and value else None

    async def _provider(self, *, fresh: bool = False) -> tuple[dict[str, Any], KeySet]:
        issuer = self._settings.oidc_issuer
        if not issuer:
            raise NotFoundError("access.identity_off")
        if self._known is not None and not fresh and time.monotonic() - self._known[2] < _REMEMBER_S:
            return self._known[0], self._known[1]
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=_PATIENCE_S) as client:
                answer = await client.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
                provider: dict[str, Any] = answer.raise_for_status().json()
                found = await client.get(provider["jwks_uri"])
                keys = KeySet.import_key_set(found.raise_for_status().json())
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            raise _failed(type(error).__name__) from error
        if provider.get("issuer") != issuer:
            raise _failed("issuer")
        self._known = (provider, keys, time.monotonic())
        return provider, keys

    def _signer(self) -> URLSafeTimedSerializer:
        secret = self._settings.oidc_client_secret.get_secret_value()
        return URLSafeTimedSerializer(hashlib.sha256(f"gridward oidc {secret}".encode()).digest(), salt="begun")


def _failed(why: str) -> BadInputError:
    return BadInputError("access.identity_failed", why=why)

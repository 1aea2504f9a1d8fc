"""Who is at the door: a Bearer key, somebody signed in, or somebody at this very machine.

At this very machine means: the peer *and* the Host are loopback and no proxy has forwarded the request. The Host check
stops DNS rebinding, the origin check stops other sites' forms. Whether such a request passes without signing in is
`GRIDWARD_OPEN_ON_LOOPBACK`; by default it does until the first administrator exists.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import HTTPConnection
from starlette.types import Scope as ServerScope

from api.accounts.callers import Caller
from api.accounts.key_ring import KeyRing
from api.accounts.rates import IN_SCOPE, ChannelRates
from api.accounts.roles import Scope
from api.accounts.sessions import HOST_COOKIE, PLAIN_COOKIE, TOKEN_PREFIX, SessionRing
from api.accounts.sight import EVERYTHING
from api.audit.trail import acts_as
from api.settings import Settings
from geo.errors import BadInputError, ForbiddenError, GridwardError
from geo.storage.uow import read_unit

__all__ = ["Doorkeeper", "cookie_of", "is_local", "is_own_origin"]

OPERATOR: Final = Caller(
    kind="operator",
    id="loopback",
    channel=None,
    scopes=frozenset(
        {Scope.CASES_READ, Scope.CASES_READ_ALL, Scope.CASES_MOVE, Scope.LOCATE, Scope.GRID_READ, Scope.GRID_WRITE}
        | {Scope.MAPS_READ}
        | {Scope.WEBHOOKS_MANAGE, Scope.POSTS_READ, Scope.POSTS_WRITE}
    ),
    sight=EVERYTHING,
    office=EVERYTHING,
)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REMEMBER_S: Final = 1.0
_ADMINISTRATOR: Final = (
    "SELECT EXISTS (SELECT FROM api.account AS a JOIN api.role_grant AS g ON g.account_id = a.id"
    " WHERE NOT a.is_demo AND a.disabled_at IS NULL AND g.role = 'administrator' AND g.ended_at IS NULL"
    " AND (g.valid_until IS NULL OR g.valid_until > now()))"
)


def is_local(request: HTTPConnection, gateways: str = "") -> bool:
    """Whether a request comes from this machine, unforwarded, and is meant for it.

    Parameters
    ----------
    gateways
        Networks that count as this machine besides loopback: inside a container, a port published on the host's
        loopback is reached through the engine's bridge. Only set where nothing else can come from there.
    """
    if not _is_at_home(request, gateways):
        return False
    origin = request.headers.get("origin")
    if request.scope["method"] in _SAFE or origin is None:
        return True
    # Compared with the Host header as sent: same host *and* port, or it is somebody else's page.
    return urlsplit(origin).netloc == request.headers.get("host")


def _is_at_home(request: HTTPConnection, gateways: str) -> bool:
    if request.client is None or any(name in request.headers for name in ("forwarded", "x-forwarded-for")):
        return False
    peer = request.client.host
    return (_is_loopback(peer) or _is_within(peer, gateways)) and _is_loopback(request.url.hostname or "")


def is_own_origin(request: HTTPConnection, public_url: str = "") -> bool:
    """Whether a request that changes something comes from our own pages, or from no page at all.

    Notes
    -----
    Browsers send ``Origin`` with every such request, and ``null`` where they hide it; a program that sends neither
    ``Origin`` nor ``Sec-Fetch-Site`` carries no visitor's cookie. SameSite keeps the cookie away on top.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    given, office = urlsplit(origin), urlsplit(public_url)
    if office.netloc and given.netloc == office.netloc:
        # A page that came in clear under the office's name may be anybody's.
        return given.scheme == office.scheme
    return bool(given.netloc) and given.netloc == request.headers.get("host")


def cookie_of(request: HTTPConnection, settings: Settings) -> tuple[str, bool] | None:
    """Name of the session's cookie, and whether it is for https only; None where a session would travel in clear.

    Notes
    -----
    The scheme is what the connection has, or what `GRIDWARD_PUBLIC_URL` says that the reverse proxy gives; it is
    never taken from a header.
    """
    scheme = urlsplit(settings.public_url).scheme or request.url.scheme
    if scheme == "https":
        return HOST_COOKIE, True
    if settings.public_url or _is_at_home(request, settings.local_gateways):
        return PLAIN_COOKIE, False
    return None


class Doorkeeper:
    """Finds out who asks; once per request."""

    def __init__(self, settings: Settings, engine: AsyncEngine, keys: KeyRing) -> None:
        self.settings = settings
        self.keys = keys
        self._rates = ChannelRates(settings.channel_rate)
        self.sessions = SessionRing(engine, idle_h=settings.session_idle_h)
        self._engine = engine
        self._administrated: tuple[bool, float] = (False, float("-inf"))

    async def identify(self, request: HTTPConnection) -> Caller | GridwardError:
        """Who asks, or why nobody may."""
        known = request.scope.get("gridward.caller")
        if known is None:
            known = request.scope["gridward.caller"] = await self._identify(request)
        found: Caller | GridwardError = known
        if isinstance(found, Caller):
            acts_as(found.actor)
        return found

    async def find(self, request: HTTPConnection) -> Caller | None:
        """Who asks, or None."""
        found = await self.identify(request)
        return found if isinstance(found, Caller) else None

    def forget(self, request: HTTPConnection) -> None:
        """Look the caller up anew: a request that waited may have lost its right meanwhile."""
        request.scope.pop("gridward.caller", None)

    async def _identify(self, request: HTTPConnection) -> Caller | GridwardError:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and text.startswith(TOKEN_PREFIX):
            # A session without a cookie: no other site's form can send it, so nobody asks where this comes from.
            held = await self.sessions.find(text.strip())
            return held.caller if held is not None else BadInputError("access.key_unknown")
        if scheme.lower() == "bearer" and text:
            return await self._by_key(request.scope, text)
        token = self.token_of(request)
        if token is not None:
            found = await self.sessions.find(token)
            if found is not None and found.is_full:
                if request.scope["method"] not in _SAFE and not is_own_origin(request, self.settings.public_url):
                    return ForbiddenError("access.foreign_origin")
                return found.caller
        if is_local(request, self.settings.local_gateways) and await self.is_open():
            return OPERATOR
        return BadInputError("access.key_required")

    async def identify_key(self, scope: ServerScope, text: str) -> Caller | GridwardError:
        """Who asks by a key that was read already, in whatever place it came; from here on it is who asks."""
        found = scope["gridward.caller"] = await self._by_key(scope, text)
        return found

    async def _by_key(self, scope: ServerScope, text: str) -> Caller | GridwardError:
        caller = await self.keys.find_caller(text.strip())
        if caller is None or caller.channel is None:
            return BadInputError("access.key_unknown")
        scope[IN_SCOPE], too_many = self._rates.count(caller.channel, caller.rate)
        return too_many or caller

    def token_of(self, request: HTTPConnection) -> str | None:
        """The text of the session's cookie."""
        named = cookie_of(request, self.settings)
        token = request.cookies.get(named[0]) if named else None
        return None if token is None or token.startswith(TOKEN_PREFIX) else token

    async def is_open(self) -> bool:
        """Whether this very machine passes without signing in."""
        if self.settings.open_on_loopback is not None:
            return self.settings.open_on_loopback
        exists, read_at = self._administrated
        if time.monotonic() - read_at > _REMEMBER_S:
            async with read_unit(self._engine) as unit:
                driver = await unit.driver()
                row = await (await driver.execute(_ADMINISTRATOR)).fetchone()
            exists = bool(row and row[0])
            self._administrated = (exists, time.monotonic())
        return not exists


def _is_within(host: str, networks: str) -> bool:
    if not networks.strip():
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network.strip()) for network in networks.split(","))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Who may pass: a Bearer key with the scope, or somebody at this very machine.

Until accounts and sign-in exist, the pages are for the machine they run on: a request whose peer *and* Host are
loopback and which no proxy has forwarded may use them without a key. The Host check stops DNS rebinding, and the
Origin check stops other sites' forms. Everything else needs a key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from api.accounts.keys import Caller, Scope
from api.container import Container, container_of
from geo.errors import BadInputError, ForbiddenError

_OPERATOR = Caller(
    kind="operator",
    id="loopback",
    channel=None,
    scopes=frozenset(
        {Scope.CASES_READ, Scope.CASES_READ_ALL, Scope.CASES_MOVE, Scope.LOCATE, Scope.GRID_READ, Scope.GRID_WRITE}
        | {Scope.WEBHOOKS_MANAGE}
    ),
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def is_local(request: Request, gateways: str = "") -> bool:
    """Whether a request comes from this machine, unforwarded, and is meant for it.

    Parameters
    ----------
    gateways
        Networks that count as this machine besides loopback: inside a container, a port published on the host's
        loopback is reached through the engine's bridge. Only set where nothing else can come from there.
    """
    if request.client is None or any(name in request.headers for name in ("forwarded", "x-forwarded-for")):
        return False
    peer = request.client.host
    if not (_is_loopback(peer) or _is_within(peer, gateways)) or not _is_loopback(request.url.hostname or ""):
        return False
    origin = request.headers.get("origin")
    if request.method in _SAFE or origin is None:
        return True
    # Compared with the Host header as sent: same host *and* port, or it is somebody else's page.
    return urlsplit(origin).netloc == request.headers.get("host")


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


def require(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """Make a dependency that lets callers with a scope pass."""

    async def _caller(request: Request, container: Annotated[Container, Depends(container_of)]) -> Caller:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and text:
            caller = await container.keys.find_caller(text.strip())
            if caller is None:
                raise BadInputError("access.key_unknown")
        elif (
            container.settings.open_on_loopback
            and scope in _OPERATOR.scopes
            and is_local(request, container.settings.local_gateways)
        ):
            caller = _OPERATOR
        else:
            raise BadInputError("access.key_required")
        if scope not in caller.scopes:
            raise ForbiddenError("access.scope_missing", scope=scope.value)
        return caller

    return _caller

"""Signing in through the provider of single sign-on, and the way back."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.accounts.doorkeeper import cookie_of
from api.accounts.oidc import COOKIE, LASTS_S
from api.accounts.pages import safe_next
from api.container import Container, Wired
from api.routes.signing_in import browser_of, desk_of, show_sign_in, signed_in
from geo.errors import BadInputError, ForbiddenError, GridwardError

router = APIRouter(include_in_schema=False)


@router.get("/sign-in/oidc")
async def begin(request: Request, container: Wired) -> Response:
    """Send the browser to the provider."""
    try:
        named = cookie_of(request, container.settings)
        if named is None:
            raise ForbiddenError("access.https_needed")
        next_ = safe_next(request.query_params.get("next")) or ""
        begun = await container.single_sign_on.begin(_back(request, container), next_)
    except GridwardError as error:
        return await show_sign_in(request, container, "password", error=error)
    response = RedirectResponse(begun.address, 303, headers={"Cache-Control": "no-store"})
    prefix = "__Host-" if named[1] else ""
    # Lax: the way back is a navigation that begins at the provider.
    response.set_cookie(
        prefix + COOKIE, begun.cookie, max_age=LASTS_S, path="/", secure=named[1], httponly=True, samesite="lax"
    )
    return response


@router.get("/sign-in/oidc/callback")
async def end(request: Request, container: Wired) -> Response:
    """Come back from the provider."""
    try:
        named = cookie_of(request, container.settings)
        cookie = request.cookies.get(("__Host-" if named and named[1] else "") + COOKIE)
        if cookie is None:
            raise BadInputError("access.identity_failed", why="cookie")
        answer = {name: value[:4000] for name, value in request.query_params.items()}
        identity = await container.single_sign_on.end(_back(request, container), cookie, answer)
        signed = await desk_of(container).by_identity(
            identity.issuer, identity.subject, identity.login, browser_of(request)
        )
    except GridwardError as error:
        response = await show_sign_in(request, container, "password", error=error)
    else:
        response = await signed_in(request, container, signed, identity.next)
    response.delete_cookie(
        ("__Host-" if named and named[1] else "") + COOKIE, path="/", secure=bool(named and named[1])
    )
    return response


def _back(request: Request, container: Container) -> str:
    base = container.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return f"{base}{request.scope.get('root_path', '')}/sign-in/oidc/callback"

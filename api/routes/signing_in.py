"""The sign-in page: password, second factor, single sign-on, the demo's roles; and signing out."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from api.account_pages import page_context
from api.accounts.doorkeeper import cookie_of, is_local, is_own_origin
from api.accounts.pages import home_of, safe_next
from api.accounts.people import list_demo_roles
from api.accounts.sessions import end_sessions
from api.accounts.signing_in import Browser, SignedIn, SignInDesk
from api.audit.trail import Kind, record
from api.container import Container, Wired
from api.errors import message_of, status_of
from api.language import COOKIE, locale_of
from api.templating import render
from geo.errors import ForbiddenError, GridwardError
from geo.storage.uow import read_unit, write_unit
from maps.i18n import LOCALES

router = APIRouter(include_in_schema=False)
Field = Annotated[str, Form(max_length=300)]
Next = Annotated[str, Form(alias="next", max_length=1000)]


def browser_of(request: Request) -> Browser:
    """Where somebody signs in from."""
    peer = request.client.host if request.client else ""
    return Browser(address=peer, name=request.headers.get("user-agent", "")[:200])


def desk_of(container: Container) -> SignInDesk:
    """Who checks passwords."""
    return SignInDesk(engine=container.control, session_hours=container.settings.session_hours)


def check_own_origin(request: Request, container: Container) -> None:
    """Refuse forms of other sites.

    Raises
    ------
    ForbiddenError
        ``access.foreign_origin``.
    """
    if not is_own_origin(request, container.settings.public_url):
        raise ForbiddenError("access.foreign_origin")


@router.get("/sign-in")
async def read_sign_in(request: Request, container: Wired) -> Response:
    """The page; somebody who is signed in goes straight on."""
    caller = await container.doorkeeper.find(request)
    if caller is not None and caller.kind == "person" and "lang" not in request.query_params:
        return go(request, safe_next(request.query_params.get("next")) or home_of(caller))
    return await show_sign_in(request, container, "password")


@router.post("/sign-in")
async def sign_in(
    request: Request, container: Wired, login: Field = "", password: Field = "", next_: Next = ""
) -> Response:
    """Login and password."""
    try:
        check_own_origin(request, container)
        signed = await desk_of(container).by_password(login, password, browser_of(request))
    except GridwardError as error:
        return await show_sign_in(request, container, "password", error=error, login=login, next_=next_)
    return await signed_in(request, container, signed, next_)


@router.get("/sign-in/code")
async def read_code(request: Request, container: Wired) -> Response:
    """Where the second factor is typed."""
    return await show_sign_in(request, container, "code")


@router.post("/sign-in/code")
async def give_code(request: Request, container: Wired, code: Field = "", next_: Next = "") -> Response:
    """The second factor."""
    try:
        check_own_origin(request, container)
        token = container.doorkeeper.token_of(request) or ""
        signed = await desk_of(container).by_code(token, code, browser_of(request))
        container.doorkeeper.sessions.forget(token)
    except GridwardError as error:
        stage = "password" if error.code == "access.sign_in_again" else "code"
        return await show_sign_in(request, container, stage, error=error, next_=next_)
    return await signed_in(request, container, signed, next_)


@router.post("/sign-in/demo")
async def take_demo_role(request: Request, container: Wired, account: Field = "", next_: Next = "") -> Response:
    """One of the demo's roles; only at this very machine."""
    try:
        check_own_origin(request, container)
        if not is_local(request, container.settings.local_gateways):
            raise ForbiddenError("access.demo_elsewhere")
        signed = await desk_of(container).as_demo(_uuid(account), browser_of(request))
    except GridwardError as error:
        return await show_sign_in(request, container, "password", error=error, next_=next_)
    return await signed_in(request, container, signed, next_)


@router.post("/sign-out")
async def sign_out(request: Request, container: Wired) -> Response:
    """End this session."""
    check_own_origin(request, container)
    token = container.doorkeeper.token_of(request)
    if token:
        async with write_unit(container.control) as unit:
            caller = await container.doorkeeper.find(request)
            await end_sessions(unit, token=token)
            if caller is not None and caller.login:
                await record(unit, Kind.SIGNED_OUT, caller.login, actor=caller.actor)
        container.doorkeeper.sessions.forget(token)
    response = go(request, "/sign-in")
    named = cookie_of(request, container.settings)
    if named:
        response.delete_cookie(named[0], path="/", secure=named[1], httponly=True, samesite="lax")
    # What a page has kept in this browser's caches is of somebody who has left.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


async def signed_in(request: Request, container: Container, signed: SignedIn, next_: str) -> Response:
    """Lead somebody on who has just signed in; the session they had before ends."""
    old = container.doorkeeper.token_of(request)
    if old:
        async with write_unit(container.control) as unit:
            await end_sessions(unit, token=old)
        container.doorkeeper.sessions.forget(old)
    wanted = safe_next(next_)
    if signed.owes_code:
        response = go(request, "/sign-in/code" + (f"?next={quote(wanted, safe='')}" if wanted else ""))
    else:
        found = await container.doorkeeper.sessions.find(signed.token)
        response = go(request, wanted or (home_of(found.caller) if found else "/"))
    return set_session(request, container, response, signed.token)


def set_session(request: Request, container: Container, response: Response, token: str) -> Response:
    """Give the browser its cookie.

    Raises
    ------
    ForbiddenError
        ``access.https_needed``.
    """
    named = cookie_of(request, container.settings)
    if named is None:
        raise ForbiddenError("access.https_needed")
    # Lax, not strict: a link from the office's own portal, or the way back from single sign-on, arrives signed in.
    response.set_cookie(named[0], token, path="/", secure=named[1], httponly=True, samesite="lax")
    return response


def go(request: Request, path: str) -> Response:
    """Lead the browser on, with GET."""
    return RedirectResponse(request.scope.get("root_path", "") + path, 303, headers={"Cache-Control": "no-store"})


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


async def show_sign_in(
    request: Request,
    container: Container,
    stage: str,
    *,
    error: GridwardError | None = None,
    login: str = "",
    next_: str | None = None,
) -> Response:
    """Render the sign-in page, with what went wrong."""
    locale = locale_of(request)
    secure = cookie_of(request, container.settings) is not None
    if not secure and error is None:
        error = ForbiddenError("access.https_needed")
    roles: list[dict[str, Any]] = []
    place = ""
    if stage == "password" and is_local(request, container.settings.local_gateways):
        async with read_unit(container.control) as unit:
            roles = [
                {"id": str(row["id"]), "role": row["role"], "area": row["area_zh" if locale == "zh-CN" else "area_en"]}
                for row in await list_demo_roles(unit, container.settings.jurisdiction)
            ]
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    if jurisdiction is not None:
        place = jurisdiction.name(locale)
    context = page_context(request, locale) | {
        "stage": stage,
        "place": place,
        "problem": message_of(locale, error.code, error.params) if error else "",
        "login": login[:80],
        "next": safe_next(next_ if next_ is not None else request.query_params.get("next")) or "",
        "roles": roles,
        "oidc_name": container.settings.oidc_name if container.settings.oidc_issuer else "",
        "is_possible": secure,
    }
    response = render("sign_in.html", context, locale=locale, status=status_of(error) if error else 200)
    if error is not None and "seconds" in error.params:
        response.headers["Retry-After"] = str(error.params["seconds"])
    asked = request.query_params.get("lang")
    if asked in LOCALES:
        response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax", httponly=True)
    return response

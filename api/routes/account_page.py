"""One's own account: roles, password, second factor, where one is signed in."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request, Response

from api.access import require_person
from api.account_pages import page_context
from api.accounts.callers import Caller
from api.accounts.devices import describe_browser
from api.accounts.lockout import allow_attempt, forget_attempts
from api.accounts.pages import home_of
from api.accounts.passwords import verify_password
from api.accounts.people import get_person, set_password
from api.accounts.second_factor import begin_totp, confirm_totp, count_recovery_codes, drop_totp, qr_svg
from api.accounts.sessions import end_sessions, list_sessions, start_session
from api.admin.frame import first_page_of
from api.container import Container, Wired
from api.errors import message_of, status_of
from api.language import COOKIE, locale_of
from api.routes.signing_in import browser_of, go, set_session
from api.templating import render
from geo.errors import BadInputError, GridwardError
from geo.storage.uow import Unit, read_unit, write_unit
from maps.i18n import LOCALES, Locale, translate

router = APIRouter(include_in_schema=False)
Person = Annotated[Caller, Depends(require_person)]
Field = Annotated[str, Form(max_length=300)]


@router.get("/account")
async def read_account(request: Request, container: Wired, caller: Person) -> Response:
    """The page."""
    return await _page(request, container, caller)


@router.post("/account/password")
async def change_password(
    request: Request, container: Wired, caller: Person, old: Field = "", new: Field = "", again: Field = ""
) -> Response:
    """Change the password; every other session ends, and this one goes on under a new cookie."""
    try:
        if new != again:
            raise BadInputError("accounts.password_differs", pointer="/again")
        await check_password(request, container, caller, old)
        assert caller.account is not None
        async with write_unit(container.control) as unit:
            await set_password(unit, caller.account, caller.login, new, must_change=False)
            token = await start_session(
                unit,
                caller.account,
                method="password",
                is_full=True,
                browser=browser_of(request).name,
                hours=container.settings.session_hours,
            )
    except GridwardError as error:
        return await _page(request, container, caller, error=error)
    container.doorkeeper.sessions.forget_all()
    if caller.must_change:
        found = await container.doorkeeper.sessions.find(token)
        return set_session(request, container, go(request, home_of(found.caller) if found else "/account"), token)
    done = translate(locale_of(request), "account.password.done")
    found = await container.doorkeeper.sessions.find(token)
    page = await _page(request, container, found.caller if found else caller, done=done)
    return set_session(request, container, page, token)


@router.post("/account/sessions/end")
async def end_session(request: Request, container: Wired, caller: Person, session: Field = "") -> Response:
    """End one session, or all of them, this one too."""
    one = int(session) if session.isascii() and session.isdecimal() and len(session) < 19 else None
    async with write_unit(container.control) as unit:
        if one is not None or session == "all":
            await end_sessions(unit, account=caller.account, session=one)
    container.doorkeeper.sessions.forget_all()
    return go(request, "/account" if one is not None else "/sign-in")


@router.post("/account/totp/start")
async def start_totp(request: Request, container: Wired, caller: Person) -> Response:
    """Show a secret to be photographed."""
    assert caller.account is not None
    try:
        async with write_unit(container.control) as unit:
            secret = await begin_totp(unit, caller.account)
    except GridwardError as error:
        return await _page(request, container, caller, error=error)
    return await _page(request, container, caller, secret=secret)


@router.post("/account/totp/confirm")
async def end_totp_start(request: Request, container: Wired, caller: Person, code: Field = "") -> Response:
    """Switch the second factor on, and show the recovery codes once."""
    assert caller.account is not None
    try:
        async with write_unit(container.control) as unit:
            codes = await confirm_totp(unit, caller.account, code)
    except GridwardError as error:
        async with read_unit(container.control) as reading:
            secret = await _pending_secret(reading, caller)
        return await _page(request, container, caller, error=error, secret=secret)
    return await _page(request, container, caller, codes=codes)


@router.post("/account/totp/drop")
async def stop_totp(request: Request, container: Wired, caller: Person, password: Field = "") -> Response:
    """Switch the second factor off."""
    assert caller.account is not None
    try:
        await check_password(request, container, caller, password)
        async with write_unit(container.control) as unit:
            await drop_totp(unit, caller.account)
    except GridwardError as error:
        return await _page(request, container, caller, error=error)
    return go(request, "/account")


async def check_password(request: Request, container: Container, caller: Caller, password: str) -> None:
    """Ask for the present password, with the same delays as at the door: a borrowed browser must not guess it.

    Raises
    ------
    BadInputError
        ``accounts.password_wrong``, ``access.sign_in_wait``.
    """
    address = browser_of(request).address
    async with write_unit(container.control) as unit:
        await allow_attempt(unit, caller.login, address)
        driver = await unit.driver()
        row = await (
            await driver.execute("SELECT password_hash FROM api.account WHERE id = %s", (caller.account,))
        ).fetchone()
    is_right, _ = await verify_password(password, row[0] if row else None)
    if not is_right:
        raise BadInputError("accounts.password_wrong", pointer="/old")
    async with write_unit(container.control) as unit:
        await forget_attempts(unit, caller.login, address)


async def _pending_secret(unit: Unit, caller: Caller) -> str:
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT totp_secret FROM api.account WHERE id = %s AND totp_confirmed_at IS NULL", (caller.account,)
        )
    ).fetchone()
    return row[0] or "" if row else ""


async def _page(
    request: Request,
    container: Container,
    caller: Caller,
    *,
    error: GridwardError | None = None,
    done: str = "",
    secret: str = "",
    codes: list[str] | None = None,
) -> Response:
    assert caller.account is not None
    locale = locale_of(request)
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    zone = ZoneInfo(jurisdiction.time_zone if jurisdiction else "Asia/Shanghai")
    async with read_unit(container.control) as unit:
        person = await get_person(unit, caller.login)
        sessions = await list_sessions(unit, caller.account)
        left = await count_recovery_codes(unit, caller.account)
        names = await _area_names(unit, container.settings.jurisdiction, locale)
    image = base64.b64encode(qr_svg(secret, caller.login).encode()).decode() if secret else ""
    context = page_context(request, locale) | {
        "home": home_of(caller),
        "administration": first_page_of(caller),
        "name": caller.name,
        "login": caller.login,
        "must_change": caller.must_change,
        "problem": message_of(locale, error.code, error.params) if error else "",
        "done": done,
        "secret": secret,
        "qr": f"data:image/svg+xml;base64,{image}",
        "codes": codes or [],
        "codes_left": left,
        "has_password": person["has_password"],
        "has_second_factor": person["has_second_factor"],
        "grants": [
            {
                "role": grant.role.value,
                "area": " · ".join(
                    names.get(code, code) for code in (grant.area.cell, grant.area.department) if code is not None
                ),
                "until": _said(grant.until, zone),
            }
            for grant in caller.grants
        ],
        "sessions": [
            {
                "id": row["id"],
                "device": _device(row["browser"], locale) or translate(locale, f"account.method.{row['method']}"),
                "since": _said(row["created_at"], zone),
                "seen": _said(row["seen_at"], zone),
                "is_here": row["id"] == caller.session,
            }
            for row in sessions
        ],
    }
    response = render("account.html", context, locale=locale, status=status_of(error) if error else 200)
    asked = request.query_params.get("lang")
    if asked in LOCALES:
        response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax", httponly=True)
    return response


def _device(agent: str, locale: Locale) -> str:
    browser, system = describe_browser(agent)
    # A program says its name in its first word.
    names = [translate(locale, f"account.browser.{browser}") if browser else agent.partition(" ")[0][:40]]
    if system:
        names.append(translate(locale, f"account.system.{system}"))
    return " · ".join(name for name in names if name)


async def _area_names(unit: Unit, jurisdiction: str, locale: Locale) -> dict[str, Any]:
    column = "name_zh" if locale == "zh-CN" else "name_en"
    driver = await unit.driver()
    rows: list[Any] = await (
        await driver.execute(
            (
                f"SELECT c.code, nullif(c.{column}, '')"  # noqa: S608 - one of two column names
                " FROM geo.valid_version(%s, now()) AS v"
                " JOIN geo.cell AS c ON c.version_id = v.id"
                " WHERE c.code IN (SELECT cell_code FROM api.role_grant WHERE cell_code IS NOT NULL)"
                f" UNION ALL SELECT code, nullif({column}, '') FROM dispatch.department"
            ).encode(),
            (jurisdiction,),
        )
    ).fetchall()
    return {code: name or code for code, name in rows}


def _said(at: datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M") if at else ""

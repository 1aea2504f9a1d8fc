"""Accounts over HTTP: who there is, with which roles; for administrators. And who asks: `GET /v1/me`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.access import require
from api.accounts.callers import Caller
from api.accounts.office_area import check_keeps, check_place, check_sees
from api.accounts.passwords import make_password
from api.accounts.people import (
    NewGrant,
    add_grant,
    add_person,
    end_grant,
    get_person,
    list_people,
    parse_role,
    set_disabled,
    set_password,
)
from api.accounts.roles import Scope
from api.accounts.second_factor import drop_totp
from api.accounts.sessions import end_sessions
from api.answers import json_answer
from api.container import Container, Wired
from api.language import locale_of
from api.rendering import instant
from api.schemas import Code, SoundText, problems
from geo.errors import GridwardError, NotFoundError
from geo.storage.uow import WriteUnit, read_unit, write_unit

router = APIRouter(tags=["accounts"])
Manager = Annotated[Caller, Depends(require(Scope.PEOPLE_MANAGE, in_area=True))]
Login = Annotated[SoundText, Path(min_length=2, max_length=80)]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


class GrantIn(BaseModel):
    """A role to give."""

    model_config = ConfigDict(extra="forbid")

    role: SoundText = Field(max_length=40, description="Such as `dispatcher`; docs/access.md has all of them")
    cell: Code | None = Field(default=None, description="Only this cell and all below it")
    department: Code | None = Field(default=None, description="Only cases in which this department has a part")
    valid_from: AwareDatetime | None = Field(default=None, description="Absent: from now on")
    valid_until: AwareDatetime | None = None


class AccountIn(BaseModel):
    """Somebody who shall be able to sign in."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"login": "wang", "name": "王芳", "grants": [{"role": "grid_head", "cell": "410102001001"}]}]
        },
    )

    login: SoundText = Field(max_length=80)
    name: SoundText = Field(default="", max_length=80)
    person: UUID | None = Field(default=None, description="Somebody who holds posts already; absent: a new person")
    password: SoundText | None = Field(
        default=None, max_length=200, description="Absent: one is made and answered once"
    )
    single_sign_on_only: bool = False
    grants: list[GrantIn] = Field(default=[], max_length=50)


class AccountChangeIn(BaseModel):
    """What to change."""

    model_config = ConfigDict(extra="forbid")

    disabled: bool | None = None
    new_password: bool = Field(default=False, description="Make a new first password and answer it once")
    drop_second_factor: bool = False
    sign_out: bool = Field(default=False, description="End all sessions")


class GrantOut(BaseModel):
    """A role that was given and not taken back."""

    id: int
    role: str
    cell: str | None
    department: str | None
    valid_from: datetime
    valid_until: datetime | None
    is_active: bool


class AccountOut(BaseModel):
    """An account."""

    login: str
    name: str
    person: UUID
    grants: list[GrantOut]
    has_password: bool
    must_change_password: bool
    has_second_factor: bool
    has_single_sign_on: bool
    is_held_elsewhere: bool = Field(description="Holds a post or role outside of the caller's area as well")
    is_demo: bool
    created_at: datetime
    disabled_at: datetime | None
    seen_at: datetime | None
    password: str | None = Field(default=None, description="A made password; only in the answer that made it")


class AccountsOut(BaseModel):
    """All accounts, by login."""

    accounts: list[AccountOut]


class AreaOut(BaseModel):
    """A limit; what is null asks for nothing."""

    cell: str | None
    department: str | None
    channel: str | None


class RoleOut(BaseModel):
    """A role that is held now."""

    role: str
    cell: str | None
    department: str | None
    valid_until: datetime | None


class MeOut(BaseModel):
    """Who asks."""

    kind: str = Field(description="person, key or operator (this very machine without signing in)")
    id: str
    login: str | None
    name: str | None
    channel: str | None
    scopes: list[str]
    roles: list[RoleOut]
    sees_everything: bool
    areas: list[AreaOut]


def account_json(row: dict[str, Any], password: str | None = None) -> dict[str, Any]:
    """An account as administrators see it."""
    kept = ("login", "name", "grants", "has_password", "has_second_factor", "has_single_sign_on", "is_demo")
    return {
        **{name: row[name] for name in kept},
        "person": str(row["person_id"]),
        "is_held_elsewhere": row["is_held_elsewhere"],
        "must_change_password": row["must_change"],
        **{name: instant(row[name]) for name in ("created_at", "disabled_at", "seen_at")},
        "password": password,
    }


@router.get("/v1/me", response_model=None, responses={200: {"model": MeOut}, **problems(401, 403, 429, 503)})
async def read_me(request: Request, container: Wired) -> Response:
    """Who asks: roles, scopes and areas as they hold now."""
    caller = await container.doorkeeper.identify(request)
    if isinstance(caller, GridwardError):
        raise caller
    body = {
        "kind": caller.kind,
        "id": caller.id,
        "login": caller.login or None,
        "name": caller.name or None,
        "channel": caller.channel,
        "scopes": sorted(scope.value for scope in caller.scopes),
        "roles": [
            {
                "role": grant.role.value,
                "cell": grant.area.cell,
                "department": grant.area.department,
                "valid_until": instant(grant.until),
            }
            for grant in caller.grants
        ],
        "sees_everything": caller.sight.is_everything,
        "areas": [
            {"cell": area.cell, "department": area.department, "channel": area.channel}
            for area in caller.sight.areas
            if not area.is_everything
        ],
    }
    return json_answer(body, locale=locale_of(request), Cache_Control="no-store")


@router.get("/v1/accounts", response_model=None, responses={200: {"model": AccountsOut}, **problems(401, 403, 503)})
async def read_accounts(request: Request, container: Wired, caller: Manager) -> Response:
    """List accounts with their roles."""
    async with read_unit(container.control) as unit:
        body = {"accounts": [account_json(row) for row in await list_people(unit, caller.office)]}
    return json_answer(body, locale=locale_of(request), Cache_Control="no-store")


@router.get(
    "/v1/accounts/{login}",
    response_model=None,
    responses={200: {"model": AccountOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_account(request: Request, login: Login, container: Wired, caller: Manager) -> Response:
    """One account."""
    async with read_unit(container.control) as unit:
        body = account_json(await get_person(unit, login, caller.office))
    return json_answer(body, locale=locale_of(request), Cache_Control="no-store")


@router.post(
    "/v1/accounts",
    status_code=201,
    response_model=None,
    responses={201: {"model": AccountOut}, **problems(400, 401, 403, 404, 409, 413, 422, 503)},
)
async def create_account(request: Request, body: AccountIn, container: Wired, caller: Manager) -> Response:
    """Make an account. A made password is in this answer only, and must be changed at the first sign-in."""
    made = make_password() if body.password is None and not body.single_sign_on_only else None
    async with write_unit(container.control) as unit:
        if body.person is not None:
            await check_sees(unit, caller.office, body.person)
            await check_keeps(unit, caller.office, body.person)
        account = await add_person(
            unit,
            jurisdiction=container.settings.jurisdiction,
            login=body.login,
            name=body.name,
            password=made or body.password,
            must_change=made is not None,
            person_id=body.person,
            care=caller.office.first_place,
        )
        for place, grant in enumerate(body.grants):
            await _give(unit, container, account, grant, caller, at=f"/grants/{place}")
        row = await get_person(unit, body.login, caller.office)
    return json_answer(account_json(row, made), status=201, locale=locale_of(request), Cache_Control="no-store")


@router.patch(
    "/v1/accounts/{login}",
    response_model=None,
    responses={200: {"model": AccountOut}, **problems(401, 403, 404, 409, 413, 422, 503)},
)
async def change_account(
    request: Request, login: Login, body: AccountChangeIn, container: Wired, caller: Manager
) -> Response:
    """Close or open an account, make a new first password, end sessions."""
    made = make_password() if body.new_password else None
    async with write_unit(container.control) as unit:
        person = await _kept(unit, login, caller)
        if made is not None:
            await set_password(unit, person["id"], person["login"], made, must_change=True)
        if body.drop_second_factor:
            await drop_totp(unit, person["id"])
        if body.sign_out:
            await end_sessions(unit, account=person["id"])
        if body.disabled is not None:
            await set_disabled(unit, person["id"], disabled=body.disabled)
        row = await get_person(unit, login, caller.office)
    container.doorkeeper.sessions.forget_all()
    return json_answer(account_json(row, made), locale=locale_of(request), Cache_Control="no-store")


@router.post(
    "/v1/accounts/{login}/grants",
    status_code=201,
    response_model=None,
    responses={201: {"model": AccountOut}, **problems(400, 401, 403, 404, 413, 422, 503)},
)
async def create_grant(request: Request, login: Login, body: GrantIn, container: Wired, caller: Manager) -> Response:
    """Give a role, from when until when, everywhere or in an area."""
    async with write_unit(container.control) as unit:
        person = await get_person(unit, login, caller.office)
        await _give(unit, container, person["id"], body, caller)
        row = await get_person(unit, login, caller.office)
    container.doorkeeper.sessions.forget_all()
    return json_answer(account_json(row), status=201, locale=locale_of(request), Cache_Control="no-store")


@router.delete(
    "/v1/accounts/{login}/grants/{grant}",
    status_code=204,
    response_model=None,
    responses={204: {"description": "Taken back"}, **problems(401, 403, 404, 409, 422, 503)},
)
async def delete_grant(login: Login, grant: Number, container: Wired, caller: Manager) -> Response:
    """Take a role back. Requests see it at once, open streams within a second."""
    async with write_unit(container.control) as unit:
        person = await get_person(unit, login, caller.office)
        # Those outside of the area are not among them: they are as unknown as any other number.
        if all(held["id"] != grant for held in person["grants"]):
            raise NotFoundError("accounts.grant_unknown", grant=grant)
        await end_grant(unit, person["id"], grant)
    container.doorkeeper.sessions.forget_all()
    return Response(status_code=204)


async def _kept(unit: WriteUnit, login: str, caller: Caller) -> dict[str, Any]:
    """The account, if nobody else keeps it too: whoever sets a password or closes an account does so everywhere."""
    person = await get_person(unit, login, caller.office)
    await check_keeps(unit, caller.office, person["person_id"])
    return person


async def _give(
    unit: WriteUnit, container: Container, account: UUID, grant: GrantIn, caller: Caller, *, at: str = ""
) -> None:
    new = NewGrant(
        role=parse_role(grant.role),
        cell=grant.cell,
        department=grant.department,
        valid_from=grant.valid_from,
        valid_until=grant.valid_until,
    )
    by = f"{caller.kind}:{caller.id}"
    await check_place(unit, caller.office, grant.cell, grant.department, at)
    await add_grant(unit, account, new, jurisdiction=container.settings.jurisdiction, by=by)

"""Accounts: who signs in, with which roles and areas; first passwords, second factors, closing an account."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter

from api.accounts.roles import ROLES, Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Field, Form, Kind, state_of
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Facts, Link, Page, Search, Section, Table
from api.routes.admin.posts import departments_of, people_of

__all__ = ["router"]

router = APIRouter()
_PAGE = 60
_FIRST_ROLES = 2


async def _accounts(desk: Desk) -> Page:
    words = desk.asked("words").casefold()
    found = (await desk.get("/v1/accounts"))["accounts"]
    fitting = [one for one in found if words in f"{one['login']} {one['name']}".casefold()]
    start = int(desk.asked("from")) if desk.asked("from").isdecimal() and len(desk.asked("from")) < 6 else 0
    shown = fitting[start : start + _PAGE]
    search = desk.search(desk.field("words", "admin.accounts.search", value=desk.asked("words"), most=80))
    head = tuple(desk.t(f"admin.accounts.{key}") for key in ("login", "name", "roles", "seen"))
    kept = desk.kept("words")
    return Page(
        key="accounts",
        title=desk.t("admin.accounts.title"),
        lead=desk.t("admin.accounts.lead"),
        sections=(
            Section(id="new", forms=(await _new(desk),)),
            Section(
                id="accounts",
                search=Search(form=search, is_narrowed=bool(kept)),
                table=Table(
                    head=(*head, desk.t("admin.state")),
                    rows=tuple(_row(desk, one) for one in shown),
                    empty=desk.t("admin.accounts.none"),
                ),
                count=desk.t("admin.count", first=start + 1 if shown else 0, last=start + len(shown), all=len(fitting)),
                following=f"?{urlencode({**kept, 'from': start + _PAGE})}" if start + _PAGE < len(fitting) else "",
                first=f"?{urlencode(kept)}" if start else "",
            ),
        ),
    )


def _row(desk: Desk, one: dict[str, Any]) -> tuple[Cell, ...]:
    held = [grant for grant in one["grants"] if grant["is_active"]]
    roles = [f"{desk.named('role.', grant['role'])} · {_area(desk, grant)}" for grant in held]
    return (
        Cell(text=one["login"], to=path_of("/admin/accounts/{login}", login=one["login"])),
        Cell(text=one["name"]),
        Cell(text="; ".join(roles) or desk.t("admin.accounts.no_role")),
        Cell(text=desk.local(one["seen_at"]) or desk.t("admin.accounts.never"), is_number=True, is_typed=False),
        _standing(desk, one),
    )


def _area(desk: Desk, grant: dict[str, Any]) -> str:
    parts = [part for part in (grant["cell"], grant["department"]) if part]
    return " · ".join(parts) or desk.t("role.everywhere")


def _standing(desk: Desk, one: dict[str, Any]) -> Cell:
    if one["disabled_at"]:
        return Cell(text=desk.t("admin.accounts.closed"), mark="off", is_typed=False)
    if one["must_change_password"]:
        return Cell(text=desk.t("admin.accounts.first_password"), mark="soon", is_typed=False)
    return Cell(text=desk.t("admin.accounts.open"), mark="good", is_typed=False)


def _role_fields(desk: Desk, departments: tuple[Choice, ...], at: str, *, none: str) -> tuple[Field, ...]:
    roles = desk.choices("role.", tuple(role.value for role in ROLES), none=none)
    everywhere = Choice(value="", text=desk.t("admin.accounts.any_department"))
    return (
        desk.field(f"{at}role", "admin.accounts.role", Kind.CHOICE, choices=roles),
        desk.field(f"{at}cell", "admin.accounts.cell", most=40),
        desk.field(
            f"{at}department", "admin.posts.department", Kind.CHOICE, choices=(everywhere, *departments), hint=""
        ),
        desk.field(f"{at}valid_from", "admin.valid_from", Kind.INSTANT),
        desk.field(f"{at}valid_until", "admin.valid_until", Kind.INSTANT),
    )


async def _new(desk: Desk) -> Form:
    departments = await departments_of(desk)
    somebody = Choice(value="", text=desk.t("admin.accounts.new_person"))
    return Form(
        name="add",
        legend=desk.t("admin.accounts.add"),
        button=desk.t("admin.accounts.add"),
        method="POST",
        path="/v1/accounts",
        hint=desk.t("admin.accounts.add.hint"),
        is_open=False,
        fields=(
            desk.field("login", "admin.accounts.login", is_required=True, most=80),
            desk.field("person", "admin.accounts.person", Kind.CHOICE, choices=(somebody, *await people_of(desk))),
            desk.field("name", "admin.accounts.name", most=80),
            desk.field("single_sign_on_only", "admin.accounts.single_sign_on_only", Kind.CHECK),
        ),
        rows=tuple(
            _role_fields(desk, departments, f"grants/{place}/", none="admin.accounts.no_role")
            for place in range(_FIRST_ROLES)
        ),
        rows_legend=desk.t("admin.accounts.role"),
        shows=lambda body: _once(desk, body),
        leads_to=lambda body: path_of("/admin/accounts/{login}", login=body["login"]),
        done="admin.done.added",
    )


def _once(desk: Desk, body: dict[str, Any]) -> tuple[str, str] | None:
    """A made password is in this answer and nowhere else."""
    if not body["password"]:
        return None
    return desk.t("admin.accounts.password", login=body["login"]), str(body["password"])


async def _account(desk: Desk) -> Page:
    login = desk.at("login")
    one = await desk.get("/v1/accounts/{login}", login=login)
    url = path_of("/v1/accounts/{login}", login=one["login"])
    departments = await departments_of(desk)
    facts = Facts(
        items=(
            (desk.t("admin.state"), _standing(desk, one)),
            (desk.t("admin.accounts.login"), Cell(text=one["login"])),
            (desk.t("admin.accounts.seen"), Cell(text=desk.local(one["seen_at"]) or desk.t("admin.accounts.never"))),
            (desk.t("admin.accounts.second_factor"),
             Cell(text=desk.t("admin.yes" if one["has_second_factor"] else "admin.no"), is_typed=False)),
            (desk.t("admin.accounts.single_sign_on"),
             Cell(text=desk.t("admin.yes" if one["has_single_sign_on"] else "admin.no"), is_typed=False)),
        )
    )  # fmt: skip
    links = (Link(text=desk.t("admin.accounts.to_person"), to=path_of("/admin/people/{person}", person=one["person"])),)
    return Page(
        key="accounts",
        title=one["name"] or one["login"],
        back=Link(text=desk.t("admin.accounts.title"), to="/admin/accounts"),
        sections=(
            Section(id="facts", facts=facts, links=links),
            _grants(desk, one, departments, url),
            Section(id="doors", title=desk.t("admin.accounts.doors"), forms=_doors(desk, one, url)),
        ),
    )


def _grants(desk: Desk, one: dict[str, Any], departments: tuple[Choice, ...], url: str) -> Section:
    rows = tuple(
        (
            Cell(text=desk.t(f"role.{grant['role']}"), is_typed=False),
            Cell(text=_area(desk, grant)),
            Cell(text=desk.span(grant["valid_from"], grant["valid_until"]), is_number=True, is_typed=False),
            Cell(
                text=desk.t("admin.accounts.holds" if grant["is_active"] else "admin.accounts.holds_not"),
                mark="good" if grant["is_active"] else "off",
                is_typed=False,
            ),
            Cell(forms=(_take_back(desk, grant, url),)),
        )
        for grant in one["grants"]
    )
    give = Form(
        name="give",
        legend=desk.t("admin.accounts.give"),
        button=desk.t("admin.accounts.give"),
        method="POST",
        path=f"{url}/grants",
        hint=desk.t("admin.accounts.give.hint"),
        is_open=False,
        fields=_role_fields(desk, departments, "", none=""),
        done="admin.done.added",
    )
    head = (
        desk.t("admin.accounts.role"),
        desk.t("admin.accounts.area"),
        desk.t("admin.posts.valid"),
        desk.t("admin.state"),
        "",
    )
    return Section(
        id="roles",
        title=desk.t("admin.accounts.roles"),
        table=Table(head=head, rows=rows, empty=desk.t("admin.accounts.no_role")),
        forms=(give,),
    )


def _take_back(desk: Desk, grant: dict[str, Any], url: str) -> Form:
    return Form(
        name=f"grant-{grant['id']}",
        legend="",
        button=desk.t("admin.remove"),
        method="DELETE",
        path=path_of(url + "/grants/{grant}", grant=grant["id"]),
        is_plain=True,
        done="admin.done.removed",
    )


def _doors(desk: Desk, one: dict[str, Any], url: str) -> tuple[Form, ...]:
    state = state_of([one["disabled_at"]])

    def act(name: str, **base: bool) -> Form:
        return Form(
            name=name,
            legend=desk.t(f"admin.accounts.{name}"),
            button=desk.t(f"admin.accounts.{name}"),
            method="PATCH",
            path=url,
            base=base,
            hint=desk.t(f"admin.accounts.{name}.hint"),
            is_open=False,
            seen=state,
            shows=lambda body: _once(desk, body),
        )

    is_closed = one["disabled_at"] is not None
    return (
        act("new_password", new_password=True),
        *((act("drop_second_factor", drop_second_factor=True),) if one["has_second_factor"] else ()),
        act("sign_out", sign_out=True),
        act("reopen", disabled=False) if is_closed else act("close", disabled=True),
    )


add_page(router, "/admin/accounts", Scope.PEOPLE_MANAGE, _accounts)
add_page(router, "/admin/accounts/{login}", Scope.PEOPLE_MANAGE, _account)

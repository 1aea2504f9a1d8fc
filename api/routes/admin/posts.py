"""Posts of cells and departments: A and B, who holds them, whether somebody is there; and adding one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Field, Form, Kind
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Link, Note, Page, Search, Section, Table
from dispatch.storage.tables import POST_KINDS

__all__ = ["department_filter", "departments_of", "holder_cell", "people_of", "router"]

router = APIRouter()
_PEOPLE_A_PAGE = 1000


async def _posts(desk: Desk) -> Page:
    names = ("kind", "cell", "department", "ended")
    narrowed, after = desk.kept(*names), desk.asked("after")
    found = await desk.find("/v1/posts", query={**narrowed, "after": after or None, "limit": 50})
    body = found.body if found.is_good else {"posts": [], "next": None}
    departments = await departments_of(desk)
    search = desk.search(
        desk.field(
            "kind",
            "admin.posts.kind",
            Kind.CHOICE,
            value=desk.asked("kind"),
            choices=desk.choices("posts.kind.", POST_KINDS, none="admin.any"),
        ),
        desk.field("cell", "admin.posts.cell", value=desk.asked("cell"), most=40, hint=""),
        department_filter(desk, departments),
        desk.field("ended", "admin.posts.ended", Kind.CHECK, value=desk.asked("ended")),
    )
    head = tuple(desk.t(f"admin.posts.{key}") for key in ("post", "kind", "where", "holders", "valid"))
    table = Table(
        head=head,
        rows=tuple(_row(desk, one) for one in body["posts"]),
        empty=desk.t("admin.posts.none_found" if narrowed else "admin.posts.none"),
    )
    following = f"?{urlencode({**narrowed, 'after': body['next']})}" if body["next"] else ""
    return Page(
        key="posts",
        title=desk.t("admin.posts.title"),
        lead=desk.t("admin.posts.lead"),
        sections=(
            Section(id="new", forms=(await _new(desk, departments),)),
            Section(
                id="posts",
                search=Search(form=search, is_narrowed=bool(narrowed)),
                note=None if found.is_good else Note(text=found.detail, tone="warn"),
                table=table,
                following=following,
                first=f"?{urlencode(narrowed)}" if after else "",
            ),
        ),
    )


def _row(desk: Desk, one: dict[str, Any]) -> tuple[Cell, ...]:
    where = one["department_name"] or one["cell"] or "–"
    return (
        Cell(text=one["title"], to=path_of("/admin/posts/{post}", post=one["id"])),
        Cell(text=one["kind_name"], under=desk.t(f"admin.rank.{one['rank']}"), is_typed=False),
        Cell(text=where, under=one["cell"] if one["department_name"] and one["cell"] else ""),
        holder_cell(desk, one),
        Cell(text=desk.span(one["valid_from"], one["valid_until"]), is_number=True, is_typed=False),
    )


def holder_cell(desk: Desk, post: dict[str, Any]) -> Cell:
    """Who holds a post, and whether one of them is there now."""
    holders = post["holders"]
    if not holders:
        return Cell(text=desk.t("admin.posts.vacant"), mark="late", is_typed=False)
    links = tuple(
        Link(text=holder["name"], to=path_of("/admin/people/{person}", person=holder["person"])) for holder in holders
    )
    if any(holder["is_available"] for holder in holders):
        return Cell(links=links, mark="good")
    away = next((holder["leave_until"] for holder in holders if holder["leave_until"]), None)
    text = desk.t("admin.people.away", until=desk.local(away)) if away else desk.t("admin.posts.off_shift")
    return Cell(links=links, under=text, mark="soon")


async def departments_of(desk: Desk) -> tuple[Choice, ...]:
    """The departments to choose from."""
    found = (await desk.get("/v1/departments"))["departments"]
    return tuple(Choice(value=one["code"], text=f"{one['name']} ({one['code']})") for one in found if one["is_active"])


def department_filter(desk: Desk, departments: tuple[Choice, ...]) -> Field:
    """Narrow a list to what one department has."""
    return desk.field(
        "department",
        "admin.posts.department",
        Kind.CHOICE,
        value=desk.asked("department"),
        hint="",
        choices=(Choice(value="", text=desk.t("admin.any")), *departments),
    )


async def people_of(desk: Desk) -> tuple[Choice, ...]:
    """The people to choose from, by name: all of them, whom nobody could choose otherwise."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        body = await desk.get("/v1/people", query={"limit": _PEOPLE_A_PAGE, "after": after})
        found += body["people"]
        after = body["next"]
        if after is None:
            break
    chosen = [
        Choice(value=one["id"], text=f"{one['name']} {one['staff_number']}" if one["staff_number"] else one["name"])
        for one in found
    ]
    return tuple(sorted(chosen, key=lambda choice: choice.text))


async def _new(desk: Desk, departments: tuple[Choice, ...]) -> Form:
    nobody = Choice(value="", text=desk.t("admin.posts.nobody_yet"))
    nowhere = Choice(value="", text=desk.t("admin.posts.no_department"))
    return Form(
        name="add",
        legend=desk.t("admin.posts.add"),
        button=desk.t("admin.posts.add"),
        method="POST",
        path="/v1/posts",
        is_open=False,
        hint=desk.t("admin.posts.add.hint"),
        fields=(
            desk.field(
                "kind",
                "admin.posts.kind",
                Kind.CHOICE,
                value="grid_head",
                choices=desk.choices("posts.kind.", POST_KINDS),
            ),
            desk.field(
                "rank", "admin.posts.rank", Kind.CHOICE, value="A", choices=desk.choices("admin.rank.", ("A", "B"))
            ),
            desk.field("cell", "admin.posts.cell", most=40),
            desk.field("department", "admin.posts.department", Kind.CHOICE, choices=(nowhere, *departments)),
            desk.field("title_zh", "admin.posts.title_zh", is_required=True, most=80),
            desk.field("title_en", "admin.posts.title_en", most=80),
            desk.field("holder", "admin.posts.first_holder", Kind.CHOICE, choices=(nobody, *await people_of(desk))),
            desk.field("valid_from", "admin.valid_from", Kind.INSTANT),
            desk.field("valid_until", "admin.valid_until", Kind.INSTANT),
            desk.field("is_shared", "admin.posts.is_shared", Kind.CHECK),
        ),
        leads_to=lambda body: path_of("/admin/posts/{post}", post=body["id"]),
        done="admin.done.added",
    )


add_page(router, "/admin/posts", Scope.POSTS_WRITE, _posts)

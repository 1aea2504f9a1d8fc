"""People: who there is, which posts they hold, who is away; and adding somebody."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Form, Kind
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Link, Note, Page, Search, Section, Table

__all__ = ["router", "standing_of"]

router = APIRouter()


async def _people(desk: Desk) -> Page:
    name, left, after = desk.asked("name"), desk.asked("left"), desk.asked("after")
    query = {"name": name or None, "left": left or None, "after": after or None, "limit": 50}
    found = await desk.find("/v1/people", query=query)
    body = found.body if found.is_good else {"people": [], "next": None}
    following = f"?{urlencode({**desk.kept('name', 'left'), 'after': body['next']})}" if body["next"] else ""
    search = desk.search(
        desk.field("name", "admin.people.search", value=name, most=120),
        desk.field("left", "admin.people.left", Kind.CHECK, value=left),
    )
    table = Table(
        head=tuple(desk.t(f"admin.people.{key}") for key in ("name", "staff_number", "holds", "standing")),
        rows=tuple(_row(desk, one) for one in body["people"]),
        empty=desk.t("admin.people.none_found" if name else "admin.people.none"),
    )
    return Page(
        key="people",
        title=desk.t("admin.people.title"),
        lead=desk.t("admin.people.lead"),
        sections=(
            Section(id="new", forms=(_new(desk),)),
            Section(
                id="people",
                search=Search(form=search, is_narrowed=bool(name or left)),
                note=None if found.is_good else Note(text=found.detail, tone="warn"),
                table=table,
                following=following,
                first=f"?{urlencode(desk.kept('name', 'left'))}" if after else "",
            ),
        ),
    )


def _new(desk: Desk) -> Form:
    return Form(
        name="add",
        legend=desk.t("admin.people.add"),
        button=desk.t("admin.people.add"),
        method="POST",
        path="/v1/people",
        is_open=False,
        fields=(
            desk.field("name", "admin.people.name", is_required=True, most=80),
            desk.field("staff_number", "admin.people.staff_number", most=40),
            desk.field("phone", "admin.people.phone", most=24),
        ),
        leads_to=lambda body: path_of("/admin/people/{person}", person=body["id"]),
        done="admin.done.added",
    )


def _row(desk: Desk, one: dict[str, Any]) -> tuple[Cell, ...]:
    posts = tuple(
        Link(text=post["title"] or "–", to=path_of("/admin/posts/{post}", post=post["id"])) for post in one["posts"]
    )
    return (
        Cell(text=one["name"], to=path_of("/admin/people/{person}", person=one["id"])),
        Cell(text=one["staff_number"] or "", is_number=True),
        Cell(text="" if posts else desk.t("admin.people.no_post"), links=posts, is_typed=False),
        standing_of(desk, one),
    )


def standing_of(desk: Desk, one: dict[str, Any]) -> Cell:
    """Whether somebody is there, in shape and word."""
    if not one["is_active"]:
        return Cell(text=desk.t("admin.people.gone"), mark="off", is_typed=False)
    if one["leave_until"]:
        text = desk.t("admin.people.away", until=desk.local(one["leave_until"]))
        return Cell(text=text, mark="soon", is_typed=False)
    return Cell(text=desk.t("admin.people.there"), mark="good", is_typed=False)


add_page(router, "/admin/people", Scope.POSTS_WRITE, _people)

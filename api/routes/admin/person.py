"""One person: name and number, phone on demand, posts, leave, and leaving for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Blank, Form, Kind, local_of, state_of
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Facts, Link, Page, Section, Table
from api.routes.admin.people import standing_of
from api.routes.admin.posts import departments_of

__all__ = ["router"]

router = APIRouter()


async def _person(desk: Desk) -> Page:
    person = desk.at("person")
    one = await desk.get("/v1/people/{person}", person=person)
    leave = (await desk.get("/v1/people/{person}/leave", person=person))["leave"]
    url = path_of("/v1/people/{person}", person=person)
    # Only heads of departments have any; most people need no list of them.
    named = await departments_of(desk) if any(post["department"] for post in one["posts"]) else ()
    departments = {choice.value: choice.text for choice in named}
    facts = Facts(
        items=(
            (desk.t("admin.people.standing"), standing_of(desk, one)),
            (desk.t("admin.people.staff_number"), Cell(text=one["staff_number"] or "–")),
            (desk.t("admin.people.phone"), _phone(desk, one, url)),
        )
    )
    return Page(
        key="people",
        title=one["name"],
        back=Link(text=desk.t("admin.people.title"), to="/admin/people"),
        sections=(
            Section(id="facts", facts=facts),
            _posts(desk, one, departments),
            _leave(desk, leave, url),
            Section(id="change", forms=(_change(desk, one, url), _gone(desk, one, url))),
        ),
    )


def _phone(desk: Desk, one: dict[str, Any], url: str) -> Cell:
    """A phone is shown one at a time; who looked is on record."""
    if not one["has_phone"]:
        return Cell(text=desk.t("admin.people.no_phone"), is_typed=False)
    show = Form(
        name="phone",
        legend="",
        button=desk.t("admin.people.show_phone"),
        method="GET",
        path=f"{url}/phone",
        is_plain=True,
        shows=lambda body: (desk.t("admin.people.phone_of", name=one["name"]), str(body["phone"])),
    )
    return Cell(forms=(show,))


def _posts(desk: Desk, one: dict[str, Any], departments: Mapping[str, str]) -> Section:
    rows = tuple(
        (
            Cell(text=post["title"] or "–", to=path_of("/admin/posts/{post}", post=post["id"])),
            Cell(
                text=desk.named("posts.kind.", post["kind"]), under=desk.t(f"admin.rank.{post['rank']}"), is_typed=False
            ),
            # One that is out of use is in no list to choose from: its code still says which it was.
            Cell(text=departments.get(post["department"], post["department"]))
            if post["department"]
            else Cell(text=post["cell"] or "–", is_number=True),
            Cell(text=desk.span(post["valid_from"], post["valid_until"]), is_number=True, is_typed=False),
        )
        for post in one["posts"]
    )
    head = tuple(desk.t(f"admin.posts.{key}") for key in ("post", "kind", "where", "valid"))
    return Section(
        id="posts",
        title=desk.t("admin.people.posts"),
        hint=desk.t("admin.people.posts.hint"),
        table=Table(head=head, rows=rows, empty=desk.t("admin.people.no_post")),
    )


def _leave(desk: Desk, leave: list[dict[str, Any]], url: str) -> Section:
    rows = tuple(
        (
            Cell(text=desk.span(row["starts_at"], row["ends_at"]), is_number=True, is_typed=False),
            Cell(text=row["reason"] or "–"),
            Cell(forms=(_end_leave(desk, row, url),)),
        )
        for row in leave[:200]
    )
    head = (desk.t("admin.leave.span"), desk.t("admin.leave.reason"), "")
    new = Form(
        name="leave",
        legend=desk.t("admin.leave.add"),
        button=desk.t("admin.leave.add"),
        method="POST",
        path=f"{url}/leave",
        hint=desk.t("admin.leave.hint"),
        is_open=False,
        fields=(
            desk.field("starts_at", "admin.leave.starts", Kind.INSTANT, is_required=True),
            desk.field("ends_at", "admin.leave.ends", Kind.INSTANT, is_required=True),
            desk.field("reason", "admin.leave.reason", most=400),
        ),
    )
    return Section(
        id="leave",
        title=desk.t("admin.leave.title"),
        table=Table(head=head, rows=rows, empty=desk.t("admin.leave.none")),
        forms=(new,),
    )


def _end_leave(desk: Desk, row: dict[str, Any], url: str) -> Form:
    end = desk.field("ends_at", "admin.leave.new_end", Kind.INSTANT, value=local_of(row["ends_at"], desk.zone))
    return Form(
        name=f"leave-{row['id']}",
        legend="",
        button=desk.t("admin.leave.change"),
        method="PATCH",
        path=path_of(url + "/leave/{leave}", leave=row["id"]),
        fields=(end,),
        is_plain=True,
    )


def _change(desk: Desk, one: dict[str, Any], url: str) -> Form:
    return Form(
        name="change",
        legend=desk.t("admin.people.change"),
        button=desk.t("admin.save"),
        method="PATCH",
        path=url,
        is_open=False,
        seen=state_of([one["name"], one["staff_number"], one["is_active"]]),
        fields=(
            desk.field("name", "admin.people.name", value=one["name"], is_required=True, most=80),
            desk.field(
                "staff_number", "admin.people.staff_number", value=one["staff_number"] or "", most=40, blank=Blank.NULL
            ),
            desk.field("phone", "admin.people.new_phone", most=24),
        ),
    )


def _gone(desk: Desk, one: dict[str, Any], url: str) -> Form:
    """Leaving ends nothing that was: and coming back undoes it."""
    word = "leaves" if one["is_active"] else "returns"
    return Form(
        name=word,
        legend=desk.t(f"admin.people.{word}"),
        button=desk.t(f"admin.people.{word}"),
        method="PATCH",
        path=url,
        hint=desk.t(f"admin.people.{word}.hint"),
        base={"is_active": not one["is_active"]},
        is_open=False,
        done=f"admin.done.{word}",
    )


add_page(router, "/admin/people/{person}", Scope.POSTS_WRITE, _person)

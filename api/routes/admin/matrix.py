"""The matrix: which department has which class of case where; its lines, and where it says nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Form, Kind
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Link, Note, Page, Search, Section, Table
from api.routes.admin.posts import department_filter, departments_of
from dispatch.routing import Mode

__all__ = ["router"]

router = APIRouter()
_PAGE = 100
_GAPS = 50


async def _matrix(desk: Desk) -> Page:
    departments = await departments_of(desk)
    classes = tuple(
        Choice(value=one["code"], text=one["name"]) for one in (await desk.get("/v1/categories"))["categories"]
    )
    return Page(
        key="matrix",
        title=desk.t("admin.matrix.title"),
        lead=desk.t("admin.matrix.lead"),
        sections=(
            Section(id="new", forms=(_new(desk, departments, classes),)),
            await _lines(desk, departments, classes),
            await _gaps(desk),
        ),
    )


async def _lines(desk: Desk, departments: tuple[Choice, ...], classes: tuple[Choice, ...]) -> Section:
    narrowed, after = desk.kept("department", "cell", "category", "ended"), desk.asked("after")
    query = {**narrowed, "after": after or None, "limit": _PAGE}
    found = await desk.find("/v1/departments/matrix", query=query)
    body = found.body if found.is_good else {"rules": [], "next": None}
    search = desk.search(
        department_filter(desk, departments),
        desk.field("category", "admin.matrix.category", value=desk.asked("category"), choices=classes, hint=""),
        desk.field("cell", "admin.matrix.cell", value=desk.asked("cell"), most=40, hint=""),
        desk.field("ended", "admin.matrix.ended", Kind.CHECK, value=desk.asked("ended")),
    )
    head = tuple(desk.t(f"admin.matrix.{key}") for key in ("category", "cell", "department", "valid"))
    return Section(
        id="lines",
        title=desk.t("admin.matrix.lines"),
        search=Search(form=search, is_narrowed=bool(narrowed)),
        note=None if found.is_good else Note(text=found.detail, tone="warn"),
        table=Table(
            head=(*head, ""),
            rows=tuple(_line(desk, one) for one in body["rules"]),
            empty=desk.t("admin.matrix.none_found" if narrowed else "admin.matrix.none"),
        ),
        following=f"?{urlencode({**narrowed, 'after': body['next']})}" if body["next"] else "",
        first=f"?{urlencode(narrowed)}" if after else "",
        links=(Link(text=desk.t("admin.matrix.file"), to="/v1/departments/matrix.csv"),),
    )


def _line(desk: Desk, one: dict[str, Any]) -> tuple[Cell, ...]:
    ends = Form(
        name=f"end-{one['id']}",
        legend="",
        button=desk.t("admin.matrix.end"),
        method="PATCH",
        path=path_of("/v1/departments/matrix/{rule}", rule=one["id"]),
        is_plain=True,
        done="admin.done.ended",
    )
    return (
        Cell(
            text=one["category_name"] or one["category"] or desk.t("admin.matrix.any_category"), under=one["category"]
        ),
        Cell(text=one["cell_name"] or one["cell"] or desk.t("role.everywhere"), under=one["cell"]),
        Cell(text=one["department_name"], under=" · ".join(filter(None, (one["mode_name"], one["note"])))),
        Cell(text=desk.span(one["valid_from"], one["valid_until"]), is_number=True, is_typed=False),
        Cell(forms=(ends,) if not one["valid_until"] and _may_be_theirs(desk, one) else ()),
    )


def _may_be_theirs(desk: Desk, one: dict[str, Any]) -> bool:
    """Lines of the whole jurisdiction are only read by whoever keeps an area, unless it is their department's."""
    office = desk.caller.office
    by_department = any(area.cell is None and area.department == one["department"] for area in office.areas)
    return bool(office.is_everything or one["cell"] or by_department)


async def _gaps(desk: Desk) -> Section:
    """Where only the fallback is left, or nobody: that is what an office has to see before a case falls into it."""
    found = await desk.get("/v1/departments/matrix/gaps", query={"limit": _GAPS})
    nobody = desk.t("admin.matrix.nobody")
    names = {choice.value: choice.text for choice in await departments_of(desk)}
    rows = tuple(
        (
            Cell(text=one["category_name"], under=one["category"]),
            Cell(text=one["cell_name"] or one["cell"], under=desk.t("admin.matrix.leaves", count=one["leaves"])),
            Cell(
                text=names.get(one["fallback"], one["fallback"]) if one["fallback"] else nobody,
                mark="soon" if one["fallback"] else "late",
            ),
        )
        for one in found["gaps"]
    )
    head = tuple(desk.t(f"admin.matrix.{key}") for key in ("category", "cell", "left"))
    key = "admin.matrix.gaps.nobody" if found["without_owner"] else "admin.matrix.gaps.count"
    said = desk.t(key, count=found["total"], nobody=found["without_owner"], shown=len(rows))
    return Section(
        id="gaps",
        title=desk.t("admin.matrix.gaps"),
        hint=said if found["total"] else "",
        table=Table(head=head, rows=rows, empty=desk.t("admin.matrix.gaps.none")),
    )


def _new(desk: Desk, departments: tuple[Choice, ...], classes: tuple[Choice, ...]) -> Form:
    return Form(
        name="add",
        legend=desk.t("admin.matrix.add"),
        button=desk.t("admin.matrix.add"),
        method="POST",
        path="/v1/departments/matrix",
        is_open=False,
        hint=desk.t("admin.matrix.add.hint"),
        fields=(
            desk.field("category", "admin.matrix.category", choices=classes, most=40),
            desk.field("cell", "admin.matrix.cell", most=40),
            desk.field("department", "admin.posts.department", Kind.CHOICE, choices=departments, hint=""),
            desk.field(
                "mode",
                "admin.matrix.mode",
                Kind.CHOICE,
                value=Mode.LEAD.value,
                choices=desk.choices("posts.mode.", tuple(mode.value for mode in Mode)),
            ),
            desk.field("note", "admin.matrix.note", most=200),
            desk.field("valid_from", "admin.valid_from", Kind.INSTANT),
            desk.field("valid_until", "admin.valid_until", Kind.INSTANT),
            desk.field("replaces", "admin.matrix.replaces", Kind.CHECK),
        ),
        done="admin.done.added",
    )


add_page(router, "/admin/matrix", Scope.POSTS_WRITE, _matrix)

"""Departments: which there are, what they answer for; adding, renaming, taking one out of use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Form, state_of
from api.admin.frame import add_page
from api.admin.inside import Answer, InsideError, path_of
from api.admin.parts import Cell, Facts, Link, Page, Section, Table

__all__ = ["router"]

router = APIRouter()


async def _departments(desk: Desk) -> Page:
    found = (await desk.get("/v1/departments"))["departments"]
    head = tuple(desk.t(f"admin.departments.{key}") for key in ("name", "code", "lines", "posts"))
    rows = tuple(
        (
            Cell(text=one["name"], to=path_of("/admin/departments/{code}", code=one["code"])),
            Cell(text=one["code"], is_number=True),
            Cell(text=str(one["rules"]), is_number=True, is_typed=False),
            Cell(text=str(one["posts"]), is_number=True, is_typed=False),
            _use(desk, one),
        )
        for one in found
    )
    return Page(
        key="departments",
        title=desk.t("admin.departments.title"),
        lead=desk.t("admin.departments.lead"),
        sections=(
            Section(id="new", forms=(_new(desk, frozenset(one["code"] for one in found)),)),
            Section(
                id="departments",
                table=Table(head=(*head, desk.t("admin.state")), rows=rows, empty=desk.t("admin.departments.none")),
                links=(Link(text=desk.t("admin.matrix.title"), to="/admin/matrix"),),
            ),
        ),
    )


def _use(desk: Desk, one: dict[str, Any]) -> Cell:
    word = "in_use" if one["is_active"] else "out_of_use"
    return Cell(text=desk.t(f"admin.{word}"), mark="good" if one["is_active"] else "off", is_typed=False)


def _new(desk: Desk, taken: frozenset[str]) -> Form:
    return Form(
        name="add",
        legend=desk.t("admin.departments.add"),
        button=desk.t("admin.departments.add"),
        method="POST",
        path="/v1/departments",
        is_open=False,
        taken=taken,
        fields=(
            desk.field("code", "admin.departments.code", is_required=True, most=40),
            desk.field("name_zh", "admin.departments.name_zh", is_required=True, most=80),
            desk.field("name_en", "admin.departments.name_en", most=80),
        ),
        leads_to=lambda body: path_of("/admin/departments/{code}", code=body["code"]),
        done="admin.done.added",
    )


async def _department(desk: Desk) -> Page:
    code = desk.at("department")
    found = (await desk.get("/v1/departments"))["departments"]
    one = next((each for each in found if each["code"] == code), None)
    if one is None:
        raise InsideError(Answer(status=404, code="http.404"))
    url = path_of("/v1/departments/{code}", code=code)
    facts = Facts(
        items=(
            (desk.t("admin.state"), _use(desk, one)),
            (desk.t("admin.departments.code"), Cell(text=code)),
            (desk.t("admin.departments.lines"), Cell(text=str(one["rules"]), to=f"/admin/matrix?department={code}")),
            (desk.t("admin.departments.posts"), Cell(text=str(one["posts"]), to=f"/admin/posts?department={code}")),
        )
    )
    rename = Form(
        name="change",
        legend=desk.t("admin.departments.change"),
        button=desk.t("admin.save"),
        method="PATCH",
        path=url,
        is_open=False,
        seen=state_of([one["name_zh"], one["name_en"], one["is_active"]]),
        fields=(
            desk.field("name_zh", "admin.departments.name_zh", value=one["name_zh"], is_required=True, most=80),
            desk.field("name_en", "admin.departments.name_en", value=one["name_en"], most=80),
        ),
    )
    word = "take_out" if one["is_active"] else "bring_back"
    use = Form(
        name=word,
        legend=desk.t(f"admin.departments.{word}"),
        button=desk.t(f"admin.departments.{word}"),
        method="PATCH",
        path=url,
        hint=desk.t(f"admin.departments.{word}.hint"),
        base={"is_active": not one["is_active"]},
        is_open=False,
    )
    return Page(
        key="departments",
        title=one["name"],
        back=Link(text=desk.t("admin.departments.title"), to="/admin/departments"),
        sections=(Section(id="facts", facts=facts), Section(id="change", forms=(rename, use))),
    )


add_page(router, "/admin/departments", Scope.POSTS_WRITE, _departments)
add_page(router, "/admin/departments/{department}", Scope.POSTS_WRITE, _department)

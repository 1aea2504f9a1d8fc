"""Ladders of escalation: which hold, which are planned, what each rung does; a change is a new version."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Blank, Field, Form, Kind, state_of
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Facts, Link, Page, Search, Section, Table
from dispatch.escalation import Basis, EndsWith, Target
from dispatch.ladder_editing import MOST_RUNGS

__all__ = ["router"]

router = APIRouter()
_MARKS = {"in_force": "good", "planned": "soon", "past": "off"}
_UNITS = ("urgent_hour", "working_hour", "working_day", "natural_day")
_SPARE = 3


async def _ladders(desk: Desk) -> Page:
    history = desk.asked("history")
    ladders = (await desk.get("/v1/ladders", query={"history": history or None}))["ladders"]
    rows = tuple(
        (
            Cell(text=_scope(desk, one), to=path_of("/admin/ladders/{id}", id=one["id"]), is_typed=False),
            Cell(text=desk.t(f"ladder.status.{one['status']}"), mark=_MARKS[one["status"]], is_typed=False),
            Cell(text=desk.local(one["effective_from"]), is_number=True, is_typed=False),
            Cell(text=str(len(one["rungs"])), is_number=True),
            Cell(text=one["note"] or "–", under=one["made_by"]),
        )
        for one in ladders
    )
    head = tuple(desk.t(f"admin.ladders.{key}") for key in ("scope", "status", "from", "rungs", "note"))
    search = desk.search(desk.field("history", "admin.ladders.history", Kind.CHECK, value=history))
    return Page(
        key="ladders",
        title=desk.t("admin.ladders.title"),
        lead=desk.t("admin.ladders.lead"),
        sections=(
            Section(
                id="ladders",
                search=Search(form=search, is_narrowed=bool(history)),
                table=Table(head=head, rows=rows, empty=desk.t("admin.ladders.none")),
            ),
        ),
    )


def _scope(desk: Desk, one: dict[str, Any]) -> str:
    place = one["subdistrict"] or desk.t("admin.everywhere")
    return f"{place} · {one['category'] or desk.t('admin.every_class')}"


async def _ladder(desk: Desk) -> Page:
    one = await desk.get("/v1/ladders/{id}", id=desk.at("id"))
    others = (await desk.get("/v1/ladders", query={"history": "true"}))["ladders"]
    same = [(other["id"], other["status"]) for other in others if _scope(desk, other) == _scope(desk, one)]
    facts = Facts(
        items=(
            (
                desk.t("admin.ladders.status"),
                Cell(text=desk.t(f"ladder.status.{one['status']}"), mark=_MARKS[one["status"]], is_typed=False),
            ),
            (desk.t("admin.ladders.from"), Cell(text=desk.local(one["effective_from"]))),
            (
                desk.t("admin.made_by"),
                Cell(text=desk.t("admin.ladders.shipped") if one["is_shipped"] else one["made_by"]),
            ),
            (desk.t("admin.note"), Cell(text=one["note"] or "–")),
        )
    )
    rows = tuple(
        (
            Cell(text=rung["name"], under=rung["code"]),
            Cell(text=_when(desk, rung), is_typed=False),
            Cell(text=desk.named("ladder.target.", rung["target"]), is_typed=False),
            Cell(text=desk.t(f"admin.ladders.ends.{rung['ends_with']}"), is_typed=False),
            Cell(text=desk.t("admin.yes" if rung["in_bulletin"] else "admin.no"), is_typed=False),
        )
        for rung in one["rungs"]
    )
    head = tuple(desk.t(f"admin.ladders.{key}") for key in ("rung", "when", "target", "ends_with", "in_bulletin"))
    return Page(
        key="ladders",
        title=desk.t("admin.ladders.of", scope=_scope(desk, one)),
        back=Link(text=desk.t("admin.ladders.title"), to="/admin/ladders"),
        sections=(
            Section(id="facts", facts=facts),
            Section(
                id="rungs",
                title=desk.t("admin.ladders.rungs"),
                table=Table(head=head, rows=rows, empty=desk.t("admin.ladders.withdrawn")),
            ),
            Section(id="edit", forms=(_edit(desk, one, state_of(same)), *_withdraw(desk, one))),
        ),
    )


def _when(desk: Desk, rung: dict[str, Any]) -> str:
    if rung["basis"] == Basis.SHARE.value:
        return desk.t("admin.ladders.when.share", share=f"{100 * rung['share']:g}")
    if rung["basis"] == Basis.AFTER_DUE.value and rung["after_value"]:
        unit = desk.named("unit.", rung["after_unit"])
        return desk.t("admin.ladders.when.after_due", value=f"{rung['after_value']:g}", unit=unit)
    return desk.t("admin.ladders.when.at_once" if rung["basis"] == Basis.AT_ONCE.value else "admin.ladders.when.due")


def _edit(desk: Desk, one: dict[str, Any], seen: str) -> Form:
    spare = min(_SPARE, MOST_RUNGS - len(one["rungs"]))
    rows = [*one["rungs"], *([None] * spare)]
    return Form(
        name="version",
        legend=desk.t("admin.ladders.new_version"),
        button=desk.t("admin.ladders.save"),
        method="POST",
        path="/v1/ladders",
        hint=desk.t("admin.ladders.edit.hint"),
        fields=(
            desk.field(
                "subdistrict", "admin.ladders.subdistrict", value=one["subdistrict"] or "", most=40, blank=Blank.NULL
            ),
            desk.field("category", "admin.ladders.category", value=one["category"] or "", most=40, blank=Blank.NULL),
            desk.field("effective_from", "admin.ladders.from", Kind.INSTANT, hint=desk.t("admin.valid_from.hint")),
            desk.field("note", "admin.note", most=400),
        ),
        rows=tuple(_rung(desk, place, rung) for place, rung in enumerate(rows)),
        rows_legend=desk.t("admin.ladders.rung"),
        is_open=False,
        seen=seen,
        leads_to=lambda body: f"/admin/ladders/{body['id']}",
        done="admin.done.added",
    )


def _rung(desk: Desk, place: int, rung: dict[str, Any] | None) -> tuple[Field, ...]:
    def said(name: str, default: str = "") -> str:
        value = rung[name] if rung else default
        return f"{value:g}" if isinstance(value, float) else str(value)

    at = f"rungs/{place}"
    basis, target = said("basis", Basis.AFTER_DUE.value), said("target", Target.OWNER.value)
    share = said("share") if rung and basis == Basis.SHARE.value else ""
    after = said("after_value") if rung and basis == Basis.AFTER_DUE.value else ""
    ends = desk.choices("admin.ladders.ends.", tuple(one.value for one in EndsWith))
    fields = (
        desk.field(f"{at}/code", "admin.ladders.code", value=said("code"), most=40, is_short=True),
        desk.field(f"{at}/name_zh", "admin.name_zh", value=said("name_zh"), most=100),
        desk.field(f"{at}/name_en", "admin.name_en", value=said("name_en"), most=100),
        desk.field(
            f"{at}/basis",
            "admin.ladders.basis",
            Kind.CHOICE,
            value=basis,
            choices=desk.choices("admin.ladders.basis.", tuple(one.value for one in Basis)),
        ),
        desk.field(f"{at}/share", "admin.ladders.share", Kind.DECIMAL, value=share, is_short=True),
        desk.field(f"{at}/after_value", "admin.ladders.after", Kind.DECIMAL, value=after, is_short=True),
        desk.field(
            f"{at}/after_unit",
            "admin.unit",
            Kind.CHOICE,
            value=said("after_unit", "working_day"),
            choices=desk.choices("unit.", _UNITS),
        ),
        desk.field(
            f"{at}/target",
            "admin.ladders.target",
            Kind.CHOICE,
            value=target,
            choices=desk.choices("ladder.target.", tuple(one.value for one in Target)),
        ),
        desk.field(
            f"{at}/ends_with", "admin.ladders.ends_with", Kind.CHOICE, value=said("ends_with", "handled"), choices=ends
        ),
        desk.field(
            f"{at}/in_bulletin",
            "admin.ladders.in_bulletin",
            Kind.CHECK,
            value="true" if rung and rung["in_bulletin"] else "",
        ),
    )
    gone = desk.field(f"{at}/gone", "admin.row_gone", Kind.CHECK, is_tick=True)
    return (*fields, *((gone,) if rung else ()))


def _withdraw(desk: Desk, one: dict[str, Any]) -> tuple[Form, ...]:
    if one["status"] != "planned":
        return ()
    return (
        Form(
            name="withdraw",
            legend=desk.t("admin.ladders.withdraw"),
            button=desk.t("admin.ladders.withdraw"),
            method="DELETE",
            path=path_of("/v1/ladders/{id}", id=one["id"]),
            is_open=False,
            leads_to=lambda _: "/admin/ladders",
            done="admin.done.removed",
        ),
    )


add_page(router, "/admin/ladders", Scope.POSTS_WRITE, _ladders, is_whole=True)
add_page(router, "/admin/ladders/{id}", Scope.POSTS_WRITE, _ladder, is_whole=True)

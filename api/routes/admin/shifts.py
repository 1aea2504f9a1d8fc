"""Shifts of a post: patterns of the week or of a cycle, single days that differ, and the week that they make."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Form, Kind
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Link, Note, Page, Search, Section, Table

__all__ = ["router"]

router = APIRouter()
_WEEK = 7


async def _shifts(desk: Desk) -> Page:
    number = desk.at("post")
    one = await desk.get("/v1/posts/{post}", post=number)
    asked = {"from": desk.asked("from") or None, "until": desk.asked("until") or None}
    found = await desk.find("/v1/posts/{post}/shifts", query=asked, post=number)
    body = found.body if found.is_good else await desk.get("/v1/posts/{post}/shifts", post=number)
    names = {holder["person"]: holder["name"] for holder in one["holders"]}
    url = path_of("/v1/posts/{post}", post=number)
    everybody = Choice(value="", text=desk.t("admin.shifts.everybody"))
    holders = (everybody, *(Choice(value=person, text=name) for person, name in names.items()))
    return Page(
        key="posts",
        title=desk.t("admin.shifts.of", post=one["title"]),
        lead=desk.t("admin.shifts.lead"),
        back=Link(text=one["title"], to=path_of("/admin/posts/{post}", post=number)),
        sections=(
            _rota(desk, body, names, "" if found.is_good else found.detail),
            _patterns(desk, body["shifts"], names, holders, url),
            _exceptions(desk, body["exceptions"], names, holders, url),
        ),
    )


def _rota(desk: Desk, body: dict[str, Any], names: dict[str, str], problem: str) -> Section:
    search = Form(
        name="days",
        legend="",
        button=desk.t("admin.shifts.show"),
        method="GET",
        path="",
        fields=(
            desk.field("from", "admin.shifts.first_day", Kind.DAY, value=desk.asked("from")),
            desk.field("until", "admin.shifts.last_day", Kind.DAY, value=desk.asked("until"), hint=""),
        ),
    )
    rows = tuple(
        (
            Cell(text=span["day"], is_number=True, is_typed=False),
            Cell(text=names.get(span["person"], span["person"])),
            Cell(text=desk.span(span["starts_at"], span["ends_at"]), is_number=True, is_typed=False),
        )
        for span in sorted(body["duties"], key=lambda span: (span["day"], span["starts_at"]))
    )
    head = (desk.t("admin.shifts.day"), desk.t("admin.people.name"), desk.t("admin.shifts.duty"))
    return Section(
        id="rota",
        title=desk.t("admin.shifts.rota"),
        search=Search(form=search, is_narrowed=bool(desk.kept("from", "until"))),
        note=Note(text=problem, tone="warn") if problem else None,
        table=Table(head=head, rows=rows, empty=desk.t("admin.shifts.no_duty")),
    )


def _patterns(
    desk: Desk, shifts: list[dict[str, Any]], names: dict[str, str], holders: tuple[Choice, ...], url: str
) -> Section:
    rows = tuple(
        (
            Cell(text=row["name"] or f"{row['starts']}–{row['ends']}", under=f"{row['starts']}–{row['ends']}"),
            Cell(text=_days(desk, row), is_typed=False),
            Cell(text=names.get(row["person"], row["person"]) if row["person"] else desk.t("admin.shifts.everybody")),
            Cell(
                text=desk.t("admin.span", first=row["first_day"], last=row["last_day"])
                if row["last_day"]
                else desk.t("admin.since", first=row["first_day"]),
                is_number=True,
                is_typed=False,
            ),
            Cell(forms=(_end_shift(desk, row, url),)),
        )
        for row in shifts
    )
    head = tuple(desk.t(f"admin.shifts.{key}") for key in ("pattern", "days", "who", "runs"))
    new = Form(
        name="shift",
        legend=desk.t("admin.shifts.add"),
        button=desk.t("admin.shifts.add"),
        method="POST",
        path=f"{url}/shifts",
        is_open=False,
        hint=desk.t("admin.shifts.add.hint"),
        fields=(
            desk.field("name", "admin.shifts.name", most=400),
            desk.field("starts", "admin.shifts.starts", Kind.TIME, value="08:00", is_short=True, is_required=True),
            desk.field("ends", "admin.shifts.ends", Kind.TIME, value="18:00", is_short=True, is_required=True),
            desk.field("on_days", "admin.shifts.on_days", Kind.BOXES, values=tuple("01234"), choices=_boxes(desk)),
            desk.field("first_day", "admin.shifts.first_day", Kind.DAY, is_required=True),
            desk.field("last_day", "admin.shifts.last_day", Kind.DAY),
            desk.field("person", "admin.shifts.who", Kind.CHOICE, choices=holders),
            desk.field("cycle_days", "admin.shifts.cycle_days", Kind.WHOLE, value="7", is_short=True),
            desk.field("anchor", "admin.shifts.anchor", Kind.DAY),
        ),
        done="admin.done.added",
    )
    return Section(
        id="patterns",
        title=desk.t("admin.shifts.patterns"),
        table=Table(head=(*head, ""), rows=rows, empty=desk.t("admin.shifts.none")),
        forms=(new,),
    )


def _boxes(desk: Desk) -> tuple[Choice, ...]:
    week = [Choice(value=str(day), text=desk.t(f"admin.weekday.{day}")) for day in range(_WEEK)]
    return (
        *week,
        *(Choice(value=str(day), text=desk.t("admin.shifts.cycle_day", day=day + 1)) for day in range(_WEEK, 14)),
    )


def _days(desk: Desk, row: dict[str, Any]) -> str:
    if row["cycle_days"] == _WEEK:
        return " ".join(desk.t(f"admin.weekday.{day}") for day in row["on_days"])
    days = ", ".join(str(day + 1) for day in row["on_days"])
    return desk.t("admin.shifts.of_cycle", days=days, cycle=row["cycle_days"], anchor=row["anchor"])


def _end_shift(desk: Desk, row: dict[str, Any], url: str) -> Form:
    return Form(
        name=f"shift-{row['id']}",
        legend="",
        button=desk.t("admin.shifts.change"),
        method="PATCH",
        path=path_of(url + "/shifts/{shift}", shift=row["id"]),
        fields=(
            desk.field(
                "last_day", "admin.shifts.new_last_day", Kind.DAY, value=row["last_day"] or "", is_required=True
            ),
        ),
        is_plain=True,
    )


def _exceptions(
    desk: Desk, exceptions: list[dict[str, Any]], names: dict[str, str], holders: tuple[Choice, ...], url: str
) -> Section:
    rows = tuple(
        (
            Cell(text=row["day"], is_number=True, is_typed=False),
            Cell(
                text=f"{row['starts']}–{row['ends']}" if row["starts"] else desk.t("admin.shifts.free"), is_typed=False
            ),
            Cell(text=names.get(row["person"], row["person"]) if row["person"] else desk.t("admin.shifts.everybody")),
            Cell(text=row["reason"] or "–"),
            Cell(forms=(_remove(desk, row, url),)),
        )
        for row in exceptions[-200:]
    )
    head = tuple(desk.t(f"admin.shifts.{key}") for key in ("day", "duty", "who", "reason"))
    new = Form(
        name="exception",
        legend=desk.t("admin.shifts.add_day"),
        button=desk.t("admin.shifts.add_day"),
        method="POST",
        path=f"{url}/shift-exceptions",
        is_open=False,
        hint=desk.t("admin.shifts.add_day.hint"),
        fields=(
            desk.field("day", "admin.shifts.day", Kind.DAY, is_required=True),
            desk.field("starts", "admin.shifts.starts", Kind.TIME, is_short=True),
            desk.field("ends", "admin.shifts.ends", Kind.TIME, is_short=True),
            desk.field("person", "admin.shifts.who", Kind.CHOICE, choices=holders),
            desk.field("reason", "admin.shifts.reason", most=400),
        ),
        done="admin.done.added",
    )
    return Section(
        id="exceptions",
        title=desk.t("admin.shifts.exceptions"),
        table=Table(head=(*head, ""), rows=rows, empty=desk.t("admin.shifts.no_exception")),
        forms=(new,),
    )


def _remove(desk: Desk, row: dict[str, Any], url: str) -> Form:
    return Form(
        name=f"exception-{row['id']}",
        legend="",
        button=desk.t("admin.remove"),
        method="DELETE",
        path=path_of(url + "/shift-exceptions/{number}", number=row["id"]),
        is_plain=True,
        done="admin.done.removed",
    )


add_page(router, "/admin/posts/{post}/shifts", Scope.POSTS_WRITE, _shifts)

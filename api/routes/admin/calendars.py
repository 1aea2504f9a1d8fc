"""Working calendars: the working hours, a year's table with make-up days and half days, files, and what held before."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Field, Form, Kind, file_of
from api.admin.frame import add_page
from api.admin.inside import Answer, path_of
from api.admin.parts import Cell, Facts, Link, Note, Page, Section, Table

__all__ = ["router"]

router = APIRouter()
_KINDS = ("holiday", "workday", "morning", "afternoon")
_HOLIDAYS = (
    "new_years_day",
    "spring_festival",
    "tomb_sweeping_day",
    "labour_day",
    "dragon_boat_festival",
    "mid_autumn_festival",
    "national_day",
)
_SPARE_DAYS = 8
_MOST_SPANS = 6


async def _calendars(desk: Desk) -> Page:
    body = await desk.get("/v1/calendars")
    years = sorted(body["years"], key=lambda one: -one["year"])
    rows = tuple(
        (
            Cell(text=str(one["year"]), to=f"/admin/calendars/{one['year']}", is_typed=False),
            _published(desk, one),
            Cell(text=str(one["holidays"]), is_number=True),
            Cell(text=str(one["workdays"]), is_number=True),
            Cell(text=_revision(desk, one), is_typed=False),
        )
        for one in years
    )
    head = tuple(desk.t(f"admin.calendars.{key}") for key in ("year", "notice", "holidays", "workdays", "revision"))
    coming = years[0]["year"] + 1 if years else 2026
    link = Link(text=desk.t("admin.calendars.enter", year=coming), to=f"/admin/calendars/{coming}")
    return Page(
        key="calendars",
        title=desk.t("admin.calendars.title"),
        lead=desk.t("admin.calendars.lead"),
        sections=(
            Section(id="hours", title=desk.t("admin.calendars.hours"), forms=(_hours(desk, body["hours"]),)),
            Section(
                id="years",
                title=desk.t("admin.calendars.years"),
                links=(link,),
                table=Table(head=head, rows=rows, empty=desk.t("admin.calendars.none")),
            ),
        ),
    )


def _published(desk: Desk, one: dict[str, Any]) -> Cell:
    word = "published" if one["published"] else "provisional"
    return Cell(text=desk.t(f"admin.calendars.{word}"), mark="good" if one["published"] else "soon", is_typed=False)


def _revision(desk: Desk, one: dict[str, Any]) -> str:
    if one["revision"]:
        return desk.t("admin.calendars.nth", number=one["revision"])
    return desk.t("admin.calendars.shipped" if one["shipped"] else "admin.calendars.not_entered")


def _hours(desk: Desk, hours: dict[str, Any]) -> Form:
    spans = [*hours["hours"], *({"starts": "", "ends": ""} for _ in range(_MOST_SPANS - len(hours["hours"])))]
    rows = tuple(
        (
            desk.field(
                f"hours/{place}/starts", "admin.calendars.starts", Kind.TIME, value=span["starts"], is_short=True
            ),
            desk.field(f"hours/{place}/ends", "admin.calendars.ends", Kind.TIME, value=span["ends"], is_short=True),
        )
        for place, span in enumerate(spans[: max(3, len(hours["hours"]) + 1)])
    )
    return Form(
        name="hours",
        legend=desk.t(
            "admin.calendars.hours_now", hours=", ".join(f"{s['starts']}–{s['ends']}" for s in hours["hours"])
        ),
        button=desk.t("admin.save"),
        method="PUT",
        path="/v1/calendars/hours",
        hint=desk.t("admin.calendars.hours.hint"),
        fields=(desk.field("note", "admin.note", most=400),),
        rows=rows,
        rows_legend=desk.t("admin.calendars.span"),
        is_open=False,
        seen=str(hours["revision"]),
        is_versioned=True,
    )


async def _year(desk: Desk) -> Page:
    year = desk.at("year")
    one = await desk.get("/v1/calendars/{year}", year=year)
    kept = (await desk.get("/v1/calendars/{year}/revisions", year=year))["revisions"]
    sections = [Section(id="facts", facts=_facts(desk, one), note=_recounted(desk))]
    shown = desk.asked("revision")
    if shown:
        old = await desk.get("/v1/calendars/{year}", query={"revision": shown}, year=year)
        title = desk.t("admin.calendars.state_of", number=old["revision"], at=desk.local(old["made_at"]))
        sections.append(Section(id="old", title=title, table=_days(desk, old["days"])))
    else:
        sections.append(Section(id="days", title=desk.t("admin.calendars.days"), table=_days(desk, one["days"])))
    sections.append(Section(id="edit", forms=(_edit(desk, one), _upload(desk, one))))
    sections.append(_kept(desk, kept, int(one["year"])))
    return Page(
        key="calendars",
        title=desk.t("admin.calendars.of", year=one["year"]),
        back=Link(text=desk.t("admin.calendars.title"), to="/admin/calendars"),
        sections=tuple(sections),
    )


def _facts(desk: Desk, one: dict[str, Any]) -> Facts:
    return Facts(
        items=(
            (desk.t("admin.calendars.notice"), _published(desk, one)),
            (desk.t("admin.calendars.revision"), Cell(text=_revision(desk, one), is_typed=False)),
            (desk.t("admin.calendars.holidays"), Cell(text=str(one["holidays"]))),
            (desk.t("admin.calendars.workdays"), Cell(text=str(one["workdays"]))),
        )
    )


def _recounted(desk: Desk) -> Note | None:
    """After saving: how many provisional deadlines were counted again, and how many of them moved."""
    count, moved = desk.asked("recomputed"), desk.asked("moved")
    if not (count.isdecimal() and moved.isdecimal()) or len(count + moved) > 18:
        return None
    return Note(text=desk.t("admin.calendars.recomputed", count=count, moved=moved), tone="done")


def _days(desk: Desk, days: list[dict[str, Any]]) -> Table:
    rows = tuple(
        (
            Cell(text=row["date"], is_number=True, is_typed=False),
            Cell(text=row["kind_name"], mark="off" if row["kind"] == "holiday" else "good", is_typed=False),
            Cell(text=row["text"] or "–"),
        )
        for row in days
    )
    head = tuple(desk.t(f"admin.calendars.{key}") for key in ("date", "kind", "name"))
    return Table(head=head, rows=rows, empty=desk.t("admin.calendars.no_day"))


def _led_on(year: int) -> Any:
    return lambda body: f"/admin/calendars/{year}?recomputed={body['recomputed']}&moved={body['moved']}"


def _edit(desk: Desk, one: dict[str, Any]) -> Form:
    blank = {"date": "", "kind": "holiday", "name": ""}
    names = tuple(Choice(value=name, text=desk.named("holiday.", name)) for name in _HOLIDAYS)

    def row(place: int, day: dict[str, Any]) -> tuple[Field, ...]:
        date = desk.field(f"days/{place}/date", "admin.calendars.date", Kind.DAY, value=day["date"])
        kinds = desk.choices("day.", _KINDS)
        kind = desk.field(f"days/{place}/kind", "admin.calendars.kind", Kind.CHOICE, value=day["kind"], choices=kinds)
        name = desk.field(f"days/{place}/name", "admin.calendars.name", value=day["name"], most=80, choices=names)
        gone = desk.field(f"days/{place}/gone", "admin.row_gone", Kind.CHECK, is_tick=True)
        return (date, kind, name, *((gone,) if day["date"] else ()))

    return Form(
        name="days",
        legend=desk.t("admin.calendars.edit"),
        button=desk.t("admin.calendars.save"),
        method="PUT",
        path=path_of("/v1/calendars/{year}", year=one["year"]),
        hint=desk.t("admin.calendars.edit.hint"),
        fields=(
            desk.field(
                "published", "admin.calendars.is_published", Kind.CHECK, value="true" if one["published"] else ""
            ),
            desk.field("note", "admin.note", most=400),
        ),
        rows=tuple(row(place, day) for place, day in enumerate([*one["days"], *([blank] * _SPARE_DAYS)])),
        rows_legend=desk.t("admin.calendars.day"),
        is_open=False,
        seen=str(one["revision"]),
        is_versioned=True,
        leads_to=_led_on(one["year"]),
    )


def _upload(desk: Desk, one: dict[str, Any]) -> Form:
    async def read(typed: FormData) -> tuple[str, bytes] | Answer:
        file = file_of(typed, "file")
        if file is None:
            text = desk.t("admin.file_missing")
            return Answer(status=422, code="request.missing", detail=text, faults={"file": text})
        is_calendar = (file.filename or "").lower().endswith((".ics", ".ical"))
        return "text/calendar" if is_calendar else "text/csv", await file.read()

    return Form(
        name="upload",
        legend=desk.t("admin.calendars.upload"),
        button=desk.t("admin.calendars.upload"),
        method="PUT",
        path=path_of("/v1/calendars/{year}", year=one["year"]),
        hint=desk.t("admin.calendars.upload.hint"),
        fields=(
            desk.field("file", "admin.file", Kind.FILE, is_required=True),
            desk.field("published", "admin.calendars.is_published", Kind.CHECK, value="true", in_query=True),
        ),
        is_open=False,
        seen=str(one["revision"]),
        is_versioned=True,
        reads=read,
        leads_to=_led_on(one["year"]),
    )


def _kept(desk: Desk, kept: list[dict[str, Any]], year: int) -> Section:
    rows = tuple(
        (
            Cell(
                text=desk.t("admin.calendars.nth", number=row["revision"]),
                to=f"/admin/calendars/{year}?revision={row['revision']}#old",
                is_typed=False,
            ),
            Cell(text=desk.local(row["made_at"]), is_number=True, is_typed=False),
            Cell(text=row["made_by"]),
            Cell(text=row["note"] or "–"),
            Cell(text=str(len(row["days"])), is_number=True),
        )
        for row in kept
    )
    head = (
        desk.t("admin.calendars.revision"),
        *(desk.t(f"admin.{key}") for key in ("made_at", "made_by", "note")),
        desk.t("admin.calendars.days"),
    )
    return Section(
        id="kept",
        title=desk.t("admin.calendars.kept"),
        table=Table(head=head, rows=rows, empty=desk.t("admin.calendars.never_changed")),
    )


add_page(router, "/admin/calendars", Scope.GRID_WRITE, _calendars)
add_page(router, "/admin/calendars/{year}", Scope.GRID_WRITE, _year)

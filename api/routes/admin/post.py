"""One post: who holds it and who stands in, appointments, handing over; shifts are on the page beside it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Form, Kind
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Facts, Link, Note, Page, Section, Table
from api.routes.admin.posts import holder_cell, people_of

__all__ = ["router"]

router = APIRouter()


async def _post(desk: Desk) -> Page:
    number = desk.at("post")
    one = await desk.get("/v1/posts/{post}", post=number)
    appointments = (await desk.get("/v1/posts/{post}/appointments", post=number))["appointments"]
    hand_overs = (await desk.get("/v1/posts/{post}/hand-overs", post=number))["hand_overs"]
    people = await people_of(desk)
    names = {choice.value: choice.text for choice in people}
    names |= {holder["person"]: holder["name"] for holder in one["holders"]}
    for person in {row["person"] for row in appointments} - names.keys():
        # Those who have left are not offered any more, but they did hold it.
        found = await desk.find("/v1/people/{person}", person=person)
        names[person] = found.body["name"] if found.is_good else person
    url = path_of("/v1/posts/{post}", post=number)
    shifts = Link(text=desk.t("admin.shifts.title"), to=path_of("/admin/posts/{post}/shifts", post=number))
    return Page(
        key="posts",
        title=one["title"],
        back=Link(text=desk.t("admin.posts.title"), to="/admin/posts"),
        sections=(
            Section(id="facts", facts=_facts(desk, one), links=(shifts,)),
            await _standing_in(desk, one),
            _appointments(desk, one, appointments, names, url),
            Section(
                id="appoint",
                forms=(_appoint(desk, people, url), *((_hand_over(desk, one, people, url),) if one["holders"] else ())),
            ),
            _hand_overs(desk, hand_overs, names, url),
            Section(id="end", forms=(_end(desk, url),)),
        ),
    )


def _facts(desk: Desk, one: dict[str, Any]) -> Facts:
    return Facts(
        items=(
            (desk.t("admin.posts.holders"), holder_cell(desk, one)),
            (desk.t("admin.posts.kind"), Cell(text=one["kind_name"], is_typed=False)),
            (desk.t("admin.posts.rank"), Cell(text=desk.t(f"admin.rank.{one['rank']}"), is_typed=False)),
            (desk.t("admin.posts.where"), Cell(text=one["department_name"] or one["cell"] or "–")),
            (desk.t("admin.posts.valid"), Cell(text=desk.span(one["valid_from"], one["valid_until"]))),
        )
    )


async def _standing_in(desk: Desk, one: dict[str, Any]) -> Section:
    """Who answers in this cell now, and everybody who was looked at, each with why not."""
    title = desk.t("admin.standing.title")
    if one["cell"] is None:
        return Section(id="standing", title=title, note=Note(text=desk.t("admin.standing.no_cell")))
    found = await desk.find("/v1/responsible", query={"cell": one["cell"]})
    if not found.is_good:
        return Section(id="standing", title=title, note=Note(text=found.detail, tone="warn"))
    marks = {"responsible": "good", "stands_by": "", "settled": ""}
    rows = tuple(
        (
            Cell(text=looked["post"]),
            Cell(text=looked["cell"], is_number=True),
            Cell(text=looked["text"], mark=marks.get(looked["standing"], "soon")),
        )
        for looked in found.body["candidates"]
    )
    head = (desk.t("admin.posts.post"), desk.t("admin.posts.cell"), desk.t("admin.standing.why"))
    return Section(
        id="standing",
        title=title,
        hint=desk.t("admin.standing.hint", text=found.body["text"]),
        table=Table(head=head, rows=rows, empty=desk.t("admin.standing.nobody")),
    )


def _appointments(
    desk: Desk, one: dict[str, Any], appointments: list[dict[str, Any]], names: dict[str, str], url: str
) -> Section:
    now = {holder["appointment"] for holder in one["holders"]}
    rows = tuple(
        (
            Cell(text=names[row["person"]], to=path_of("/admin/people/{person}", person=row["person"])),
            Cell(text=desk.span(row["valid_from"], row["valid_until"]), is_number=True, is_typed=False),
            Cell(text=desk.t("admin.posts.now"), mark="good", is_typed=False) if row["id"] in now else Cell(),
            Cell(forms=(_end_appointment(desk, row, url),))
            if row["valid_until"] is None or row["id"] in now
            else Cell(),
        )
        for row in appointments[:200]
    )
    head = (desk.t("admin.people.name"), desk.t("admin.posts.valid"), desk.t("admin.people.standing"), "")
    return Section(
        id="appointments",
        title=desk.t("admin.posts.appointments"),
        table=Table(head=head, rows=rows, empty=desk.t("admin.posts.never_held")),
    )


def _end_appointment(desk: Desk, row: dict[str, Any], url: str) -> Form:
    return Form(
        name=f"end-{row['id']}",
        legend="",
        button=desk.t("admin.posts.end_appointment"),
        method="PATCH",
        path=path_of(url + "/appointments/{appointment}", appointment=row["id"]),
        fields=(desk.field("valid_until", "admin.posts.ends_at", Kind.INSTANT, hint=""),),
        is_plain=True,
        done="admin.done.ended",
    )


def _appoint(desk: Desk, people: tuple[Choice, ...], url: str) -> Form:
    return Form(
        name="appoint",
        legend=desk.t("admin.posts.appoint"),
        button=desk.t("admin.posts.appoint"),
        method="POST",
        path=f"{url}/appointments",
        is_open=False,
        fields=(
            desk.field("person", "admin.people.name", Kind.CHOICE, choices=people, is_required=True),
            desk.field("valid_from", "admin.valid_from", Kind.INSTANT),
            desk.field("valid_until", "admin.valid_until", Kind.INSTANT),
        ),
        done="admin.done.added",
    )


def _hand_over(desk: Desk, one: dict[str, Any], people: tuple[Choice, ...], url: str) -> Form:
    holders = tuple(Choice(value=holder["person"], text=holder["name"]) for holder in one["holders"])
    giver = desk.field("from_person", "admin.hand_over.from", Kind.CHOICE, value=holders[0].value, choices=holders)
    return Form(
        name="hand-over",
        legend=desk.t("admin.hand_over.make"),
        button=desk.t("admin.hand_over.make"),
        method="POST",
        path=f"{url}/hand-overs",
        is_open=False,
        hint=desk.t("admin.hand_over.hint"),
        seen=one["holders"] and "-".join(str(holder["appointment"]) for holder in one["holders"]),
        fields=(
            giver,
            desk.field("to_person", "admin.hand_over.to", Kind.CHOICE, choices=people, is_required=True),
            desk.field("notes", "admin.hand_over.notes", Kind.TEXT, most=4000),
        ),
        done="admin.done.handed_over",
    )


def _hand_overs(desk: Desk, hand_overs: list[dict[str, Any]], names: dict[str, str], url: str) -> Section:
    def said(person: str | None) -> str:
        return names.get(person, person) if person else "–"

    rows = tuple(
        (
            Cell(text=desk.local(row["handed_at"]), is_number=True, is_typed=False),
            Cell(text=f"{said(row['from_person'])} → {said(row['to_person'])}"),
            Cell(text=row["notes"] or "–", under=desk.t("admin.hand_over.cases", count=len(row["cases"]))),
            Cell(
                text=desk.t("admin.hand_over.read", at=desk.local(row["acknowledged_at"])), mark="good", is_typed=False
            )
            if row["acknowledged_at"]
            else Cell(
                text=desk.t("admin.hand_over.unread"), mark="soon", is_typed=False, forms=(_read(desk, row, url),)
            ),
        )
        for row in hand_overs[:100]
    )
    head = tuple(desk.t(f"admin.hand_over.{key}") for key in ("when", "who", "notes", "acknowledged"))
    return Section(
        id="hand-overs",
        title=desk.t("admin.hand_over.title"),
        table=Table(head=head, rows=rows, empty=desk.t("admin.hand_over.none")),
    )


def _read(desk: Desk, row: dict[str, Any], url: str) -> Form:
    return Form(
        name=f"read-{row['id']}",
        legend="",
        button=desk.t("admin.hand_over.mark_read"),
        method="POST",
        path=path_of(url + "/hand-overs/{number}:acknowledge", number=row["id"]),
        is_plain=True,
    )


def _end(desk: Desk, url: str) -> Form:
    return Form(
        name="end",
        legend=desk.t("admin.posts.end"),
        button=desk.t("admin.posts.end"),
        method="PATCH",
        path=url,
        is_open=False,
        hint=desk.t("admin.posts.end.hint"),
        fields=(desk.field("valid_until", "admin.posts.ends_at", Kind.INSTANT, hint=desk.t("admin.valid_from.hint")),),
        done="admin.done.ended",
    )


add_page(router, "/admin/posts/{post}", Scope.POSTS_WRITE, _post)

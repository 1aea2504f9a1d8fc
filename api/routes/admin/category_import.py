"""Importing a table of categories: first what it would change, then, with the same file, changing it."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.datastructures import FormData

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import ACT, Field, Form, Kind, file_of
from api.admin.frame import add_page
from api.admin.inside import Answer
from api.admin.parts import Cell, Facts, Link, Note, Page, Section, Table

__all__ = ["router"]

router = APIRouter()
_APPLY = "apply"
_SHOWN = 500


async def _import(desk: Desk) -> Page:
    typed = desk.typed
    again = str(typed.get("body", "")) if typed is not None and typed.get(ACT) == _APPLY else ""
    sections = (Section(id="import", forms=(_apply(desk, again),)),) if again else ()
    written = desk.asked("changes")
    note = Note(text=desk.t("admin.import.written", count=written), tone="done") if _is_count(written) else None
    return Page(
        key="categories",
        title=desk.t("admin.import.title"),
        lead=desk.t("admin.import.lead"),
        back=Link(text=desk.t("admin.categories.title"), to="/admin/categories"),
        sections=(*sections, Section(id="file", note=note, forms=(_check(desk),))),
    )


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 8


def _check(desk: Desk) -> Form:
    async def read(typed: FormData) -> tuple[str, bytes] | Answer:
        table = file_of(typed, "table")
        if table is None:
            text = desk.t("admin.file_missing")
            return Answer(status=422, code="request.missing", detail=text, faults={})
        body: dict[str, Any] = {
            "table": {"name": table.filename, "content": base64.b64encode(await table.read()).decode()},
            **{name: str(typed.get(name, "")) for name in ("columns", "condition_columns", "units")},
            "code_system": str(typed.get("code_system", "")) or None,
            "in_doubt": str(typed.get("in_doubt", "ask")),
            "deactivate_missing": bool(typed.get("deactivate_missing")),
        }
        conditions = file_of(typed, "conditions")
        if conditions is not None:
            body["conditions"] = {
                "name": conditions.filename,
                "content": base64.b64encode(await conditions.read()).decode(),
            }
        return "application/json", orjson.dumps(body)

    def listed(pointer: str, text: str) -> str:
        file, _, rest = pointer.partition("/")
        row = rest.partition("/")[0]
        name = desk.t("admin.import.conditions" if file == "conditions" else "admin.import.table")
        return f"{desk.t('categories.row', file=name, row=row)} – {text}" if row.isdecimal() and row != "0" else text

    return Form(
        name="check",
        legend=desk.t("admin.import.check"),
        button=desk.t("admin.import.check"),
        method="POST",
        path="/v1/categories:check",
        hint=desk.t("admin.import.hint"),
        fields=(
            desk.field("table", "admin.import.table", Kind.FILE, is_required=True),
            desk.field("conditions", "admin.import.conditions", Kind.FILE),
            desk.field("columns", "admin.import.columns", most=400),
            desk.field("condition_columns", "admin.import.condition_columns", most=400),
            desk.field("units", "admin.import.units", most=400),
            desk.field("code_system", "admin.import.code_system", most=40),
            desk.field(
                "in_doubt",
                "admin.import.in_doubt",
                Kind.CHOICE,
                value="ask",
                choices=desk.choices("admin.import.in_doubt.", ("ask", "strictest")),
            ),
            desk.field("deactivate_missing", "admin.import.deactivate_missing", Kind.CHECK),
        ),
        reads=read,
        draws=lambda body, sent: _report(desk, body, sent),
        lists_faults=listed,
    )


def _report(desk: Desk, body: dict[str, Any], sent: bytes) -> tuple[Section, ...]:
    """What would change, kind by kind and line by line, and the button that does it."""
    counts = tuple((one["name"], Cell(text=str(one["count"]), is_number=True)) for one in body["counts"])
    facts = Facts(
        items=(
            (desk.t("categories.read"), Cell(text=desk.t("categories.read_value", classes=body["categories"],
                                                          conditions=body["conditions"]))),
            *counts,
            (desk.t("categories.untouched"), Cell(text=str(body["untouched"]), is_number=True)),
        )
    )  # fmt: skip
    rows = tuple(
        (
            Cell(text=change["category"], under=f"/{change['condition']}" if change["condition"] else ""),
            Cell(text=change["name"], is_typed=False),
            Cell(text=change["old"] or "–"),
            Cell(text=change["new"] or "–"),
        )
        for change in body["changes"][:_SHOWN]
    )
    head = tuple(desk.t(f"admin.import.{key}") for key in ("class", "change", "old", "new"))
    more = len(body["changes"]) - len(rows)
    return (
        Section(
            id="report",
            title=desk.t("admin.import.report", file=body["file"]),
            facts=facts,
            table=Table(head=head, rows=rows, empty=desk.t("admin.import.nothing")),
            count=desk.t("admin.import.more", count=more) if more > 0 else "",
            forms=(_apply(desk, base64.b64encode(sent).decode()),) if body["changes"] else (),
        ),
    )


def _apply(desk: Desk, body: str) -> Form:
    async def read(typed: FormData) -> tuple[str, bytes] | Answer:
        try:
            return "application/json", base64.b64decode(str(typed.get("body", "")), validate=True)
        except ValueError:
            return "application/json", b"-"  # not ours: the interface says that this is no JSON

    return Form(
        name=_APPLY,
        legend=desk.t("admin.import.apply"),
        button=desk.t("admin.import.apply"),
        method="POST",
        path="/v1/categories:import",
        hint=desk.t("admin.import.apply.hint"),
        fields=(Field(name="body", label="", kind=Kind.HIDDEN, value=body),),
        reads=read,
        leads_to=lambda done: f"/admin/categories-import?changes={len(done['changes'])}",
    )


add_page(router, "/admin/categories-import", Scope.GRID_WRITE, _import)

"""Classes, their filing conditions and handling limits: ordinary, by season, in phases."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Field, Form, Kind, state_of
from api.admin.frame import add_page
from api.admin.inside import Answer, InsideError, path_of
from api.admin.parts import Cell, Facts, Link, Page, Search, Section, Table
from dispatch.limits import MOST_PHASES, MOST_SEASONS

__all__ = ["router"]

router = APIRouter()
_PAGE = 60
_SPARE = 2
_UNITS = ("urgent_hour", "working_hour", "working_day", "natural_day")


async def _categories(desk: Desk) -> Page:
    words, out = desk.asked("words").casefold(), desk.asked("out")
    found = (await desk.get("/v1/categories", query={"active": "false" if out else "true"}))["categories"]
    names = {one["code"]: one["name"] for one in found}
    fitting = [one for one in found if words in f"{one['code']} {one['name']}".casefold()]
    start = int(desk.asked("from")) if desk.asked("from").isdecimal() and len(desk.asked("from")) < 6 else 0
    shown = fitting[start : start + _PAGE]
    rows = tuple(
        (
            Cell(text=one["name"], to=path_of("/admin/categories/{code}", code=one["code"])),
            Cell(text=one["code"], is_number=True),
            Cell(text=names.get(one["parent"] or "", one["parent"] or "–")),
            Cell(text=desk.t("admin.categories.count", count=len(one["conditions"])) if one["conditions"] else "–"),
            _use(desk, one),
        )
        for one in shown
    )
    head = tuple(desk.t(f"admin.categories.{key}") for key in ("name", "code", "parent", "conditions"))
    search = desk.search(
        desk.field("words", "admin.categories.search", value=desk.asked("words"), most=80),
        desk.field("out", "admin.categories.out", Kind.CHECK, value=out),
    )
    kept = desk.kept("words", "out")
    is_more = start + _PAGE < len(fitting)
    return Page(
        key="categories",
        title=desk.t("admin.categories.title"),
        lead=desk.t("admin.categories.lead"),
        sections=(
            Section(
                id="categories",
                links=(Link(text=desk.t("admin.categories.import"), to="/admin/categories-import"),),
                search=Search(form=search, is_narrowed=bool(kept)),
                table=Table(head=(*head, desk.t("admin.state")), rows=rows, empty=desk.t("admin.categories.none")),
                count=desk.t("admin.count", first=start + 1 if shown else 0, last=start + len(shown), all=len(fitting)),
                following=f"?{urlencode({**kept, 'from': start + _PAGE})}" if is_more else "",
                first=f"?{urlencode(kept)}" if start else "",
            ),
        ),
    )


def _use(desk: Desk, one: dict[str, Any]) -> Cell:
    word = "in_use" if one["is_active"] else "out_of_use"
    return Cell(text=desk.t(f"admin.{word}"), mark="good" if one["is_active"] else "off", is_typed=False)


def limit_text(desk: Desk, limit: dict[str, Any]) -> str:
    """A limit as people say it."""
    return f"{limit['value']} {desk.named('unit.', limit['unit'])}"


async def _class(desk: Desk) -> dict[str, Any]:
    code = desk.at("category")
    found = (await desk.get("/v1/categories", query={"active": "false"}))["categories"]
    own = next((one for one in found if one["code"] == code), None)
    if own is None:
        raise InsideError(Answer(status=404, code="http.404"))
    return dict(own)


async def _category(desk: Desk) -> Page:
    own = await _class(desk)
    rows = tuple(
        (
            Cell(
                text=one["name"],
                to=path_of("/admin/categories/{code}/{number}", code=own["code"], number=one["number"]),
                under=desk.t("admin.categories.default") if one["is_default"] else "",
            ),
            Cell(text=str(one["number"]), is_number=True),
            Cell(text=limit_text(desk, one["limit"]), is_number=True),
        )
        for one in own["conditions"]
    )
    head = tuple(desk.t(f"admin.categories.{key}") for key in ("condition", "number", "limit"))
    facts = Facts(
        items=(
            (desk.t("admin.categories.code"), Cell(text=own["code"])),
            (desk.t("admin.categories.parent"), Cell(text=own["parent"] or "–")),
            (desk.t("admin.state"), _use(desk, own)),
        )
    )
    return Page(
        key="categories",
        title=own["name"],
        back=Link(text=desk.t("admin.categories.title"), to="/admin/categories"),
        sections=(
            Section(id="facts", facts=facts),
            Section(
                id="conditions",
                title=desk.t("admin.categories.conditions_title"),
                hint=desk.t("admin.categories.conditions.hint"),
                table=Table(head=head, rows=rows, empty=desk.t("admin.categories.no_condition")),
            ),
        ),
    )


async def _condition(desk: Desk) -> Page:
    code, number = desk.at("category"), desk.at("number")
    own = await desk.get("/v1/categories/{code}/conditions/{number}/limits", code=code, number=number)
    category = await _class(desk)
    facts = Facts(
        items=(
            (desk.t("admin.categories.limit"), Cell(text=limit_text(desk, own["limit"]))),
            (desk.t("admin.limits.today"), Cell(text=limit_text(desk, own["limit_today"]))),
        )
    )
    url = path_of("/v1/categories/{code}/conditions/{number}/limits", code=code, number=number)
    state = state_of([own["limit"], own["seasons"], own["phases"]])
    return Page(
        key="categories",
        title=f"{category['name']} · {own['name']}",
        back=Link(text=category["name"], to=path_of("/admin/categories/{code}", code=code)),
        lead=desk.t("admin.limits.lead"),
        sections=(
            Section(id="facts", facts=facts),
            Section(id="change", forms=(_limits(desk, own, url, state),)),
        ),
    )


def _units(desk: Desk) -> tuple[Choice, ...]:
    return desk.choices("unit.", _UNITS)


def _limit(desk: Desk, at: str, limit: dict[str, Any] | None) -> tuple[Field, Field]:
    value, unit = (limit["value"], limit["unit"]) if limit else ("", "working_day")
    return (
        desk.field(f"{at}/value", "admin.limits.value", Kind.DECIMAL, value=str(value), is_short=True),
        desk.field(f"{at}/unit", "admin.unit", Kind.CHOICE, value=unit, choices=_units(desk)),
    )


def _limits(desk: Desk, own: dict[str, Any], url: str, state: str) -> Form:
    spare = [None] * _SPARE
    seasons = [*own["seasons"], *spare][:MOST_SEASONS]
    phases = [*own["phases"], *spare][:MOST_PHASES]
    return Form(
        name="limits",
        legend=desk.t("admin.limits.change"),
        button=desk.t("admin.save"),
        method="PUT",
        path=url,
        hint=desk.t("admin.limits.hint"),
        fields=_limit(desk, "limit", own["limit"]),
        rows=(
            *(_season(desk, place, season) for place, season in enumerate(seasons)),
            *(_phase(desk, place, phase) for place, phase in enumerate(phases)),
        ),
        legends={"seasons": desk.t("admin.limits.seasons"), "phases": desk.t("admin.limits.phases")},
        seen=state,
    )


def _gone(desk: Desk, at: str, is_there: bool) -> tuple[Field, ...]:
    return (desk.field(f"{at}/gone", "admin.row_gone", Kind.CHECK, is_tick=True),) if is_there else ()


def _season(desk: Desk, place: int, season: dict[str, Any] | None) -> tuple[Field, ...]:
    at, said = f"seasons/{place}", season or {"name": "", "first": "", "last": "", "year": None, "limit": None}
    return (
        desk.field(f"{at}/name", "admin.limits.season", value=said["name"], most=80),
        desk.field(f"{at}/first", "admin.limits.first", value=said["first"], most=5, is_short=True),
        desk.field(f"{at}/last", "admin.limits.last", value=said["last"], most=5, is_short=True),
        desk.field(f"{at}/year", "admin.limits.year", Kind.WHOLE, value=str(said["year"] or ""), most=4, is_short=True),
        *_limit(desk, f"{at}/limit", said["limit"]),
        *_gone(desk, at, season is not None),
    )


def _phase(desk: Desk, place: int, phase: dict[str, Any] | None) -> tuple[Field, ...]:
    at, said = f"phases/{place}", phase or {"name_zh": "", "name_en": "", "limit": None}
    return (
        desk.field(f"{at}/name_zh", "admin.limits.phase", value=said["name_zh"], most=80),
        desk.field(f"{at}/name_en", "admin.limits.phase_en", value=said["name_en"], most=80),
        *_limit(desk, f"{at}/limit", said["limit"]),
        *_gone(desk, at, phase is not None),
    )


add_page(router, "/admin/categories", Scope.GRID_WRITE, _categories)
add_page(router, "/admin/categories/{category}", Scope.GRID_WRITE, _category)
add_page(router, "/admin/categories/{category}/{number}", Scope.GRID_WRITE, _condition)

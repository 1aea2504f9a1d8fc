"""Departments and the matrix, who is responsible for a category in a cell, and why a case is with whom it is."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import OfficeReading, OfficeWriting, Reading, Wired
from api.language import locale_of
from api.posts_json import department_json, gap_json, rule_json
from api.posts_schemas import DepartmentChangeIn, DepartmentIn, EndIn, ResponsibleOut, RuleIn
from api.rendering import instant
from api.responsible import responsible_json, zone_of
from api.routes import people, posts, shifts
from api.routes.locating import Instant
from api.routes.people import Keeper, Number, Reader, WholeKeeper
from api.schemas import Code, problems
from api.trace_json import trace_json
from dispatch.departments import (
    MATRIX_COLUMNS,
    NewRule,
    add_department,
    add_rule,
    change_department,
    end_rule,
    find_gaps,
    list_departments,
    list_rules,
    matrix_row,
)
from dispatch.office_area import cells_near
from dispatch.queries import database_now, get_case
from dispatch.storage.returns import find_valid_cell
from dispatch.storage.routing import read_position, read_versions
from dispatch.tracing import decisions_of
from geo.errors import BadInputError

router = APIRouter(tags=["posts"])
router.include_router(people.router)
router.include_router(posts.router)
router.include_router(shifts.router)

_MOST_RULES = 100_000


@router.get("/v1/departments", response_model=None, responses=problems(400, 401, 403, 422, 503))
async def read_departments(request: Request, unit: OfficeReading, container: Wired, _: Reader) -> Response:
    """All departments, with how many lines of the matrix and posts each has."""
    locale = locale_of(request)
    rows = await list_departments(unit, container.settings.jurisdiction, await database_now(unit))
    return json_answer({"departments": [department_json(row, locale) for row in rows]}, locale=locale)


@router.post(
    "/v1/departments", status_code=201, response_model=None, responses=problems(400, 401, 403, 409, 413, 422, 503)
)
async def create_department(request: Request, body: DepartmentIn, unit: OfficeWriting, _: WholeKeeper) -> Response:
    """Add a department."""
    row = await add_department(unit, code=body.code, name_zh=body.name_zh, name_en=body.name_en or "")
    locale = locale_of(request)
    return json_answer(department_json(row, locale), locale=locale, status=201)


@router.patch(
    "/v1/departments/{department}", response_model=None, responses=problems(400, 401, 403, 404, 409, 413, 422, 503)
)
async def update_department(
    request: Request, department: Code, body: DepartmentChangeIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Rename a department, or take one out of use that has neither posts nor lines of the matrix any more."""
    row = await change_department(
        unit,
        container.settings.jurisdiction,
        department,
        body.model_dump(exclude_unset=True, exclude_none=True),
        at=await database_now(unit),
    )
    locale = locale_of(request)
    return json_answer(department_json(row, locale), locale=locale)


@router.get("/v1/departments/matrix", response_model=None, responses=problems(400, 401, 403, 422, 503))
async def read_matrix(
    request: Request,
    unit: OfficeReading,
    container: Wired,
    _: Reader,
    department: Annotated[Code | None, Query()] = None,
    cell: Annotated[Code | None, Query(description="Lines written for this very cell")] = None,
    category: Annotated[Code | None, Query(description="Lines written for this very class")] = None,
    at: Annotated[Instant | None, Query(description="Lines valid at that instant; with zone")] = None,
    ended: Annotated[bool, Query(description="All lines, also those that have ended or have not begun")] = False,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> Response:
    """The lines of the matrix. The deepest cell wins, then the deepest class; a fallback only where no line does."""
    locale = locale_of(request)
    now = at or await database_now(unit)
    found = await list_rules(
        unit,
        container.settings.jurisdiction,
        now,
        department=department,
        cell=cell,
        category=category,
        ended=ended,
        after=after,
        limit=limit + 1,
    )
    page = found[:limit]
    body = {
        "rules": [rule_json(row, locale) for row in page],
        "next": page[-1]["id"] if len(found) > limit else None,
        "at": instant(now),
    }
    return json_answer(body, locale=locale)


@router.get(
    "/v1/departments/matrix.csv",
    response_model=None,
    responses={
        200: {"description": "The lines as a table", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 422, 503),
    },
    response_class=Response,
)
async def read_matrix_csv(
    unit: OfficeReading,
    container: Wired,
    _: Reader,
    at: Annotated[Instant | None, Query(description="Lines valid at that instant; with zone")] = None,
) -> Response:
    """The lines valid now as a table that `gridward import matrix` takes back."""
    now = at or await database_now(unit)
    rows = await list_rules(unit, container.settings.jurisdiction, now, limit=_MOST_RULES)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(MATRIX_COLUMNS)
    table.writerows(matrix_row(row) for row in rows)
    return Response(
        # Spreadsheets take a file without this mark for something older than UTF-8.
        ("\ufeff" + text.getvalue()).encode(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="matrix.csv"'},
    )


@router.get("/v1/departments/matrix/gaps", response_model=None, responses=problems(400, 401, 403, 422, 503))
async def read_gaps(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Reader,
    at: Annotated[Instant | None, Query(description="As it is at that instant; with zone")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """Which (cell, category) has only the fallback owner, or nobody; each named by the highest cell it covers whole."""
    locale = locale_of(request)
    now = at or await database_now(unit)
    gaps = await find_gaps(unit, container.settings.jurisdiction, now)
    if not caller.sees_all_posts:
        # Found with all lines in sight, for those of the whole office close gaps everywhere; told of the area alone.
        near = await cells_near(unit, caller.office.office_words(), {gap.cell for gap in gaps})
        gaps = [gap for gap in gaps if gap.cell in near]
    body = {
        "gaps": [gap_json(gap, locale) for gap in gaps[:limit]],
        "total": len(gaps),
        "without_owner": sum(gap.fallback is None for gap in gaps),
        "at": instant(now),
    }
    return json_answer(body, locale=locale)


@router.post(
    "/v1/departments/matrix",
    status_code=201,
    response_model=None,
    responses=problems(400, 401, 403, 409, 413, 422, 503),
)
async def create_rule(request: Request, body: RuleIn, unit: OfficeWriting, container: Wired, _: Keeper) -> Response:
    """Add a line to the matrix; cases reported from its first moment on follow it."""
    new = NewRule(
        department=body.department,
        cell=body.cell,
        category=body.category,
        mode=body.mode,
        note=body.note,
        valid_from=body.valid_from,
        valid_until=body.valid_until,
    )
    row = await add_rule(
        unit, container.settings.jurisdiction, new, now=await database_now(unit), replace=body.replaces
    )
    locale = locale_of(request)
    return json_answer(rule_json(row, locale), locale=locale, status=201)


@router.patch(
    "/v1/departments/matrix/{rule}",
    response_model=None,
    responses={204: {"description": "It never held, and is gone"}, **problems(400, 401, 403, 404, 409, 413, 422, 503)},
)
async def update_rule(
    request: Request, rule: Number, body: EndIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """End a line; one that would end before it begins is taken back, and the answer is empty."""
    at = body.valid_until or await database_now(unit)
    row = await end_rule(unit, container.settings.jurisdiction, rule, at)
    if row is None:
        return Response(status_code=204)
    locale = locale_of(request)
    return json_answer(rule_json(row, locale), locale=locale)


@router.get(
    "/v1/responsible",
    response_model=None,
    responses={200: {"model": ResponsibleOut}, **problems(400, 401, 403, 422, 503)},
)
async def read_responsible(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    cell: Annotated[Code, Query(description="Code of a cell of any level")],
    category: Annotated[Code | None, Query(description="A class; without one the territory alone answers")] = None,
    at: Annotated[Instant | None, Query(description="At that instant; with zone; default: now")] = None,
) -> Response:
    """Who is responsible for a category in a cell at an instant, and everybody who was looked at, with why not."""
    locale = locale_of(request)
    jurisdiction = container.settings.jurisdiction
    now = at or await database_now(unit)
    found = await find_valid_cell(unit, jurisdiction, cell, now)
    if found is None:
        raise BadInputError("posts.cell_unknown", pointer="/cell", cell=cell)
    answer = await responsible_json(container, unit, found[1], category, now, locale)
    body: dict[str, Any] = {"at": instant(now), "cell": cell, "category": category or "", **answer}
    return json_answer(body, locale=locale)


@router.get("/v1/cases/{ref}/trace", response_model=None, responses=problems(401, 403, 404, 422, 503))
async def read_trace(
    request: Request,
    ref: Code,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """Why a case is with whom it is: every dispatch from coordinates to person, as it was decided then."""
    locale = locale_of(request)
    detail = await get_case(unit, ref, channel=caller.sees_channel)
    decisions = decisions_of(detail.case, detail.events)
    body = trace_json(
        detail.case,
        decisions,
        locale,
        await zone_of(container),
        raw=await read_position(unit, detail.case.id),
        versions=await read_versions(unit, [one.version_id for one in decisions if one.version_id is not None]),
    )
    return json_answer(body, locale=locale)

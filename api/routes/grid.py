"""Grid versions: look, copy, redraw, compare, activate."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, json_answer, quoted
from api.container import Container, Reading, Wired, Writing, viewer_of
from api.grid_rendering import change_json, effect_json, version_json
from api.grid_schemas import MOST_NUMBER, ActivateIn, DraftIn, OperationIn
from api.language import locale_of
from api.schemas import SoundText, problems
from dispatch.handover import read_effect
from geo.activation import activate_checked
from geo.errors import BadInputError, NotFoundError
from geo.importing.measures import area_m2
from geo.redraw.applying import apply
from geo.redraw.coding import check_new_codes
from geo.redraw.operations import named_codes
from geo.storage import drafts
from geo.storage.cells import cells_as_geojson
from geo.storage.comparing import compare_versions
from geo.storage.draft_undo import count_undoable, undo_last
from geo.storage.grid_versions import GridVersion, create_draft, find_active, get_version, list_versions, withdraw
from geo.storage.taking_effect import await_effect
from geo.storage.uow import ReadUnit, WriteUnit, read_unit, write_unit

router = APIRouter(tags=["grid"])

Number = Annotated[int, Path(ge=1, le=MOST_NUMBER, description="Number of a version")]
Reader = Annotated[Caller, Depends(require(Scope.GRID_READ))]
Writer = Annotated[Caller, Depends(require(Scope.GRID_WRITE))]
IfMatch = Annotated[SoundText | None, Header(description='Revision that the drawer saw, such as `"4"`; optional')]
_REVISION = re.compile(r'"?(\d{1,9})"?')
_READ = problems(401, 403, 404, 422, 503)
_WRITE = problems(400, 401, 403, 404, 409, 412, 413, 422, 503)
_OBJECT = {"content": {"application/json": {"schema": {"type": "object"}}}}


@router.get("/v1/grid/versions", response_model=None, responses={200: {**_OBJECT, "description": "Versions"}, **_READ})
async def read_versions(request: Request, unit: Reading, container: Wired, _: Reader) -> Response:
    """All versions, newest first, with their status at this moment and their cells counted per level."""
    versions = await list_versions(unit, container.settings.jurisdiction)
    cells = await drafts.count_cells(unit, container.settings.jurisdiction)
    numbers = {int(version.id): version.number for version in versions}
    body = {"versions": [version_json(version, cells, numbers) for version in versions]}
    return json_answer(body, locale=locale_of(request))


@router.post(
    "/v1/grid/versions",
    response_model=None,
    status_code=201,
    responses={201: {**_OBJECT, "description": "The draft"}, **_WRITE},
)
async def create_version(request: Request, body: DraftIn, unit: Writing, container: Wired, caller: Writer) -> Response:
    """Open a draft: a copy of the version valid now, of another one, or empty."""
    jurisdiction = container.settings.jurisdiction
    base: GridVersion | None = None
    if body.based_on == "active":
        base = await find_active(unit, jurisdiction)
        if base is None:
            raise NotFoundError("geo.no_active_version", jurisdiction=jurisdiction)
    elif body.based_on is not None:
        base = await get_version(unit, jurisdiction, body.based_on)
    draft = await create_draft(
        unit,
        jurisdiction,
        name=body.name,
        code_system=body.code_system or (base.code_system if base else "free"),
        source=f"copy of {base.number}" if base else "",
        based_on=base.id if base else None,
    )
    if base is not None:
        await drafts.copy_version(unit, base.id, draft.id)
    answer = await _version(request, unit, container, draft.number, status=201)
    answer.headers["Location"] = f"/v1/grid/versions/{draft.number}"
    return answer


@router.get(
    "/v1/grid/versions/{number}",
    response_model=None,
    responses={200: {**_OBJECT, "description": "A version"}, **_READ},
)
async def read_version(request: Request, number: Number, unit: Reading, container: Wired, _: Reader) -> Response:
    """A version. ETag: its revision."""
    return await _version(request, unit, container, number)


@router.delete("/v1/grid/versions/{number}", status_code=204, responses=_WRITE)
async def delete_version(
    number: Number, unit: Writing, container: Wired, caller: Writer, if_match: IfMatch = None
) -> Response:
    """Discard a draft. What has been published stays."""
    await drafts.lock_draft(unit, container.settings.jurisdiction, number, seen=seen_revision(if_match))
    await drafts.discard_draft(unit, container.settings.jurisdiction, number)
    return Response(status_code=204)


@router.get(
    "/v1/grid/versions/{number}/cells",
    response_model=None,
    responses={
        200: {"content": {GEOJSON: {"schema": {"type": "object"}}}, "description": "FeatureCollection, RFC 7946"},
        304: {"description": "Not changed"},
        **_READ,
    },
)
async def read_version_cells(
    request: Request,
    number: Number,
    unit: Reading,
    container: Wired,
    _: Reader,
    level: Annotated[int | None, Query(ge=1, le=9)] = None,
) -> Response:
    """The cells of any version as GeoJSON; the ETag changes with the draft's revision."""
    locale = locale_of(request)
    version = await get_version(unit, container.settings.jurisdiction, number)
    tag = quoted(f"{version.id}-{version.revision}-{level or 0}-{locale}")
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie", "Content-Language": locale}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    text = await cells_as_geojson(unit, version.id, level=level, locale=locale)
    return Response(text, media_type=GEOJSON, headers=headers)


@router.get(
    "/v1/grid/versions/{number}/lineage",
    response_model=None,
    responses={200: {**_OBJECT, "description": "Which cell became which"}, **_READ},
)
async def read_version_lineage(
    request: Request, number: Number, unit: Reading, container: Wired, _: Reader
) -> Response:
    """Which cell became which, operation by operation, with the share of the old cell's area."""
    version = await get_version(unit, container.settings.jurisdiction, number)
    rows = [
        {
            "revision": row.seq,
            "operation": row.kind,
            "from": row.from_code,
            "to": row.to_code,
            "share": round(row.share, 6),
            "actor": row.actor,
        }
        for row in await drafts.read_lineage(unit, version.id)
    ]
    body = {"number": number, "lineage": rows, "undoable": await count_undoable(unit, version.id)}
    return json_answer(body, locale=locale_of(request))


@router.get(
    "/v1/grid/versions/{number}/compare/{other}",
    response_model=None,
    responses={200: {**_OBJECT, "description": "Added, removed, redrawn, renamed, reparented"}, **_READ},
)
async def read_comparison(
    request: Request,
    number: Number,
    other: Number,
    unit: Reading,
    container: Wired,
    _: Reader,
    geometry: Annotated[bool, Query(description="With the gained and lost areas as GeoJSON")] = False,
) -> Response:
    """What differs from one version to another; cells are the same when their codes are. Units: areas in m²."""
    jurisdiction = container.settings.jurisdiction
    first, second = [await get_version(unit, jurisdiction, one) for one in (number, other)]
    found = await compare_versions(unit, first.id, second.id, geometry=geometry)
    body = {
        "from": number,
        "to": other,
        **{kind: getattr(found, kind) for kind in ("added", "removed", "redrawn", "renamed", "reparented")},
    }
    return json_answer(body, locale=locale_of(request))


@router.post(
    "/v1/grid/versions/{number}/operations",
    response_model=None,
    responses={200: {**_OBJECT, "description": "What was made, what is gone, the lineage"}, **_WRITE},
)
async def create_operation(
    request: Request,
    number: Number,
    body: OperationIn,
    unit: Writing,
    container: Wired,
    caller: Writer,
    dry_run: Annotated[bool, Query(description="Show what would be made; nothing is written")] = False,
    if_match: IfMatch = None,
) -> Response:
    """Redraw a draft by one operation, in one transaction, keeping every level an exact tiling."""
    operation = body.value()
    version = await drafts.lock_draft(unit, container.settings.jurisdiction, number, seen=seen_revision(if_match))
    patch = await drafts.load_patch(unit, version.id, operation)
    lineage = apply(patch, operation, area_m2)
    check_new_codes(patch, version.code_system)
    revision = version.revision
    if not dry_run:
        revision = await drafts.save_patch(
            unit, version, patch, body.operation, lineage, actor=f"{caller.kind}:{caller.id}"
        )
    locale = locale_of(request)
    answer = {**change_json(patch, named_codes(operation), lineage, locale), "revision": revision, "dry_run": dry_run}
    return json_answer(answer, locale=locale, ETag=quoted(revision))


@router.post(
    "/v1/grid/versions/{number}/undo",
    response_model=None,
    responses={200: {**_OBJECT, "description": "What was taken back, and how many changes still can be"}, **_WRITE},
)
async def create_undo(
    request: Request,
    number: Number,
    unit: Writing,
    container: Wired,
    caller: Writer,
    if_match: IfMatch = None,
) -> Response:
    """Take back the last change of a draft; again takes back the one before. The revision grows all the same."""
    version = await drafts.lock_draft(unit, container.settings.jurisdiction, number, seen=seen_revision(if_match))
    undone = await undo_last(unit, version)
    body = {
        "undone": {"revision": undone.seq, "operation": undone.kind},
        "revision": undone.revision,
        "undoable": await count_undoable(unit, version.id),
    }
    return json_answer(body, locale=locale_of(request), ETag=quoted(undone.revision))


@router.get(
    "/v1/grid/versions/{number}/effect",
    response_model=None,
    responses={200: {**_OBJECT, "description": "Open cases whose cell or head would change"}, **_READ},
)
async def read_version_effect(
    request: Request,
    number: Number,
    unit: Reading,
    container: Wired,
    _: Reader,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """Open cases whose cell or head would change if the version were valid, by the posts of its beginning or of now."""
    version = await get_version(unit, container.settings.jurisdiction, number)
    effects = await read_effect(unit, version.jurisdiction, version.id, version.valid_from)
    locale = locale_of(request)
    body = {
        "number": number,
        "count": len(effects),
        "handed_over": sum(effect.is_handed_over for effect in effects),
        "cases": [effect_json(effect, locale) for effect in effects[:limit]],
    }
    return json_answer(body, locale=locale)


@router.post(
    "/v1/grid/versions/{number}/activate",
    response_model=None,
    responses={200: {**_OBJECT, "description": "The version, active or scheduled"}, **_WRITE},
)
async def create_activation(
    request: Request,
    number: Number,
    container: Wired,
    caller: Writer,
    body: ActivateIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Make a draft valid from an instant on; a later instant schedules it. Errors of its coverage refuse it.

    Without an instant it begins two seconds ahead, so that no process answers from the version before when it has
    begun; the answer comes when it has.
    """
    wanted = body or ActivateIn.model_validate({})
    settings = container.settings
    # A unit of its own: what is waited for begins with the commit.
    async with write_unit(container.engine, viewer=await viewer_of(request)) as unit:
        version = await activate_checked(
            unit,
            settings.jurisdiction,
            number,
            at=wanted.instant,
            accepted=wanted.accept,
            reason=wanted.reason,
            actor=f"{caller.kind}:{caller.id}",
            seen=seen_revision(if_match),
            tolerance_m2=settings.coverage_tolerance_m2,
            sliver_width_m=settings.coverage_sliver_width_m,
        )
    if wanted.instant is None:
        await await_effect(container.engine, version.valid_from)
    async with read_unit(container.engine) as reading:
        return await _version(request, reading, container, number)


@router.post(
    "/v1/grid/versions/{number}/withdraw",
    response_model=None,
    responses={200: {**_OBJECT, "description": "A draft again"}, **_WRITE},
)
async def create_withdrawal(
    request: Request, number: Number, unit: Writing, container: Wired, caller: Writer
) -> Response:
    """Make a scheduled version a draft again, before it takes effect."""
    await withdraw(unit, container.settings.jurisdiction, number)
    return await _version(request, unit, container, number)


async def _version(
    request: Request, unit: ReadUnit | WriteUnit, container: Container, number: int, *, status: int = 200
) -> Response:
    jurisdiction = container.settings.jurisdiction
    versions = await list_versions(unit, jurisdiction)
    numbers = {int(version.id): version.number for version in versions}
    version = await get_version(unit, jurisdiction, number)
    body = version_json(version, await drafts.count_cells(unit, jurisdiction), numbers)
    return json_answer(body, locale=locale_of(request), status=status, ETag=quoted(version.revision))


def seen_revision(if_match: str | None) -> int | None:
    """Read If-Match as a draft's revision; None accepts any."""
    if if_match is None or if_match == "*":
        return None
    found = _REVISION.fullmatch(if_match)
    if found is None:
        raise BadInputError("geo.bad_revision", pointer="/If-Match", revision=if_match[:40])
    return int(found.group(1))

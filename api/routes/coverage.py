"""The coverage proof of a grid version: what is wrong, how bad, where, in the caller's language."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Annotated, Any

import shapely
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, json_answer, quoted
from api.container import Reading, Wired
from api.errors import message_of
from api.language import locale_of
from api.schemas import problems
from geo.activation import code_faults
from geo.coverage import (
    CoverageReport,
    Finding,
    FindingKind,
    Severity,
    check_coverage,
    coverage_geojson,
    coverage_item,
    coverage_summary,
)
from geo.errors import Fault
from geo.importing.measures import area_m2
from geo.storage.coverage_cells import read_coverage_cells
from geo.storage.grid_versions import GridVersion, get_version
from maps.i18n import Locale, translate

router = APIRouter(tags=["grid"])

_KEPT = 4
_MOST_CELLS_NAMED = 12
_MOST_CODES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What stands in the way of a version: the report of its coverage, and codes that break its code system."""

    report: CoverageReport
    codes: tuple[Fault, ...]


class CoverageReports:
    """Reports of the versions asked for last, one computed at a time.

    The key holds the draft's revision, so an edited draft is looked at anew. One at a time, because a proof takes a
    core for seconds and a page that asks thrice should cost one.
    """

    def __init__(self) -> None:
        self._proofs: OrderedDict[tuple[Any, ...], Proof] = OrderedDict()
        self._lock = asyncio.Lock()

    async def get(self, unit: Reading, version: GridVersion, *, tolerance_m2: float, sliver_width_m: float) -> Proof:
        """Return the proof, computing it in a thread unless it is known."""
        key = (version.id, version.revision, tolerance_m2, sliver_width_m)
        async with self._lock:
            if key not in self._proofs:
                cells = await read_coverage_cells(unit, version.id)

                def prove() -> Proof:
                    report = check_coverage(cells, area_m2, tolerance_m2=tolerance_m2, sliver_width_m=sliver_width_m)
                    return Proof(report=report, codes=tuple(code_faults(cells, version.code_system)))

                self._proofs[key] = await asyncio.to_thread(prove)
            self._proofs.move_to_end(key)
            while len(self._proofs) > _KEPT:
                self._proofs.popitem(last=False)
            return self._proofs[key]


def sentence(finding: Finding, locale: Locale) -> str:
    """Say a finding in a language."""
    named = list(finding.cells[:_MOST_CELLS_NAMED])
    if len(finding.cells) > len(named):
        named.append("…")
    key = finding.kind.value
    if finding.kind is FindingKind.GAP and finding.parent is None:
        key = "gap_top"
    return translate(
        locale,
        f"coverage.sentence.{key}",
        parent=finding.parent or "–",
        cells=", ".join(named),
        area=f"{finding.area_m2:,.2f}",
        width=f"{finding.width_m or 0:.2f}",
        reason=finding.reason,
    )


@router.get(
    "/v1/grid/versions/{number}/coverage",
    response_model=None,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                GEOJSON: {"schema": {"type": "object"}},
            },
            "description": "Findings, worst first",
        },
        304: {"description": "Not changed"},
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_coverage(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.GRID_READ))],
    number: Annotated[int, Path(ge=1, le=2**31 - 1)],
    kind: Annotated[FindingKind | None, Query(alias="class", description="Only findings of this class")] = None,
    severity: Annotated[Severity | None, Query(description="Only findings of this severity")] = None,
    parent: Annotated[str | None, Query(max_length=64, description="Only findings in this cell")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> Response:
    """Does every level of a version tile its parent? Gaps, overlaps and the rest, with areas and shapes.

    As JSON, or as GeoJSON for a map (`Accept: application/geo+json`). `coverage` holds the figures of the whole
    version, whatever was filtered. `codes` names cells whose code breaks the version's code system: they stand in the
    way of activation as well.
    """
    settings = container.settings
    locale = locale_of(request)
    version = await get_version(unit, settings.jurisdiction, number)
    as_geojson = "geo+json" in request.headers.get("accept", "")
    tolerance_m2, sliver_width_m = settings.coverage_tolerance_m2, settings.coverage_sliver_width_m
    asked = (version.id, version.revision, tolerance_m2, sliver_width_m, kind, severity, parent, limit)
    tag = quoted(hashlib.sha256(repr((*asked, locale, as_geojson)).encode()).hexdigest()[:32])
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag, "Vary": "Accept, Accept-Language"})
    proof = await _reports(request).get(unit, version, tolerance_m2=tolerance_m2, sliver_width_m=sliver_width_m)
    report = proof.report
    chosen = [
        finding
        for finding in report.findings
        if (kind is None or finding.kind is kind)
        and (severity is None or finding.severity is severity)
        and (parent is None or finding.parent == parent)
    ]
    shown = replace(report, findings=tuple(chosen[:limit]))
    facts = {
        "grid_version": {"number": version.number, "name": version.name, "status": version.status.value},
        "matched": len(chosen),
        "coverage": coverage_summary(report),
        "codes": {
            "count": len(proof.codes),
            "faults": [
                {
                    "cell": each.params["value"],
                    "code": each.code,
                    "detail": message_of(locale, each.code, each.params),
                }
                for each in proof.codes[:_MOST_CODES]
            ],
        },
    }

    def say(finding: Finding) -> str:
        return sentence(finding, locale)

    if as_geojson:
        body = await asyncio.to_thread(coverage_geojson, shown, say)
        return json_answer({**body, **facts}, locale=locale, media_type=GEOJSON, ETag=tag, Cache_Control="no-cache")
    findings = [
        {**coverage_item(place, finding, say), "geometry": shapely.geometry.mapping(finding.where)}
        for place, finding in enumerate(shown.findings, 1)
    ]
    return json_answer({**facts, "findings": findings}, locale=locale, ETag=tag, Cache_Control="no-cache")


def _reports(request: Request) -> CoverageReports:
    state = request.app.state
    if not hasattr(state, "coverage_reports"):
        state.coverage_reports = CoverageReports()
    found: CoverageReports = state.coverage_reports
    return found

"""What lies beside a case as JSON: legs of joint work, phases, evidence of returns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from api.answers import GEOJSON
from api.rendering import head_json, instant
from api.schemas import CaseDetailOut, HeadOut, LocationOut, VersionOut
from dispatch.case_views import CaseView
from dispatch.joint import possible_leg_moves
from dispatch.phasing import CasePhase, list_phases
from dispatch.posts import find_head
from dispatch.states import CaseState
from dispatch.storage.legs import Leg, list_legs
from dispatch.storage.returns import ReturnEvidence, list_returns
from geo.storage.uow import Unit
from maps.i18n import Locale, translate

__all__ = [
    "GEOJSON",
    "CasePartsOut",
    "LegOut",
    "PhaseOut",
    "ReturnOut",
    "evidence_features",
    "leg_json",
    "parts_json",
    "return_json",
]


class LegOut(BaseModel):
    """One department's part of joint work."""

    leg: int
    version: int = Field(description="Name it in If-Match when moving this leg")
    clock_epoch: int
    department: str
    department_name: str
    task: str
    status: str
    status_name: str
    limit: dict[str, str]
    started_at: datetime
    due_at: datetime
    due_provisional: bool
    head: HeadOut | None = Field(description="Who answers in the department; null when nobody does")
    acknowledged_at: datetime | None
    handled_at: datetime | None
    is_on_time: bool | None
    result: str
    evidence: list[str]
    signed_at: datetime | None
    returns: int
    reworks: int
    moves: list[str]
    status_url: str


class PhaseOut(BaseModel):
    """A phase of a phased limit."""

    phase: int
    name: str
    limit: dict[str, str]
    due_at: datetime
    due_provisional: bool
    done_at: datetime | None
    is_on_time: bool | None
    result: str


class ReturnOut(BaseModel):
    """A return and the point against the polygon that answered."""

    number: int
    at: datetime
    reason: str
    post: str | None
    point_from: str = Field(description="given by the returner, stored with the case, or none")
    location: LocationOut | None
    coord_sys: str | None
    cell: str | None
    cell_name: str | None
    grid_version: VersionOut | None
    relation: str = Field(description="inside, edge, outside or unknown")
    relation_name: str
    distance_m: float | None = Field(description="Geodesic metres to the cell's outline, on either side")
    tie_rule: str
    covering: str | None = Field(description="The cell that the point belongs to by the tie rule")
    covering_path: list[str]
    map_url: str = Field(description="The same as GeoJSON: cell, point, shortest way to the outline")


class CasePartsOut(CaseDetailOut):
    """A case with its history, and what lies beside it."""

    legs: list[LegOut]
    phases: list[PhaseOut]
    returned: list[ReturnOut]


def limit_json(value: Any, unit: str, locale: Locale) -> dict[str, str]:
    """A limit in its own unit."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return {"value": text, "unit": unit, "text": f"{text} {translate(locale, f'unit.{unit}')}"}


def leg_json(leg: Leg, case: CaseView, locale: Locale, zone: str) -> dict[str, Any]:
    """A leg with the moves possible now."""
    moves = possible_leg_moves(leg.facts()) if case.state is CaseState.HANDLING else ()
    head = find_head(leg.ladder) if leg.owner_post_id is not None else None
    return {
        "leg": leg.number,
        "version": leg.version,
        "clock_epoch": leg.clock_epoch,
        "department": leg.department,
        "department_name": (leg.department_en if locale == "en" else leg.department_zh) or leg.department,
        "task": leg.task,
        "status": leg.state.value,
        "status_name": translate(locale, f"leg.state.{leg.state.value}"),
        "limit": limit_json(leg.limit_value, leg.limit_unit, locale),
        "started_at": instant(leg.started_at),
        "due_at": instant(leg.due_at),
        "due_provisional": leg.due_provisional,
        "head": head_json(head, locale, zone),
        "acknowledged_at": instant(leg.acknowledged_at),
        "handled_at": instant(leg.handled_at),
        "is_on_time": leg.is_on_time,
        "result": leg.result,
        "evidence": list(leg.evidence),
        "signed_at": instant(leg.signed_at),
        "returns": leg.return_count,
        "reworks": leg.rework_count,
        "moves": [move.value for move in moves],
        "status_url": f"/v1/cases/{case.ref}/legs/{leg.number}",
    }


def phase_json(phase: CasePhase, locale: Locale) -> dict[str, Any]:
    """A phase."""
    return {
        "phase": phase.number,
        "name": phase.name(locale),
        "limit": limit_json(phase.limit_value, phase.limit_unit, locale),
        "due_at": instant(phase.due_at),
        "due_provisional": phase.due_provisional,
        "done_at": instant(phase.done_at),
        "is_on_time": phase.is_on_time,
        "result": phase.result,
    }


def return_json(found: ReturnEvidence, ref: str, locale: Locale) -> dict[str, Any]:
    """A return with its evidence."""
    is_english = locale == "en"
    version = None
    if found.version_number is not None:
        version = {"number": found.version_number, "name": found.version_name}
    return {
        "number": found.number,
        "at": instant(found.returned_at),
        "reason": found.reason,
        "post": (found.post_en if is_english else found.post_zh) or found.post_zh,
        "point_from": found.point_from,
        "location": {"lon": found.lon, "lat": found.lat} if found.lon is not None else None,
        "coord_sys": found.coord_sys,
        "cell": found.cell_code,
        "cell_name": (found.cell_en if is_english else found.cell_zh) or found.cell_zh or found.cell_code,
        "grid_version": version,
        "relation": found.relation,
        "relation_name": translate(locale, f"relation.{found.relation}"),
        "distance_m": round(found.distance_m, 2) if found.distance_m is not None else None,
        "tie_rule": found.tie_rule,
        "covering": found.covering_code,
        "covering_path": list(found.covering_path),
        "map_url": f"/v1/cases/{ref}/returns/{found.number}",
    }


def evidence_features(found: ReturnEvidence, shapes: dict[str, Any], ref: str, locale: Locale) -> dict[str, Any]:
    """A return as a FeatureCollection for the map; what is not known has no feature."""
    facts = return_json(found, ref, locale)
    drawn = [("cell", shapes["boundary"], {"code": found.cell_code, "name": facts["cell_name"]})]
    if found.covering_code != found.cell_code:
        drawn.append(("covering_cell", shapes["covering_boundary"], {"code": found.covering_code}))
    point = {"type": "Point", "coordinates": [found.lon, found.lat]} if found.lon is not None else None
    drawn.append(("point", point, {"from": found.point_from, "relation": found.relation}))
    drawn.append(("to_outline", shapes["shortest"], {"distance_m": facts["distance_m"]}))
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": role, "geometry": geometry, "properties": {"role": role, **properties}}
            for role, geometry, properties in drawn
            if geometry is not None
        ],
        "evidence": facts,
    }


async def parts_json(unit: Unit, case: CaseView, locale: Locale, zone: str) -> dict[str, Any]:
    """Legs, phases and returns of a case, for its detail."""
    return {
        "legs": [leg_json(leg, case, locale, zone) for leg in await list_legs(unit, case.id)],
        "phases": [phase_json(phase, locale) for phase in await list_phases(unit, case.id, case.clock_epoch)],
        "returned": [return_json(one, case.ref, locale) for one in await list_returns(unit, case.id)],
    }

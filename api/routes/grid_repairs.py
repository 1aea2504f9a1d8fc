"""Repairs offered for a draft's coverage: shown first, with their effect; taken by those who have seen them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Annotated, Any

import shapely
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.answers import GEOJSON, json_answer, quoted
from api.container import Container, Reading, Wired, Writing
from api.language import locale_of
from api.routes.grid import IfMatch, Number, Reader, Writer, seen_revision
from api.schemas import problems
from api.spelling import Spelling
from geo.cells import VersionStatus
from geo.coverage import DEFAULT_SNAP_M, coverage_summary
from geo.coverage.offers import Offer
from geo.storage.coverage_cells import read_coverage_cells
from geo.storage.draft_repairs import KIND, Offers, choose_offers, prove_offers, read_offers, save_offers
from geo.storage.draft_undo import count_undoable
from geo.storage.drafts import lock_draft
from geo.storage.grid_versions import GridVersion, get_version
from geo.storage.uow import ReadUnit, WriteUnit
from maps.i18n import Locale, translate

router = APIRouter(tags=["grid"])

_KEPT = 2
_MOST_NAMED = 12
_OBJECT = {"content": {"application/json": {"schema": {"type": "object"}}}}
SnapM = Annotated[float, Field(ge=0.01, le=5.0, allow_inf_nan=False, description="Farthest a vertex moves, in metres")]
RepairId = Annotated[str, Spelling("^[0-9a-f]{16}$", "3f9a0c4e5b7d8821")]


class RepairsIn(BaseModel):
    """Which offers are taken."""

    model_config = ConfigDict(extra="forbid")

    repairs: Annotated[list[RepairId], Field(min_length=1, max_length=10_000, description="Their ids, as listed")]
    snap_m: SnapM = DEFAULT_SNAP_M


class OfferedRepairs:
    """Offers of the drafts looked at last, one computed at a time: a proof takes a core for seconds."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[Any, ...], Offers] = OrderedDict()
        self._lock = asyncio.Lock()

    async def get(
        self, unit: ReadUnit | WriteUnit, version: GridVersion, container: Container, *, snap_m: float
    ) -> Offers:
        """Return what is offered for a version as it is drawn now."""
        settings = container.settings
        tolerance_m2, sliver_width_m = settings.coverage_tolerance_m2, settings.coverage_sliver_width_m
        key = (version.id, version.revision, snap_m, tolerance_m2, sliver_width_m)
        async with self._lock:
            if key not in self._found:
                cells = await read_coverage_cells(unit, version.id)
                self._found[key] = await asyncio.to_thread(
                    read_offers, cells, snap_m=snap_m, tolerance_m2=tolerance_m2, sliver_width_m=sliver_width_m
                )
            self._found.move_to_end(key)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
            return self._found[key]


@router.get(
    "/v1/grid/versions/{number}/repairs",
    response_model=None,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                GEOJSON: {"schema": {"type": "object"}},
            },
            "description": "Offers, the one that moves most land first",
        },
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_repairs(
    request: Request,
    number: Number,
    unit: Reading,
    container: Wired,
    _: Reader,
    snap_m: Annotated[SnapM, Query()] = DEFAULT_SNAP_M,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> Response:
    """What could be repaired, cell by cell, with the land that would change its owner; nothing is changed.

    Vertices that miss their neighbour's by `snap_m` or less are brought together, slivers go to the neighbour with the
    longest common border. As JSON, or as GeoJSON for a map (`Accept: application/geo+json`).
    """
    version = await get_version(unit, container.settings.jurisdiction, number)
    found = await _offered(request).get(unit, version, container, snap_m=snap_m)
    locale = locale_of(request)
    as_geojson = "geo+json" in request.headers.get("accept", "")
    shown = [_offer_json(place, offer, locale) for place, offer in enumerate(found.offers[:limit], 1)]
    body: dict[str, Any] = {
        "grid_version": {
            "number": version.number,
            "name": version.name,
            "status": version.status.value,
            "revision": version.revision,
        },
        "can_be_applied": version.status is VersionStatus.DRAFT,
        "snap_m": snap_m,
        "matched": len(found.offers),
        "before": coverage_summary(found.proposal.before),
        "after_all": coverage_summary(found.proposal.after),
    }
    if as_geojson:
        features = [
            {"type": "Feature", "id": one["id"], "bbox": one["bbox"], "geometry": geometry, "properties": one}
            for one, geometry in ((one, one.pop("geometry")) for one in shown)
        ]
        body = {"type": "FeatureCollection", "features": features, **body}
    else:
        body["repairs"] = shown
    return json_answer(
        body,
        locale=locale,
        media_type=GEOJSON if as_geojson else "application/json",
        ETag=quoted(version.revision),
        Cache_Control="no-store",
    )


@router.post(
    "/v1/grid/versions/{number}/repairs",
    response_model=None,
    responses={
        200: {**_OBJECT, "description": "What was changed, and the coverage before and after"},
        **problems(400, 401, 403, 404, 409, 412, 413, 422, 503),
    },
)
async def create_repairs(
    request: Request,
    number: Number,
    body: RepairsIn,
    unit: Writing,
    container: Wired,
    caller: Writer,
    if_match: IfMatch = None,
) -> Response:
    """Take chosen offers into the draft, as one change that can be undone; refused when it would make things worse.

    An id stands for the very change that was listed: after another change of the same cells it is not known any more.
    """
    settings = container.settings
    version = await lock_draft(unit, settings.jurisdiction, number, seen=seen_revision(if_match))
    found = await _offered(request).get(unit, version, container, snap_m=body.snap_m)
    chosen = choose_offers(found, body.repairs)
    report = await asyncio.to_thread(
        prove_offers,
        found,
        chosen,
        tolerance_m2=settings.coverage_tolerance_m2,
        sliver_width_m=settings.coverage_sliver_width_m,
    )
    revision = await save_offers(unit, version, chosen, actor=f"{caller.kind}:{caller.id}")
    locale = locale_of(request)
    answer = {
        "operation": KIND,
        "applied": [_offer_json(place, offer, locale) for place, offer in enumerate(chosen, 1)],
        "before": coverage_summary(found.proposal.before),
        "after": coverage_summary(report),
        "revision": revision,
        "undoable": await count_undoable(unit, version.id),
    }
    return json_answer(answer, locale=locale, ETag=quoted(revision))


def _offer_json(place: int, offer: Offer, locale: Locale) -> dict[str, Any]:
    inside = offer.where.representative_point()
    named = list(offer.codes[:_MOST_NAMED])
    if len(offer.codes) > len(named):
        named.append("…")
    return {
        "number": place,
        "id": offer.id,
        "kind": offer.kind.value,
        "moved_m2": round(offer.moved_m2, 4),
        "cells": [
            {
                "code": effect.repair.code,
                "level": effect.level,
                "gained_m2": round(effect.gained_m2, 4),
                "lost_m2": round(effect.lost_m2, 4),
            }
            for effect in offer.effects
        ],
        "position": [round(inside.x, 7), round(inside.y, 7)],
        "bbox": [round(each, 7) for each in offer.where.bounds],
        "sentence": translate(
            locale,
            f"coverage.repair.{offer.kind.value}",
            cells=", ".join(named),
            area=f"{offer.moved_m2:,.2f}",
        ),
        "geometry": shapely.geometry.mapping(offer.where),
    }


def _offered(request: Request) -> OfferedRepairs:
    state = request.app.state
    if not hasattr(state, "offered_repairs"):
        state.offered_repairs = OfferedRepairs()
    found: OfferedRepairs = state.offered_repairs
    return found

"""Taking offered repairs into a draft: proven not worse, with lineage, written down so that they can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import shapely

from geo.coordinates import SRID_WGS84
from geo.coverage import CoverageCell, CoverageReport, Repair, RepairProposal, check_coverage, propose_repairs
from geo.coverage.offers import Offer, apply_offers, find_offers
from geo.errors import ConflictError
from geo.importing.measures import area_m2, label_points
from geo.storage.draft_undo import note_before
from geo.storage.grid_versions import GridVersion
from geo.storage.uow import WriteUnit

__all__ = ["KIND", "Offers", "choose_offers", "prove_offers", "read_offers", "save_offers"]

#: Under this name the change stands in lineage and undo.
KIND: Final = "repair"
_IDS: Final = "SELECT code, id FROM geo.cell WHERE version_id = %s AND code = ANY (%s)"
_SHAPE: Final = """
UPDATE geo.cell SET area_m2 = %(area_m2)s, boundary = %(boundary)s::geometry, label_point = %(label)s::geometry
 WHERE id = %(id)s
"""
_LINEAGE: Final = (
    "INSERT INTO geo.cell_lineage (version_id, seq, kind, from_code, to_code, share, actor)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
_NEXT: Final = "UPDATE geo.grid_version SET revision = revision + 1 WHERE id = %s RETURNING revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What is offered for a version as it is drawn at one revision."""

    proposal: RepairProposal
    cells: tuple[CoverageCell, ...]
    offers: tuple[Offer, ...]


def read_offers(cells: Sequence[CoverageCell], *, snap_m: float, tolerance_m2: float, sliver_width_m: float) -> Offers:
    """Work out what could be repaired; nothing is changed. Cost: a few proofs, so seconds for a city: for a thread."""
    proposal = propose_repairs(cells, area_m2, snap_m=snap_m, tolerance_m2=tolerance_m2, sliver_width_m=sliver_width_m)
    return Offers(proposal=proposal, cells=tuple(cells), offers=find_offers(proposal, area_m2))


def choose_offers(found: Offers, ids: Sequence[str]) -> list[Offer]:
    """Return the offers of some ids, in the list's order.

    Raises
    ------
    ConflictError
        ``geo.repair_gone``: the draft has changed since it was looked at, or it never was offered.
    """
    by_id = {offer.id: offer for offer in found.offers}
    unknown = [place for place, one in enumerate(ids) if one not in by_id]
    if unknown:
        raise ConflictError("geo.repair_gone", pointer=f"/repairs/{unknown[0]}", repair=ids[unknown[0]][:40])
    return [by_id[one] for one in dict.fromkeys(ids)]


def prove_offers(
    found: Offers, chosen: Sequence[Offer], *, tolerance_m2: float, sliver_width_m: float
) -> CoverageReport:
    """Return the report with the chosen offers taken. Cost: one proof.

    Raises
    ------
    ConflictError
        ``geo.repair_no_better`` when more would be broken than now.
    """
    check = partial(check_coverage, tolerance_m2=tolerance_m2, sliver_width_m=sliver_width_m)
    report = check(apply_offers(found.cells, chosen), area_m2)
    before = found.proposal.before
    if _broken(report) > _broken(before):
        raise ConflictError("geo.repair_no_better", pointer="/repairs", before=_broken(before), after=_broken(report))
    return report


async def save_offers(unit: WriteUnit, version: GridVersion, chosen: Sequence[Offer], *, actor: str) -> int:
    """Write chosen offers into a locked draft as one change that can be taken back; return the draft's revision."""
    driver = await unit.driver()
    effects = [effect for offer in chosen for effect in offer.effects]
    codes = [effect.repair.code for effect in effects]
    rows = await (await driver.execute(_IDS, (version.id, codes))).fetchall()
    id_of = dict(rows)
    await note_before(unit, version, KIND, list(id_of.values()))
    labels = label_points([effect.repair.after for effect in effects])
    async with driver.cursor() as cursor:
        await cursor.executemany(
            _SHAPE,
            [
                {
                    "id": id_of[effect.repair.code],
                    "area_m2": area_m2(effect.repair.after),
                    "boundary": shapely.to_wkb(
                        shapely.set_srid(effect.repair.after, SRID_WGS84), hex=True, include_srid=True
                    ),
                    "label": shapely.to_wkb(shapely.set_srid(label, SRID_WGS84), hex=True, include_srid=True),
                }
                for effect, label in zip(effects, labels, strict=True)
            ],
        )
        await cursor.execute(_NEXT, (version.id,))
        row = await cursor.fetchone()
        assert row is not None
        revision: int = row[0]
        await cursor.executemany(
            _LINEAGE,
            [
                (version.id, revision, KIND, effect.repair.code, effect.repair.code, _kept(effect.repair), actor)
                for effect in effects
            ],
        )
    return revision


def _kept(repair: Repair) -> float:
    """How much of the cell it was stays in it; more than nothing, for a repair never moves a cell."""
    before = shapely.make_valid(repair.before)
    return float(min(1.0, max(1e-9, shapely.intersection(before, repair.after).area / before.area)))


def _broken(report: CoverageReport) -> int:
    return report.below_tolerance + sum(finding.breaks_tiling for finding in report.findings)

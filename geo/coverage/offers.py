"""Repairs as people decide about them: what belongs together is one offer, and some offers may be taken without others.

A vertex that moves does so in every cell that has it, so the cells of one offer change together. Two offers share no
changed vertex and no changed land: taking one leaves what the other concerns as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.coordinates import GRID_PER_DEGREE
from geo.coverage.findings import CoverageCell
from geo.coverage.overlay import Area, areal
from geo.coverage.repairs import Repair, RepairKind, RepairProposal

__all__ = ["CellEffect", "Offer", "apply_offers", "find_offers"]

_ID_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEffect:
    """What an offer does to one cell. Units: m²."""

    repair: Repair
    level: int
    gained_m2: float
    lost_m2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Cells that are mended together.

    Parameters
    ----------
    id
        Follows from what would be changed: whoever names it has seen this very change.
    moved_m2
        Units: m². Land that changes its owner on any level, counted once.
    where
        That land; where none moves, the vertices that are added or go. SRID: that of the cells.
    """

    id: str
    kind: RepairKind
    effects: tuple[CellEffect, ...]
    moved_m2: float
    where: BaseGeometry

    @property
    def codes(self) -> tuple[str, ...]:
        """The cells, highest level first."""
        return tuple(effect.repair.code for effect in self.effects)


def find_offers(proposal: RepairProposal, area_m2: Area) -> tuple[Offer, ...]:
    """Group a proposal's repairs into offers, the one that moves most land first.

    Cost: linear in the changed vertices, plus a search tree of the changed land.
    """
    repairs = proposal.repairs
    if not repairs:
        return ()
    level_of = {cell.code: cell.level for cell in proposal.cells}
    vertices = [_changed_vertices(repair) for repair in repairs]
    gained = [areal(shapely.difference(repair.after, shapely.make_valid(repair.before))) for repair in repairs]
    lost = [areal(shapely.difference(shapely.make_valid(repair.before), repair.after)) for repair in repairs]
    land = [shapely.union(got, gone) for got, gone in zip(gained, lost, strict=True)]
    groups = _Groups(len(repairs))
    first_with: dict[tuple[int, int], int] = {}
    for index, changed in enumerate(vertices):
        for vertex in changed:
            groups.join(first_with.setdefault(vertex, index), index)
    tree = shapely.STRtree(land)
    for first, second in tree.query(land, predicate="intersects").T.tolist():
        groups.join(first, second)
    offers = [
        _offer(
            [
                CellEffect(
                    repair=repairs[index],
                    level=level_of[repairs[index].code],
                    gained_m2=_area(gained[index], area_m2),
                    lost_m2=_area(lost[index], area_m2),
                )
                for index in members
            ],
            areal(shapely.union_all([land[index] for index in members])),
            sorted(set().union(*(vertices[index] for index in members))),
            area_m2,
        )
        for members in groups.all()
    ]
    return tuple(sorted(offers, key=lambda offer: (-offer.moved_m2, offer.id)))


def apply_offers(cells: Sequence[CoverageCell], offers: Iterable[Offer]) -> list[CoverageCell]:
    """Return the cells with some offers taken. SRID: that of the cells."""
    after = {effect.repair.code: effect.repair.after for offer in offers for effect in offer.effects}
    return [replace(cell, boundary=after[cell.code]) if cell.code in after else cell for cell in cells]


def _offer(effects: list[CellEffect], land: BaseGeometry, vertices: Sequence[tuple[int, int]], area_m2: Area) -> Offer:
    effects.sort(key=lambda effect: (effect.level, effect.repair.code))
    seen = hashlib.sha256()
    for effect in effects:
        seen.update(effect.repair.code.encode() + b"\0" + shapely.to_wkb(effect.repair.before))
        seen.update(shapely.to_wkb(effect.repair.after))
    given = any(effect.repair.kind is RepairKind.ASSIGN_SLIVER for effect in effects)
    points = shapely.multipoints([(x / GRID_PER_DEGREE, y / GRID_PER_DEGREE) for x, y in vertices])
    return Offer(
        id=seen.hexdigest()[:_ID_DIGITS],
        kind=RepairKind.ASSIGN_SLIVER if given else RepairKind.SNAP,
        effects=tuple(effects),
        moved_m2=_area(land, area_m2),
        where=points if land.is_empty else land,
    )


def _area(shape: BaseGeometry, area_m2: Area) -> float:
    return 0.0 if shape.is_empty else area_m2(shape)


def _changed_vertices(repair: Repair) -> set[tuple[int, int]]:
    return _vertices(repair.before) ^ _vertices(repair.after)


def _vertices(shape: BaseGeometry) -> set[tuple[int, int]]:
    grid = np.rint(shapely.get_coordinates(shape) * GRID_PER_DEGREE).astype(np.int64)
    return {(x, y) for x, y in grid.tolist()}


class _Groups:
    """What belongs together, joined pair by pair."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def join(self, first: int, second: int) -> None:
        self._above[self._top(first)] = self._top(second)

    def all(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for index in range(len(self._above)):
            found.setdefault(self._top(index), []).append(index)
        return list(found.values())

    def _top(self, index: int) -> int:
        while self._above[index] != index:
            self._above[index] = self._above[self._above[index]]
            index = self._above[index]
        return index

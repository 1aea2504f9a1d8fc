"""Where the proof by edges fails: what is missing or doubled, as areas.

Only families that do not cancel come here, so that the overlay's cost and its floating point stay with the faulty few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.coordinates import GRID_PER_DEGREE
from geo.coverage.edges import EdgeTable, Residue, Shapes
from geo.coverage.findings import Finding, FindingKind

Area = Callable[[BaseGeometry], float]
_INTERIORS_MEET = "T********"
_POLYGON = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """How areas become m² and when an area is a sliver. Units: ``sliver_width_m`` m."""

    area_m2: Area
    sliver_width_m: float

    def finding(
        self, kind: FindingKind, parent: str | None, cells: tuple[str, ...], where: BaseGeometry
    ) -> Finding | None:
        """Make a finding of an area; None when there is no area in it."""
        area = areal(where)
        if area.is_empty:
            return None
        size = self.area_m2(area)
        # Mean width: metres per unit are taken from the area, which is right within the ratio of a degree's two sides.
        scale = (size / area.area) ** 0.5
        width = 2 * size / (area.length * scale) if area.length * scale > 0 else 0.0
        # An open slit was found by its width, which this mean one only comes near.
        is_sliver = kind is FindingKind.OPEN_SLIT or width < self.sliver_width_m
        if kind is FindingKind.HOLE and is_sliver:
            # Nobody owns a strip of half a metre between two subdistricts: that is a slip of the pen.
            kind = FindingKind.GAP
        return Finding(
            kind=kind, parent=parent, cells=cells, area_m2=size, where=area, width_m=width, is_sliver=is_sliver
        )


def family_findings(
    parent: BaseGeometry, parent_code: str, shapes: Shapes, codes: Sequence[str], measures: Measures
) -> list[Finding]:
    """Gaps, overlaps and what lies outside, in one family that does not cancel."""
    found = overlaps(range(len(shapes)), shapes, codes, parent_code, measures)
    whole = shapely.union_all(shapes)
    for gap in shapely.get_parts(shapely.difference(parent, whole)):
        found += _listed(measures.finding(FindingKind.GAP, parent_code, (), gap))
    within = shapely.covers(parent, shapes)
    for index in np.flatnonzero(~within).tolist():
        rest = shapely.difference(shapes[index], parent)
        found += _listed(measures.finding(FindingKind.OUTSIDE, parent_code, (codes[index],), rest))
    return found


def overlaps(
    suspects: Sequence[int], shapes: Shapes, codes: Sequence[str], parent: str | None, measures: Measures
) -> list[Finding]:
    """Every pair of a suspect and any sibling whose interiors meet."""
    tree = shapely.STRtree(shapes)
    chosen = np.asarray(list(suspects), dtype=np.int64)
    if not len(chosen):
        return []
    query, second = tree.query(shapes[chosen], predicate="intersects")
    first = chosen[query]
    is_suspect = np.zeros(len(shapes), dtype=bool)
    is_suspect[chosen] = True
    apart = (first < second) | ((first > second) & ~is_suspect[second])
    first, second = first[apart], second[apart]
    meet = shapely.relate_pattern(shapes[first], shapes[second], _INTERIORS_MEET)
    found: list[Finding] = []
    for one, other in zip(first[meet].tolist(), second[meet].tolist(), strict=True):
        names = tuple(sorted((codes[one], codes[other])))
        common = shapely.intersection(shapes[one], shapes[other])
        found += _listed(measures.finding(FindingKind.OVERLAP, parent, names, common))
    return found


def union_of(shapes: Shapes) -> BaseGeometry:
    """Join cells; the quick way where they match edge by edge."""
    is_matched = bool(shapely.coverage_is_valid(shapes))
    return shapely.coverage_union_all(shapes) if is_matched else shapely.union_all(shapes)


def holes(whole: BaseGeometry, measures: Measures) -> list[Finding]:
    """What level-1 cells enclose and none of them covers: a lake, an army's ground, another city's land."""
    pieces = shapely.get_parts(whole)
    parts = pieces[shapely.get_type_id(pieces) == _POLYGON]
    enclosed = np.array([shapely.Polygon(ring) for part in parts for ring in part.interiors], dtype=object)
    if not len(enclosed):
        return []
    # An island in a hole is no part of it. Taken off the whole city's union, each hole would cost as much as the city.
    islands: dict[int, list[int]] = defaultdict(list)
    hole, island = shapely.STRtree(parts).query(enclosed, predicate="contains")
    for number, place in zip(hole.tolist(), island.tolist(), strict=True):
        islands[number].append(place)
    found: list[Finding] = []
    for number, shape in enumerate(enclosed):
        inside = islands.get(number)
        rest = shapely.difference(shape, shapely.union_all(parts[inside])) if inside else shape
        for part in shapely.get_parts(rest):
            found += _listed(measures.finding(FindingKind.HOLE, None, (), part))
    return found


def unmatched(table: EdgeTable, residue: Residue, parent: str | None) -> Finding:
    """The edges themselves, where they do not cancel and yet no area can be shown: never silence."""
    ends = np.stack((table.vertices[residue.begin], table.vertices[residue.end]), axis=1) / GRID_PER_DEGREE
    lines = shapely.MultiLineString(ends.tolist())
    return Finding(kind=FindingKind.UNMATCHED, parent=parent, cells=(), area_m2=0.0, where=lines)


def areal(shape: BaseGeometry) -> BaseGeometry:
    """Keep what has an area: two cells that share an edge intersect in a line, which is as it should be."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0]
    return shapely.MultiPolygon(parts)


def _listed(finding: Finding | None) -> list[Finding]:
    return [] if finding is None else [finding]

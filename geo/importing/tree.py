"""Parents and paths: from a heap of cells to a tree whose every level tiles the one above."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.cells import CellKind
from geo.coordinates import GRID_PER_DEGREE, snap_to_grid
from geo.importing.attributes import CellAttributes
from geo.importing.faults import Fault, FaultCode, Note, NoteCode, refuse


class ParentRule(StrEnum):
    """Where a cell's parent is written: nowhere, in a column, or in the beginning of its own code."""

    NONE = "none"
    COLUMN = "column"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapedCell:
    """Attributes with their boundary. SRID: 4326."""

    attributes: CellAttributes
    boundary: BaseGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class RootedCell:
    """A cell that knows its parent and its path (codes from level 1 down to itself)."""

    attributes: CellAttributes
    boundary: BaseGeometry
    parent: str | None
    path: tuple[str, ...]


def dissolve(cells: Sequence[ShapedCell], lengths: Mapping[int, int]) -> tuple[list[ShapedCell], list[Note]]:
    """Make parent cells by joining all cells of the level below whose codes begin alike.

    ``lengths`` maps code length to the level to make, ``{6: 1}``. Levels are made from the deepest up, so that 9:2 and
    6:1 work together. Shared edges are taken over vertex by vertex (coverage union), never recomputed; where the cells
    do not match edge by edge an ordinary union on the 1e-7° grid is used and a note says so.

    Raises
    ------
    FileRefusedError
        No cell of the level below exists, or a code is not longer than the prefix asked for.
    """
    made: list[ShapedCell] = list(cells)
    notes: list[Note] = []
    for length, level in sorted(lengths.items(), key=lambda item: -item[1]):
        groups: dict[str, list[ShapedCell]] = defaultdict(list)
        for cell in made:
            if cell.attributes.level == level + 1:
                if len(cell.attributes.code) <= length:
                    raise refuse(FaultCode.OPTION_CONFLICT, first="--dissolve", second=cell.attributes.code)
                groups[cell.attributes.code[:length]].append(cell)
        if not groups or any(cell.attributes.level == level for cell in made):
            raise refuse(FaultCode.OPTION_CONFLICT, first="--dissolve", second=f"{length}:{level}")
        inexact = 0
        for code in sorted(groups):
            boundary, is_exact = _join([cell.boundary for cell in groups[code]])
            inexact += not is_exact
            made.append(ShapedCell(attributes=_joined(code, level, groups[code]), boundary=boundary))
        notes.append(Note(code=NoteCode.DISSOLVED, count=len(groups), params={"level": level}))
        if inexact:
            notes.append(Note(code=NoteCode.DISSOLVED_INEXACT, count=inexact, params={"level": level}))
    return made, notes


def _joined(code: str, level: int, parts: Sequence[ShapedCell]) -> CellAttributes:
    attributes = [part.attributes for part in parts]
    population = [each.population for each in attributes]
    households = [each.households for each in attributes]
    return CellAttributes(
        number=None,
        code=code,
        name_zh=next((each.parent_name_zh for each in attributes if each.parent_name_zh), ""),
        name_en=next((each.parent_name_en for each in attributes if each.parent_name_en), ""),
        kind=CellKind.ORDINARY,
        level=level,
        parent=None,
        # A sum over an unknown would look like a fact; unknown stays unknown.
        population=None if None in population else sum(filter(None, population)),
        households=None if None in households else sum(filter(None, households)),
    )


def _join(boundaries: Sequence[BaseGeometry]) -> tuple[BaseGeometry, bool]:
    polygons = shapely.get_parts(np.array(boundaries, dtype=object))
    is_exact = bool(shapely.coverage_is_valid(polygons))
    if is_exact:
        joined = shapely.coverage_union_all(polygons)
    else:
        joined = shapely.union_all(polygons, grid_size=1 / GRID_PER_DEGREE)
        joined = shapely.transform(joined, snap_to_grid)
    joined = shapely.orient_polygons(joined, exterior_cw=False)
    return shapely.MultiPolygon(shapely.get_parts(joined).tolist()), is_exact


def root(
    cells: Sequence[ShapedCell], rule: ParentRule, dissolved: Mapping[int, int]
) -> tuple[list[RootedCell], list[Fault]]:
    """Give every cell its parent and path, parents before children.

    Returns
    -------
    list of RootedCell
        By level, then code. Empty when there are faults.
    list of Fault
        ``import.orphan`` (no such parent), ``import.parent_level`` (the parent is not exactly one level above).
    """
    by_code = {cell.attributes.code: cell for cell in cells}
    lengths_of = defaultdict(set)
    for cell in cells:
        lengths_of[cell.attributes.level].add(len(cell.attributes.code))
    made_levels = set(dissolved.values())
    rooted: dict[str, RootedCell] = {}
    faults: list[Fault] = []
    for cell in sorted(cells, key=lambda each: (each.attributes.level, each.attributes.code)):
        attributes = cell.attributes
        if attributes.level == 1:
            if rule is ParentRule.COLUMN and attributes.parent not in (None, attributes.code):
                faults.append(_fault(FaultCode.PARENT_LEVEL, attributes, attributes.parent or ""))
                continue
            parent = None
        else:
            # A level that was made by dissolving is found by the same prefix it was made from.
            by_prefix = rule is ParentRule.CODE or attributes.level - 1 in made_levels
            wanted = _prefix_parent(attributes, by_code, lengths_of[attributes.level - 1]) if by_prefix else None
            wanted = wanted if by_prefix else attributes.parent
            if wanted is None or wanted not in by_code or wanted == attributes.code:
                faults.append(_fault(FaultCode.ORPHAN, attributes, wanted or "–"))
                continue
            if by_code[wanted].attributes.level != attributes.level - 1:
                faults.append(_fault(FaultCode.PARENT_LEVEL, attributes, wanted))
                continue
            if wanted not in rooted:
                continue  # the parent itself is at fault, and saying so once is enough
            parent = wanted
        path = (*(rooted[parent].path if parent is not None else ()), attributes.code)
        rooted[attributes.code] = RootedCell(
            attributes=replace(attributes, parent=parent), boundary=cell.boundary, parent=parent, path=path
        )
    return ([] if faults else list(rooted.values())), faults


def _prefix_parent(attributes: CellAttributes, by_code: Mapping[str, ShapedCell], lengths: set[int]) -> str | None:
    code = attributes.code
    for length in sorted((each for each in lengths if each < len(code)), reverse=True):
        candidate = by_code.get(code[:length])
        if candidate is not None and candidate.attributes.level == attributes.level - 1:
            return code[:length]
    return None


def _fault(code: FaultCode, attributes: CellAttributes, parent: str) -> Fault:
    return Fault(code=code, feature=attributes.number, params={"value": attributes.code, "parent": parent})

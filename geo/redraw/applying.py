"""Applying an operation to a patch: geometry, tree and lineage, and the proof that the result still tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from geo.errors import BadInputError
from geo.redraw.cutting import cut, join, shared_length
from geo.redraw.operations import (
    Add,
    Edit,
    Lineage,
    Merge,
    MoveBoundary,
    NewCell,
    Operation,
    Position,
    Reassign,
    Retire,
    Split,
)
from geo.redraw.patch import DraftCell, Patch, Point, as_multi, rings
from geo.redraw.proving import given_up, prove
from geo.redraw.vertices import insert_everywhere

_SMALLEST_SHARE = 1e-6
_LARGEST = 1_000_000_000
"""Beyond it products of differences would leave 64 bits. Units: grid."""


def apply(patch: Patch, operation: Operation, area_m2: Callable[[BaseGeometry], float]) -> list[Lineage]:
    """Change a patch by one operation.

    Parameters
    ----------
    area_m2
        Measure of an area. SRID: 4326 in, m² out.

    Raises
    ------
    BadInputError
        ``geo.redraw_…`` with the JSON pointer of the field, and the position where there is one. The patch is then of
        no more use.
    """
    try:
        touched = _apply(patch, operation)
    except BadInputError as error:
        grid: Point | None = error.params.pop("grid", None)
        if grid is None:
            raise
        lon, lat = patch.to_degrees(grid)
        raise BadInputError(error.code, pointer=error.pointer, **error.params, lon=lon, lat=lat) from None
    except shapely.errors.GEOSException as error:
        raise given_up(patch) from error
    patch.renew_paths()
    prove(patch, area_m2)
    return _lineage(patch, touched)


def _apply(patch: Patch, operation: Operation) -> set[str]:
    """Do it; return the codes, old and new, whose lineage is told."""
    match operation:
        case Split():
            return _split(patch, operation)
        case Merge():
            return _merge(patch, operation)
        case MoveBoundary():
            return _move_boundary(patch, operation)
        case Reassign():
            return _reassign(patch, operation)
        case Retire():
            return _retire(patch, operation)
        case Edit():
            return _edit(patch, operation)
        case Add():
            return _add(patch, operation)
    assert_never(operation)


def _split(patch: Patch, op: Split) -> set[str]:
    old = patch.cell(op.cell, "/cell")
    children = patch.children(op.cell)
    _free(patch, [part.code for part in op.into], {op.cell}, "/into")
    shapes: tuple[MultiPolygon, MultiPolygon]
    if children:
        if op.line:
            raise BadInputError("geo.redraw_has_children", pointer="/line", cell=op.cell, children=len(children))
        shapes = _split_by_children(patch, op, {child.code for child in children})
    else:
        found = cut(old.shape, _line(patch, op.line))
        insert_everywhere(patch, found.nodes)
        shapes = (found.left, found.right)
    del patch.cells[op.cell]
    for part, shape in zip(op.into, shapes, strict=True):
        patch.put(_new(part, old.level, old.parent, old.path[:-1], shape))
        for child in part.children:
            patch.cells[child] = replace(patch.cells[child], parent=part.code)
    return {op.cell, *(part.code for part in op.into)}


def _split_by_children(patch: Patch, op: Split, children: set[str]) -> tuple[MultiPolygon, MultiPolygon]:
    seen: set[str] = set()
    for at, part in enumerate(op.into):
        for place, code in enumerate(part.children):
            if code not in children or code in seen:
                raise BadInputError(
                    "geo.redraw_not_a_child", pointer=f"/into/{at}/children/{place}", cell=code[:80], parent=op.cell
                )
            seen.add(code)
        if not part.children:
            raise BadInputError("geo.redraw_children_missing", pointer=f"/into/{at}/children", cell=op.cell)
    if children - seen:
        raise BadInputError("geo.redraw_children_left", pointer="/into", cells=sorted(children - seen))
    first, second = (join([patch.cells[code].shape for code in part.children]) for part in op.into)
    return first, second


def _merge(patch: Patch, op: Merge) -> set[str]:
    cells = [patch.cell(code, f"/cells/{at}") for at, code in enumerate(op.cells)]
    for at, cell in enumerate(cells[1:], 1):
        if cell.parent != cells[0].parent or cell.level != cells[0].level:
            raise BadInputError(
                "geo.redraw_different_parents", pointer=f"/cells/{at}", first=cells[0].code, second=cell.code
            )
    if len(set(op.cells)) != len(op.cells):
        raise BadInputError("geo.redraw_same_cell", pointer="/cells", cell=op.cells[0])
    _alike_below(patch, cells, "/cells")
    _free(patch, [op.into.code], set(op.cells), "/into", is_list=False)
    shape = join([cell.shape for cell in cells])
    if len(shape.geoms) > max(len(cell.shape.geoms) for cell in cells):
        raise BadInputError("geo.redraw_not_neighbours", pointer="/cells", first=op.cells[0], second=op.cells[-1])
    children = [child.code for cell in cells for child in patch.children(cell.code)]
    for cell in cells:
        del patch.cells[cell.code]
    made = _new(op.into, cells[0].level, cells[0].parent, cells[0].path[:-1], shape)
    patch.put(
        replace(
            made,
            population=_total([cell.population for cell in cells]) if made.population is None else made.population,
            households=_total([cell.households for cell in cells]) if made.households is None else made.households,
        )
    )
    for child in children:
        patch.cells[child] = replace(patch.cells[child], parent=op.into.code)
    return {*op.cells, op.into.code}


def _move_boundary(patch: Patch, op: MoveBoundary) -> set[str]:
    first, second = (patch.cell(code, f"/cells/{at}") for at, code in enumerate(op.cells))
    _neighbours(first, second, "/cells")
    for at, cell in enumerate((first, second)):
        below = patch.children(cell.code)
        if below:
            raise BadInputError("geo.redraw_has_children", pointer=f"/cells/{at}", cell=cell.code, children=len(below))
    found = cut(join([first.shape, second.shape]), _line(patch, op.line))
    insert_everywhere(patch, found.nodes)
    # Who keeps which side: the one of the two ways that leaves more area where it was.
    kept = first.shape.intersection(found.left).area + second.shape.intersection(found.right).area
    swapped = first.shape.intersection(found.right).area + second.shape.intersection(found.left).area
    sides = (found.left, found.right) if kept >= swapped else (found.right, found.left)
    for cell, side in zip((first, second), sides, strict=True):
        patch.reshape(cell.code, side)
    return {*op.cells, *_rebuild(patch, [first.parent, second.parent])}


def _reassign(patch: Patch, op: Reassign) -> set[str]:
    cell, target = patch.cell(op.cell, "/cell"), patch.cell(op.parent, "/parent")
    if cell.parent is None or target.level != cell.level - 1:
        raise BadInputError("geo.redraw_parent_level", pointer="/parent", cell=op.cell, level=cell.level - 1)
    if cell.parent == op.parent:
        raise BadInputError("geo.redraw_same_cell", pointer="/parent", cell=op.parent)
    if shared_length(cell.shape, target.shape) <= 0:
        raise BadInputError("geo.redraw_not_neighbours", pointer="/parent", first=op.cell, second=op.parent)
    old = cell.parent
    patch.cells[op.cell] = replace(cell, parent=op.parent)
    if not patch.children(old):
        raise BadInputError("geo.redraw_parent_empty", pointer="/cell", cell=op.cell, parent=old)
    return {op.cell, *_rebuild(patch, [old, op.parent])}


def _retire(patch: Patch, op: Retire) -> set[str]:
    cell, heir = patch.cell(op.cell, "/cell"), patch.cell(op.to, "/to")
    _neighbours(cell, heir, "/to")
    _alike_below(patch, [cell, heir], "/to")
    children = patch.children(op.cell)
    del patch.cells[op.cell]
    if cell.parent is not None and cell.parent != heir.parent and not patch.children(cell.parent):
        raise BadInputError("geo.redraw_parent_empty", pointer="/cell", cell=op.cell, parent=cell.parent)
    for child in children:
        patch.cells[child.code] = replace(child, parent=op.to)
    patch.cells[op.to] = replace(
        heir,
        shape=join([cell.shape, heir.shape]),
        population=_total([cell.population, heir.population]),
        households=_total([cell.households, heir.households]),
    )
    return {op.cell, op.to, *_rebuild(patch, [cell.parent, heir.parent])}


def _edit(patch: Patch, op: Edit) -> set[str]:
    cell = patch.cell(op.cell, "/cell")
    code = str(op.changes.get("code", op.cell))
    if code != op.cell:
        _free(patch, [code], {op.cell}, "/set", is_list=False)
        for child in patch.children(op.cell):
            patch.cells[child.code] = replace(child, parent=code)
        del patch.cells[op.cell]
    patch.cells[code] = replace(cell, **dict(op.changes))
    return {op.cell, code}


def _add(patch: Patch, op: Add) -> set[str]:
    _free(patch, [op.into.code], set(), "/into", is_list=False)
    if op.parent is not None:
        above = patch.cell(op.parent, "/parent")
        if patch.children(op.parent):
            raise BadInputError("geo.redraw_has_children", pointer="/parent", cell=op.parent, children=1)
        patch.put(_new(op.into, above.level + 1, op.parent, above.path, above.shape))
        return {op.into.code}
    if not op.rings:
        raise BadInputError("geo.redraw_bad_polygon", pointer="/boundary", reason="–")
    drawn = [[patch.to_local(*position) for position in ring] for ring in op.rings]
    polygon = Polygon(drawn[0], drawn[1:])
    west, south, east, north = polygon.bounds
    if max(east - west, north - south) > _LARGEST:
        raise BadInputError("geo.redraw_bad_polygon", pointer="/boundary", reason="> 100°")
    if not polygon.is_valid or polygon.area == 0:
        raise BadInputError("geo.redraw_bad_polygon", pointer="/boundary", reason=shapely.is_valid_reason(polygon))
    shape = as_multi(polygon)
    for other in patch.children(None):
        if shape.intersection(other.shape).area > 0:
            raise BadInputError("geo.redraw_overlaps", pointer="/boundary", cell=other.code)
    patch.put(_new(op.into, 1, None, (), shape))
    insert_everywhere(patch, {(int(x), int(y)) for ring in rings(shape) for x, y in ring.tolist()})
    return {op.into.code}


def _rebuild(patch: Patch, parents: Sequence[str | None]) -> set[str]:
    """Make parents the union of their children, upwards until both lines of ancestors meet; return their codes."""
    done: set[str] = set()
    level = {parent for parent in parents if parent is not None}
    while len(level) > 1:
        for code in level:
            patch.reshape(code, join([child.shape for child in patch.children(code)]))
        done |= level
        level = {above for code in level if (above := patch.cells[code].parent) is not None}
    return done


def _neighbours(first: DraftCell, second: DraftCell, pointer: str) -> None:
    if first.code == second.code:
        raise BadInputError("geo.redraw_same_cell", pointer=pointer, cell=first.code)
    if first.level != second.level:
        raise BadInputError("geo.redraw_different_levels", pointer=pointer, first=first.code, second=second.code)
    if shared_length(first.shape, second.shape) <= 0:
        raise BadInputError("geo.redraw_not_neighbours", pointer=pointer, first=first.code, second=second.code)


def _alike_below(patch: Patch, cells: Sequence[DraftCell], pointer: str) -> None:
    """All divided or none: joined with an undivided cell, a divided one would no longer be tiled by its children."""
    divided = [bool(patch.children(cell.code)) for cell in cells]
    if any(divided) and not all(divided):
        raise BadInputError("geo.redraw_divided_unlike", pointer=pointer, cell=cells[divided.index(False)].code)


def _free(patch: Patch, codes: Sequence[str], own: set[str], pointer: str, *, is_list: bool = True) -> None:
    seen: set[str] = set()
    for at, code in enumerate(codes):
        if code in seen or (code in patch.cells and code not in own):
            where = f"{pointer}/{at}/code" if is_list else f"{pointer}/code"
            raise BadInputError("geo.redraw_code_taken", pointer=where, cell=code[:80])
        seen.add(code)


def _new(part: NewCell, level: int, parent: str | None, above: tuple[str, ...], shape: MultiPolygon) -> DraftCell:
    return DraftCell(
        code=part.code,
        level=level,
        parent=parent,
        path=(*above, part.code),
        shape=shape,
        name_zh=part.name_zh,
        name_en=part.name_en,
        kind=part.kind,
        population=part.population,
        households=part.households,
    )


def _total(numbers: Sequence[int | None]) -> int | None:
    # A sum with an unknown part is unknown, not small.
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _line(patch: Patch, line: Sequence[Position]) -> list[Point]:
    points: list[Point] = []
    for lon, lat in line:
        point = patch.to_local(lon, lat)
        if not points or points[-1] != point:
            points.append(point)
    if len(points) < 2:
        raise BadInputError("geo.redraw_line_misses", pointer="/line")
    return points


def _lineage(patch: Patch, touched: set[str]) -> list[Lineage]:
    """Which old cell lies in which new one, by area, among the cells an operation concerns."""
    old = [patch.before[code] for code in sorted(touched) if code in patch.before]
    new = [patch.cells[code] for code in sorted(touched) if code in patch.cells]
    found = []
    for before in old:
        for after in new:
            if before.level != after.level:
                continue
            share = before.shape.intersection(after.shape).area / before.shape.area
            if share > _SMALLEST_SHARE:
                found.append(Lineage(from_code=before.code, to_code=after.code, share=min(share, 1.0)))
    return found

"""Check, flatten, convert, snap and wind the polygons of a file; name every fault, repair nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from geo.coordinates import CHINA_BOX, snap_to_grid
from geo.importing.faults import Fault, FaultCode, Note, NoteCode
from geo.importing.features import RawFeature
from geo.importing.frames import Frame, Pairs

_POLYGON, _MULTIPOLYGON = 3, 6
_REASON = re.compile(r"^(?P<reason>[^\[]+?)\s*(?:\[(?P<x>\S+) (?P<y>[^\s\]]+).*\])?$")
_REASONS: Mapping[str, FaultCode] = {
    "Self-intersection": FaultCode.RING_SELF_CROSSING,
    "Ring Self-intersection": FaultCode.RING_SELF_TOUCHING,
    "Hole lies outside shell": FaultCode.HOLE_OUTSIDE,
    "Holes are nested": FaultCode.HOLES_NESTED,
    "Interior is disconnected": FaultCode.INTERIOR_SPLIT,
    "Nested shells": FaultCode.PARTS_NESTED,
    "Duplicate Rings": FaultCode.RING_REPEATED,
    "Too few points in geometry component": FaultCode.RING_TOO_SHORT,
    "Invalid Coordinate": FaultCode.COORDINATE_NOT_FINITE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedShapes:
    """Boundaries by feature number, with what was found on the way.

    Shape: MultiPolygon, outer rings counter-clockwise. SRID: 4326, vertices on the 1e-7° grid.
    """

    boundaries: Mapping[int, BaseGeometry]
    faults: Sequence[Fault]
    notes: Sequence[Note]


def check_shapes(features: Sequence[RawFeature], frame: Frame) -> CheckedShapes:
    """Turn the file's geometries into stored boundaries, or say why not.

    At most one fault per feature is given, the first in the order: kind, emptiness, position, shape, conversion.
    Cost: vectorised; about 20 µs per feature of ten vertices.
    """
    faults: list[Fault] = []
    notes: list[Note] = []
    present = [feature for feature in features if feature.geometry is not None]
    numbers = np.array([feature.number for feature in present], dtype=np.int64)
    shapes = np.array([feature.geometry for feature in present], dtype=object)
    if not len(shapes):
        return CheckedShapes(boundaries={}, faults=faults, notes=notes)

    kind = shapely.get_type_id(shapes)
    for index in np.flatnonzero((kind != _POLYGON) & (kind != _MULTIPOLYGON)):
        found = shapes[index].geom_type
        faults.append(Fault(code=FaultCode.NOT_POLYGON, feature=int(numbers[index]), params={"found": found}))
    keep = (kind == _POLYGON) | (kind == _MULTIPOLYGON)
    numbers, shapes = numbers[keep], shapes[keep]

    empty = shapely.is_empty(shapes)
    faults += [Fault(code=FaultCode.EMPTY_GEOMETRY, feature=int(number)) for number in numbers[empty]]
    numbers, shapes = numbers[~empty], shapes[~empty]

    solid = shapely.has_z(shapes)
    if solid.any():
        notes.append(_note(NoteCode.FLATTENED, numbers[solid]))
        shapes = shapely.force_2d(shapes)

    numbers, shapes = _positions(numbers, shapes, frame, faults)
    numbers, shapes = _validity(numbers, shapes, faults, None)
    numbers, shapes = _convert(numbers, shapes, frame, faults, notes)
    wound = shapely.orient_polygons(shapes, exterior_cw=False)
    changed = ~shapely.equals_identical(wound, shapes)
    if changed.any():
        notes.append(_note(NoteCode.WINDING, numbers[changed]))
    boundaries = {
        int(number): shape if shape.geom_type == "MultiPolygon" else shapely.MultiPolygon([shape])
        for number, shape in zip(numbers, wound, strict=True)
    }
    return CheckedShapes(boundaries=boundaries, faults=faults, notes=notes)


def _note(code: NoteCode, numbers: npt.NDArray[np.int64], **params: str | int | float) -> Note:
    return Note(code=code, count=len(numbers), features=tuple(int(number) for number in numbers), params=params)


def _positions(
    numbers: npt.NDArray[np.int64], shapes: Any, frame: Frame, faults: list[Fault]
) -> tuple[npt.NDArray[np.int64], Any]:
    """Refuse positions that cannot be what the declared system says; report the first bad vertex of each feature."""
    pairs, owner = shapely.get_coordinates(shapes, return_index=True)
    x, y = pairs[:, 0], pairs[:, 1]
    wrong = np.zeros(len(pairs), dtype=np.int8)
    if frame.is_geographic:
        wrong[np.abs(y) > 90] = 2
        # A latitude that only fits as a longitude, or a pair outside China whose mirror lies inside.
        wrong[(np.abs(y) > 90) & (np.abs(y) <= 180) & (np.abs(x) <= 90)] = 3
        wrong[_in_china(y, x) & ~_in_china(x, y)] = 3
        wrong[np.abs(x) > 180] = 1
    else:
        wrong[_within_degrees(pairs, owner, len(shapes))[owner]] = 4
    wrong[~np.isfinite(pairs).all(axis=1)] = 5
    codes = {
        1: FaultCode.LONGITUDE_OUT_OF_RANGE,
        2: FaultCode.LATITUDE_OUT_OF_RANGE,
        3: FaultCode.AXES_SWAPPED,
        4: FaultCode.LOOKS_LIKE_DEGREES,
        5: FaultCode.COORDINATE_NOT_FINITE,
    }
    bad = np.flatnonzero(wrong)
    first_of, first_at = np.unique(owner[bad], return_index=True)
    for index, at in zip(first_of, bad[first_at], strict=True):
        where = (float(x[at]), float(y[at]))
        position = where if np.isfinite(where).all() else None
        faults.append(Fault(code=codes[int(wrong[at])], feature=int(numbers[index]), position=position))
    fine = np.ones(len(shapes), dtype=bool)
    fine[first_of] = False
    return numbers[fine], shapes[fine]


def _in_china(lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    west, south, east, north = CHINA_BOX
    inside: npt.NDArray[np.bool_] = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    return inside


def _within_degrees(pairs: Pairs, owner: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.bool_]:
    """Features of a projected file whose every vertex would also fit as degrees: a wrong declaration, in practice."""
    outside = (np.abs(pairs[:, 0]) > 180) | (np.abs(pairs[:, 1]) > 90)
    within = np.ones(count, dtype=bool)
    within[owner[outside]] = False
    return within


def _validity(
    numbers: npt.NDArray[np.int64], shapes: Any, faults: list[Fault], code: FaultCode | None
) -> tuple[npt.NDArray[np.int64], Any]:
    """Refuse shapes that break the rules of simple features.

    ``code`` overrides the reason's own code: after snapping, whatever broke was broken by snapping.
    """
    valid = shapely.is_valid(shapes)
    for index in np.flatnonzero(~valid):
        found = _REASON.match(shapely.is_valid_reason(shapes[index]))
        reason = found["reason"] if found else "?"
        position = (float(found["x"]), float(found["y"])) if found and found["x"] else None
        faults.append(
            Fault(
                code=code or _named(reason, shapes[index]),
                feature=int(numbers[index]),
                position=position,
                params={"reason": reason},
            )
        )
    return numbers[valid], shapes[valid]


def _named(reason: str, shape: BaseGeometry) -> FaultCode:
    # To GEOS a part that is there twice crosses itself, which sends the user looking for a crossing that is not there.
    parts = [shapely.to_wkb(part) for part in shapely.get_parts(shapely.normalize(shape))]
    if len(set(parts)) < len(parts):
        return FaultCode.RING_REPEATED
    return _REASONS.get(reason, FaultCode.SHAPE_INVALID)


def _convert(
    numbers: npt.NDArray[np.int64], shapes: Any, frame: Frame, faults: list[Fault], notes: list[Note]
) -> tuple[npt.NDArray[np.int64], Any]:
    pairs, owner = shapely.get_coordinates(shapes, return_index=True)
    if not len(pairs):
        return numbers, shapes
    converted = frame.to_wgs84(pairs)
    lost = np.flatnonzero(~np.isfinite(converted).all(axis=1))
    first_of, first_at = np.unique(owner[lost], return_index=True)
    for index, at in zip(first_of, lost[first_at], strict=True):
        position = (float(pairs[at, 0]), float(pairs[at, 1]))
        faults.append(Fault(code=FaultCode.NOT_TRANSFORMABLE, feature=int(numbers[index]), position=position))
    fine = np.ones(len(shapes), dtype=bool)
    fine[first_of] = False
    # One rounding per vertex, the same for equal vertices: that keeps a shared edge shared.
    snapped = snap_to_grid(converted)
    moved = int(np.count_nonzero((snapped != converted).any(axis=1)))
    if moved:
        notes.append(Note(code=NoteCode.SNAPPED, count=moved))
    rest = snapped[np.isin(owner, np.flatnonzero(fine))]
    numbers, shapes = numbers[fine], shapes[fine]
    placed = shapely.set_coordinates(shapes.copy(), rest)
    numbers, placed = _validity(numbers, placed, faults, FaultCode.COLLAPSED)
    # Two vertices that fall on one grid point are one vertex; the neighbour across the edge loses the same one.
    slim = shapely.remove_repeated_points(placed, tolerance=0)
    fewer = shapely.get_num_coordinates(slim) != shapely.get_num_coordinates(placed)
    if fewer.any():
        notes.append(_note(NoteCode.REPEATED_VERTEX, numbers[fewer]))
    return numbers, slim

"""Cell outlines small enough to travel inside a page.

GeoJSON of 20,000 cells weighs 18.7 MB. Here coordinates are rounded to 1e-5° (1.1 m), outlines are simplified together
so that shared edges stay shared, and rings are written as differences in a printable alphabet (the "encoded polyline"
notation): about two characters per number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

__all__ = ["COORDINATE_STEP", "EncodedOutlines", "decode_rings", "encode_outlines"]

#: SRID: 4326. Units: degrees.
COORDINATE_STEP: Final = 1e-5
#: Tolerances of the simplification, tried in turn until the outlines fit. Units: degrees (2 to 170 m).
_TOLERANCES: Final = (0.0, 2e-5, 4e-5, 6e-5, 9e-5, 1.3e-4, 2e-4, 3e-4, 4.5e-4, 7e-4, 1e-3, 1.5e-3)
#: Characters that a vertex needs at the least; spares the encoding of what cannot fit.
_PER_VERTEX: Final = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedOutlines:
    """Outlines of the cells of one level, in the order in which they were given.

    Attributes
    ----------
    shapes
        One text per cell: polygons divided by ``;``, the rings of a polygon by ``,``. Neither sign is in the alphabet
        of the numbers.
    west, south, east, north
        Extent. SRID: 4326.
    tolerance_m
        How far a drawn edge may lie from the true one. Units: metres.
    """

    shapes: tuple[str, ...]
    west: float
    south: float
    east: float
    north: float
    tolerance_m: float

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to draw."""
        return not any(self.shapes)


def encode_outlines(boundaries: Sequence[BaseGeometry], *, budget_bytes: int = 700_000) -> EncodedOutlines:
    """Encode boundaries, simplified no more than the budget asks for.

    Parameters
    ----------
    boundaries
        Polygons or multipolygons of one level; they should tile (shared edges with the same vertices). SRID: 4326.
    budget_bytes
        What the texts may weigh together. With the last tolerance they may stay above it.

    Returns
    -------
    EncodedOutlines
        A cell never disappears: one that would shrink to nothing keeps its unsimplified outline.

    Notes
    -----
    Boundary: a vertex that two cells share is rounded once, to the same place, for both, so no slit opens.
    Cost: about 1 s for 20,000 blocks; the result depends on the grid version only, so callers keep it.
    """
    array = np.array(list(boundaries), dtype=object)
    if array.size == 0:
        return EncodedOutlines(shapes=(), west=0.0, south=0.0, east=0.0, north=0.0, tolerance_m=0.0)
    west, south, east, north = (float(value) for value in shapely.total_bounds(array))
    for tolerance in _TOLERANCES:
        simplified = array if tolerance == 0.0 else shapely.coverage_simplify(array, tolerance)
        vertices = int(shapely.get_num_coordinates(simplified).sum())
        if vertices * _PER_VERTEX > budget_bytes and tolerance != _TOLERANCES[-1]:
            continue
        shapes = tuple(_encode_shape(new, old) for new, old in zip(simplified, array, strict=True))
        if sum(map(len, shapes)) <= budget_bytes:
            break
    return EncodedOutlines(
        shapes=shapes, west=west, south=south, east=east, north=north, tolerance_m=round(tolerance * 111_320, 1)
    )


def _encode_shape(simplified: BaseGeometry, original: BaseGeometry) -> str:
    return _encode(simplified) or _encode(original)


def _encode(geometry: BaseGeometry) -> str:
    polygons = []
    for polygon in shapely.get_parts(geometry):
        rings = [_encode_ring(ring) for ring in (polygon.exterior, *polygon.interiors)]
        if rings[0]:
            polygons.append(",".join(ring for ring in rings if ring))
    return ";".join(polygons)


def _encode_ring(ring: BaseGeometry) -> str:
    """Encode a ring without its closing vertex; empty when fewer than three places are left."""
    places = np.rint(shapely.get_coordinates(ring)[:-1] / COORDINATE_STEP).astype(np.int64)
    if len(places) == 0:
        return ""
    moved = np.any(places != np.roll(places, 1, axis=0), axis=1)
    places = places[moved]
    if len(places) < 3:
        return ""
    steps = np.diff(places, axis=0, prepend=np.zeros((1, 2), dtype=np.int64)).ravel().tolist()
    return "".join([_SHORT.get(step) or _encode_number(step) for step in steps])


# 62 signs: digits and letters need no escaping in HTML, JSON or script. A number is written in base 31, lowest digit
# first; a digit of the upper half says that another one follows. Sign goes into the lowest bit (0, -1, 1, -2, …).
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HALF: Final = 31
_VALUES: Final = {sign: value for value, sign in enumerate(_ALPHABET)}


def _encode_number(number: int) -> str:
    rest = 2 * number if number >= 0 else -2 * number - 1
    signs = []
    while rest >= _HALF:
        signs.append(_ALPHABET[_HALF + rest % _HALF])
        rest //= _HALF
    signs.append(_ALPHABET[rest])
    return "".join(signs)


_SHORT: Final = {number: _encode_number(number) for number in range(-1000, 1001)}


def decode_rings(shape: str) -> list[list[list[tuple[float, float]]]]:
    """Read a shape back: polygons of rings of (lon, lat), without the closing vertex.

    The page's script does the same; this one is for tests and exports.
    """
    return [[_decode_ring(ring) for ring in polygon.split(",")] for polygon in shape.split(";") if polygon]


def _decode_ring(text: str) -> list[tuple[float, float]]:
    numbers: list[int] = []
    total, factor = 0, 1
    for sign in text:
        value = _VALUES[sign]
        total += (value % _HALF) * factor
        factor *= _HALF
        if value < _HALF:
            numbers.append(total // 2 if total % 2 == 0 else -(total + 1) // 2)
            total, factor = 0, 1
    lon = np.cumsum(numbers[0::2])
    lat = np.cumsum(numbers[1::2])
    digits = round(-math.log10(COORDINATE_STEP))
    return [
        (round(x * COORDINATE_STEP, digits), round(y * COORDINATE_STEP, digits)) for x, y in zip(lon, lat, strict=True)
    ]

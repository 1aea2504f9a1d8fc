"""Coordinate systems of positions in China, their conversion, and the 1e-7° grid on which places are compared.

Phones and web maps in China speak GCJ-02 or BD-09; the shift is 568 m at Zhengzhou, more than a cell is wide. The
formulas are the published ones; libraries for them are abandoned, so they are our own and tested against the npm
package ``gcoord``. Every function takes numbers or NumPy arrays and gives back the same.

Source: the GCJ-02 and BD-09 formulas as found by reverse engineering, see
https://en.wikipedia.org/wiki/Restrictions_on_geographic_data_in_China
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from geo.errors import BadInputError, Fault

SRID_WGS84 = 4326
SRID_CGCS2000 = 4490
SRID_WEB_MERCATOR = 3857

GRID_PER_DEGREE = 10_000_000
"""Stored positions are whole multiples of 1e-7° (11 mm), which makes "exactly on an edge" a question of integers."""

CHINA_BOX = (72.004, 0.8293, 137.8347, 55.8271)
"""West, south, east, north of the area in which GCJ-02 is shifted. Boundary: included. Units: degrees."""

_SEMI_MAJOR_M = 6_378_245.0
_ECCENTRICITY_2 = 0.00669342162296594323
_BD_LON, _BD_LAT = 0.0065, 0.006
_BD_WAVE = math.pi * 3000.0 / 180.0
_CLOSE_ENOUGH_DEG = 2e-12
"""Residual at which to stop. On the 105th meridian an error e in longitude enters the latitude as its square root
(0.2 m × √e), so 1e-10° would not do: it leaves 2 µm there."""
_MAX_ROUNDS = 30

Number = TypeVar("Number", float, npt.NDArray[np.float64])
Shift = Callable[[Any, Any, Any], tuple[Any, Any]]


class CoordSys(StrEnum):
    """The system in which a pair of numbers was given; a required field of every report."""

    WGS84 = "wgs84"
    CGCS2000 = "cgcs2000"
    GCJ02 = "gcj02"
    BD09 = "bd09"


def is_in_china_box(lon: float, lat: float) -> bool:
    """Whether GCJ-02 shifts this position: the field's own rectangle, not a border. Boundary: included."""
    west, south, east, north = CHINA_BOX
    return west <= lon <= east and south <= lat <= north


def check_position(lon: float, lat: float) -> None:
    """Refuse a pair that cannot be a position.

    Raises
    ------
    BadInputError
        ``geo.coordinate_not_finite``, ``geo.longitude_out_of_range``, ``geo.latitude_out_of_range``, or
        ``geo.axes_swapped`` when the pair lies outside China and its mirror inside (the price: a strip of the Arctic
        ocean between 72° and 90° north is refused).

    Examples
    --------
    >>> check_position(113.617, 34.754)
    >>> check_position(34.754, 113.617)
    Traceback (most recent call last):
    geo.errors.BadInputError: geo.axes_swapped(lon=34.754, lat=113.617)
    """
    if is_in_china_box(lon, lat):
        return
    for fault in position_faults(lon, lat):
        raise BadInputError(fault.code, pointer=fault.pointer, **fault.params)


def position_faults(lon: float, lat: float) -> list[Fault]:
    """Everything for which `check_position` would refuse a pair, at the fields ``/lon`` and ``/lat``.

    Examples
    --------
    >>> [fault.code for fault in position_faults(999.0, 95.0)]
    ['geo.longitude_out_of_range', 'geo.latitude_out_of_range']
    """
    if not (math.isfinite(lon) and math.isfinite(lat)):
        # NaN and infinity are not JSON, so they travel as text.
        return [Fault(code="geo.coordinate_not_finite", pointer="/lon", params={"lon": str(lon), "lat": str(lat)})]
    if is_in_china_box(lon, lat):
        return []
    pair = {"lon": lon, "lat": lat}
    if is_in_china_box(lat, lon):
        return [Fault(code="geo.axes_swapped", pointer="/lon", params=pair)]
    faults = []
    if not -180.0 <= lon <= 180.0:
        faults.append(Fault(code="geo.longitude_out_of_range", pointer="/lon", params=pair))
    if not -90.0 <= lat <= 90.0:
        faults.append(Fault(code="geo.latitude_out_of_range", pointer="/lat", params=pair))
    return faults


def to_grid(degrees: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Degrees as whole units of 1e-7°, halves to the even neighbour."""
    return np.rint(np.asarray(degrees, dtype=np.float64) * GRID_PER_DEGREE).astype(np.int64)


def snap_to_grid(degrees: Number) -> Number:
    """Round degrees to the 1e-7° grid; the result is the double nearest to the decimal fraction.

    Everything stored or looked up passes here first, so PostGIS and the index in memory see the same bits.

    Examples
    --------
    >>> snap_to_grid(113.66512344999)
    113.6651234
    """
    # Division of whole doubles rounds correctly; multiplying by 1e-7 would miss the nearest double now and then.
    if isinstance(degrees, np.ndarray):
        return np.rint(degrees * GRID_PER_DEGREE) / GRID_PER_DEGREE + 0.0
    return round(degrees * GRID_PER_DEGREE) / GRID_PER_DEGREE


def convert(lon: Number, lat: Number, source: CoordSys, target: CoordSys) -> tuple[Number, Number]:
    """Convert positions from one system to another.

    Outside `CHINA_BOX` every system is the same and the pair comes back as it is, BD-09 included. CGCS2000 equals WGS84
    for this purpose (centimetres).

    Parameters
    ----------
    lon, lat
        Two numbers or two arrays of one shape. Units: degrees. They are not checked, see `check_position`.

    Returns
    -------
    tuple
        ``(lon, lat)`` of the same kind. The way there and back closes within 1e-6 m.
        Cost: 2 to 10 µs a number, about 2 µs an element in an array.

    Examples
    --------
    >>> lon, lat = convert(113.617, 34.754, CoordSys.WGS84, CoordSys.GCJ02)
    >>> round(lon, 6), round(lat, 6)
    (113.623042, 34.752817)
    """
    before, after = _RANK[source], _RANK[target]
    if before == after:
        return lon, lat
    if isinstance(lon, np.ndarray):
        assert isinstance(lat, np.ndarray)
        return _convert_arrays(lon, lat, before, after)
    if not is_in_china_box(lon, lat):
        return lon, lat
    return _forward(lon, lat, before, after, math) if before < after else _back(lon, lat, before, after, math)


def to_wgs84(lon: Number, lat: Number, coord_sys: CoordSys) -> tuple[Number, Number]:
    """Convert positions to WGS84, the system of storage. See `convert`."""
    return convert(lon, lat, coord_sys, CoordSys.WGS84)


def from_wgs84(lon: Number, lat: Number, coord_sys: CoordSys) -> tuple[Number, Number]:
    """Convert stored positions to the system of a map. See `convert`."""
    return convert(lon, lat, CoordSys.WGS84, coord_sys)


_RANK = {CoordSys.WGS84: 0, CoordSys.CGCS2000: 0, CoordSys.GCJ02: 1, CoordSys.BD09: 2}
"""How many times a system is shifted: once by the state, a second time by Baidu."""


def _convert_arrays(
    lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64], before: int, after: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    west, south, east, north = CHINA_BOX
    inside = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    out_lon, out_lat = np.array(lon, dtype=np.float64), np.array(lat, dtype=np.float64)
    if inside.any():
        way = _forward if before < after else _back
        out_lon[inside], out_lat[inside] = way(out_lon[inside], out_lat[inside], before, after, np)
    return out_lon, out_lat


def _forward(lon: Any, lat: Any, before: int, after: int, lib: Any) -> tuple[Any, Any]:
    for step in range(before, after):
        lon, lat = (_gcj02, _bd09)[step](lon, lat, lib)
    return lon, lat


def _back(lon: Any, lat: Any, before: int, after: int, lib: Any) -> tuple[Any, Any]:
    for step in range(before - 1, after - 1, -1):
        lon, lat = _invert((_gcj02, _bd09)[step], lon, lat, lib)
    return lon, lat


def _invert(shift: Shift, lon: Any, lat: Any, lib: Any) -> tuple[Any, Any]:
    """Find the pair that `shift` moves to ``(lon, lat)`` by repeated correction.

    The shift changes by at most 2 % of a step, so each round gains about two digits. The formula's square root has no
    derivative on the 105th meridian; the corrections still shrink there, because the root itself is tiny.
    """
    guess_lon, guess_lat = lon, lat
    for _ in range(_MAX_ROUNDS):
        there_lon, there_lat = shift(guess_lon, guess_lat, lib)
        miss_lon, miss_lat = there_lon - lon, there_lat - lat
        guess_lon, guess_lat = guess_lon - miss_lon, guess_lat - miss_lat
        worst = abs(miss_lon) + abs(miss_lat)
        if (worst if lib is math else worst.max()) < _CLOSE_ENOUGH_DEG:
            break
    return guess_lon, guess_lat


def _gcj02(lon: Any, lat: Any, lib: Any) -> tuple[Any, Any]:
    """Shift WGS84 to GCJ-02, written once for numbers (``math``) and arrays (``numpy``)."""
    sin, pi = lib.sin, math.pi
    x, y = lon - 105.0, lat - 35.0
    x_pi, y_pi, root, xy = x * pi, y * pi, lib.sqrt(abs(x)), 0.1 * x * y
    wave = 20.0 * sin(6.0 * x_pi) + 20.0 * sin(2.0 * x_pi)
    north_m = (
        -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + xy
        + 0.2 * root
        + (wave + 20.0 * sin(y_pi) + 40.0 * sin(y_pi / 3.0) + 160.0 * sin(y_pi / 12.0) + 320.0 * sin(y_pi / 30.0))
        * (2.0 / 3.0)
    )
    east_m = (
        300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + xy
        + 0.1 * root
        + (wave + 20.0 * sin(x_pi) + 40.0 * sin(x_pi / 3.0) + 150.0 * sin(x_pi / 12.0) + 300.0 * sin(x_pi / 30.0))
        * (2.0 / 3.0)
    )
    lat_rad = lat * (pi / 180.0)
    sine = sin(lat_rad)
    magic = 1.0 - _ECCENTRICITY_2 * sine * sine
    prime_vertical_m = _SEMI_MAJOR_M / lib.sqrt(magic)
    meridian_m = prime_vertical_m * (1.0 - _ECCENTRICITY_2) / magic
    return (
        lon + east_m * (180.0 / pi) / (prime_vertical_m * lib.cos(lat_rad)),
        lat + north_m * (180.0 / pi) / meridian_m,
    )


def _bd09(lon: Any, lat: Any, lib: Any) -> tuple[Any, Any]:
    """Shift GCJ-02 to BD-09."""
    atan2 = math.atan2 if lib is math else np.arctan2
    radius = lib.sqrt(lon * lon + lat * lat) + 0.00002 * lib.sin(lat * _BD_WAVE)
    angle = atan2(lat, lon) + 0.000003 * lib.cos(lon * _BD_WAVE)
    return radius * lib.cos(angle) + _BD_LON, radius * lib.sin(angle) + _BD_LAT

"""Which coordinate system do these points really speak? A statistical answer from where they fall.

A channel declares its system and is believed; if it is wrong, every report lies half a kilometre off and no single one
looks wrong. Many together do: some fall out of the jurisdiction, or off the cell that their address names, and would
not under another reading. So the points are read every way there is, and the readings compared place by place.

Why a sign test: under the right reading few places fit *only* under a wrong one, whatever the shape of the border; so
places that decide for another reading against those that decide for the declared one is a fair coin at best. Points
from one spot count once, or a single busy site beside the border would outvote a city.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from geo.coordinates import CoordSys, to_wgs84

__all__ = [
    "READINGS",
    "Confidence",
    "DatumReport",
    "DatumVerdict",
    "Reading",
    "ReadingCount",
    "judge_readings",
    "read_as",
    "read_one",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEAST_PLACES: Final = 20
"""Fewer places than this say nothing worth acting on."""
PLACE_DEG: Final = 0.001
"""Side of the square within which points count as one place, about 100 m. Units: degrees."""
NEAR_M: Final = 100.0
"""A point this close to the cell its address names is near it: smaller than any shift. Units: metres."""
ALPHA: Final = 1e-3
"""Chance of a false alarm per channel that is accepted, over all readings together."""
_SURE: Final = 1e-6
_FITTING_SHARE: Final = 0.8
_EXPLAINED_SHARE: Final = 0.5
_METRES_PER_DEGREE: Final = 111_320.0


class DatumVerdict(StrEnum):
    """What may be said about a declared system."""

    FITS = "fits"
    SUSPECT = "suspect"
    CANNOT_TELL = "cannot_tell"
    TOO_FEW = "too_few"


class Confidence(StrEnum):
    """How sure a verdict is."""

    HIGH = "high"
    MEDIUM = "medium"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read a raw pair. CGCS2000 is WGS84 here: centimetres apart."""

    system: CoordSys
    is_swapped: bool = False


READINGS: Final = tuple(
    Reading(system=system, is_swapped=swapped)
    for swapped in (False, True)
    for system in (CoordSys.WGS84, CoordSys.GCJ02, CoordSys.BD09)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingCount:
    """How one reading does.

    Parameters
    ----------
    fitting
        Places that fit under it.
    only_here, only_declared
        Places that fit under it and not as declared, and the other way round.
    p_better
        Chance of so many deciding for it if the declared reading were right.
    is_excluded
        The declared reading is better beyond that same doubt.
    """

    reading: Reading
    fitting: int
    only_here: int
    only_declared: int
    p_better: float
    is_excluded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DatumReport:
    """Outcome for the points that declared one system. ``suspected`` is best first, empty unless suspect."""

    declared: CoordSys
    points: int
    places: int
    named: int
    fitting: int
    counts: tuple[ReadingCount, ...]
    verdict: DatumVerdict
    confidence: Confidence
    suspected: tuple[Reading, ...]


def read_as(x: Floats, y: Floats, reading: Reading) -> tuple[Floats, Floats]:
    """Positions of raw pairs under a reading. SRID: 4326 out. Pairs that cannot be positions become NaN."""
    lon, lat = (y, x) if reading.is_swapped else (x, y)
    possible = (np.abs(lon) <= 180.0) & (np.abs(lat) <= 90.0)
    lon, lat = np.where(possible, lon, np.nan), np.where(possible, lat, np.nan)
    return to_wgs84(lon, lat, reading.system)


def read_one(x: float, y: float, reading: Reading) -> tuple[float, float] | None:
    """`read_as` for one pair, without arrays; None for a pair that cannot be a position."""
    lon, lat = (y, x) if reading.is_swapped else (x, y)
    if not (abs(lon) <= 180.0 and abs(lat) <= 90.0):
        return None
    return to_wgs84(lon, lat, reading.system)


def judge_readings(
    x: Floats,
    y: Floats,
    declared: CoordSys,
    area: shapely.Geometry,
    expected: npt.NDArray[Any] | None = None,
) -> DatumReport:
    """Judge the raw pairs that declared one system.

    Parameters
    ----------
    x, y
        Raw pairs, first and second number as they came. Units: degrees. Shape: (n,)
    area
        The jurisdiction. SRID: 4326. Boundary: included.
    expected
        Per point the cell that its address or its sender names, or None. SRID: 4326. Shape: (n,)

    Returns
    -------
    DatumReport
        Cost: about 5 µs a point and reading.

    Notes
    -----
    A place fits when it lies within `NEAR_M` of the cell named for it, or, with no cell named, in the area.
    """
    base = Reading(system=CoordSys.WGS84 if declared is CoordSys.CGCS2000 else declared)
    chosen = _places(x, y, expected)
    cells = None if expected is None else expected[chosen]
    fits = {reading: _fits(*read_as(x[chosen], y[chosen], reading), area, cells) for reading in READINGS}
    places, here = len(chosen), fits[base]
    counts = tuple(_count(reading, fits[reading], here) for reading in READINGS if reading != base)
    suspects = sorted(
        (each for each in counts if places >= LEAST_PLACES and _is_suspect(each, places, int(here.sum()))),
        # Of readings that fit alike the one that changes least: the same system swapped before another one swapped.
        key=lambda each: (-each.fitting, each.reading.is_swapped, each.reading.system is not base.system),
    )
    verdict, confidence = DatumVerdict.CANNOT_TELL, Confidence.NONE
    best: tuple[ReadingCount, ...] = ()
    if suspects:
        verdict = DatumVerdict.SUSPECT
        best = tuple(
            each
            for each in suspects
            if each is suspects[0] or not _is_worse(fits[each.reading], fits[suspects[0].reading])
        )
        is_sure = suspects[0].p_better * len(counts) < _SURE and len(best) == 1
        confidence = Confidence.HIGH if is_sure else Confidence.MEDIUM
    elif places < LEAST_PLACES:
        verdict = DatumVerdict.TOO_FEW
    elif all(each.is_excluded for each in counts):
        verdict, confidence = DatumVerdict.FITS, Confidence.HIGH
    return DatumReport(
        declared=declared,
        points=len(x),
        places=places,
        named=0 if expected is None else int(np.count_nonzero(~shapely.is_missing(expected))),
        fitting=int(here.sum()),
        counts=counts,
        verdict=verdict,
        confidence=confidence,
        suspected=tuple(each.reading for each in best),
    )


def _places(x: Floats, y: Floats, expected: npt.NDArray[Any] | None) -> npt.NDArray[np.intp]:
    squares = np.column_stack((np.floor(x / PLACE_DEG), np.floor(y / PLACE_DEG)))
    if expected is not None:
        # A named cell is better evidence than none: of one square's points one that has it stands for all.
        order = np.argsort(shapely.is_missing(expected), kind="stable")
        _, first = np.unique(squares[order], axis=0, return_index=True)
        return np.sort(order[first])
    _, first = np.unique(squares, axis=0, return_index=True)
    return np.sort(first)


def _fits(lon: Floats, lat: Floats, area: shapely.Geometry, cells: npt.NDArray[Any] | None) -> Flags:
    real = np.isfinite(lon) & np.isfinite(lat)
    found: Flags = np.zeros(len(lon), dtype=np.bool_)
    shapely.prepare(area)
    found[real] = shapely.intersects_xy(area, lon[real], lat[real])
    if cells is None:
        return found
    named = ~shapely.is_missing(cells)
    found[named] = False
    asked = named & real
    if asked.any():
        found[asked] = _distance_m(lon[asked], lat[asked], cells[asked]) <= NEAR_M
    return found


def _distance_m(lon: Floats, lat: Floats, cells: npt.NDArray[Any]) -> Floats:
    # Stretched so that a degree is as long both ways: half a kilometre needs no better projection.
    narrow = math.cos(math.radians(float(np.median(shapely.get_y(shapely.centroid(cells))))))
    stretched = shapely.transform(cells, lambda places: places * (narrow, 1.0))
    points = shapely.points(lon * narrow, lat)
    return np.asarray(shapely.distance(stretched, points) * _METRES_PER_DEGREE, dtype=np.float64)


def _count(reading: Reading, fits: Flags, declared: Flags) -> ReadingCount:
    only_here, only_declared = int((fits & ~declared).sum()), int((declared & ~fits).sum())
    limit = ALPHA / (len(READINGS) - 1)
    return ReadingCount(
        reading=reading,
        fitting=int(fits.sum()),
        only_here=only_here,
        only_declared=only_declared,
        p_better=tail(only_here, only_here + only_declared),
        is_excluded=tail(only_declared, only_here + only_declared) < limit,
    )


def _is_suspect(count: ReadingCount, places: int, fitting: int) -> bool:
    """Better beyond doubt, good by itself, and the explanation of most of what does not fit."""
    gained = count.only_here - count.only_declared
    return (
        count.p_better < ALPHA / (len(READINGS) - 1)
        and count.fitting >= _FITTING_SHARE * places
        and gained >= _EXPLAINED_SHARE * (places - fitting)
    )


def _is_worse(fits: Flags, best: Flags) -> bool:
    for_best, for_other = int((best & ~fits).sum()), int((fits & ~best).sum())
    return tail(for_best, for_best + for_other) < 0.01


def tail(successes: int, trials: int) -> float:
    """Chance of at least so many heads of a fair coin.

    Examples
    --------
    >>> tail(0, 0), tail(3, 3), round(tail(8, 10), 6)
    (1.0, 0.125, 0.054688)
    """
    if successes <= 0:
        return 1.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) - trials * math.log(2.0)
        for k in range(successes, trials + 1)
    ]
    return min(1.0, round(math.fsum(map(math.exp, logs)), 15) if logs[0] > -30 else math.fsum(map(math.exp, logs)))

"""Does a file look shifted? A wrong declaration moves every cell by half a kilometre, and no ring is the worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from geo.coordinates import CoordSys, from_wgs84, to_wgs84
from geo.importing.faults import Note, NoteCode
from geo.importing.plan import GridPlan

_METRES_PER_DEGREE = 111_320.0
_FAR_M = 150.0
"""Redrawn cells move their centres by some tens of metres; GCJ-02 moves them by 300 to 700, BD-09 further. Units: m."""
_BETTER = 0.4
_MARGIN_DEG = 0.02
Pairs = npt.NDArray[np.float64]


def suspect_datum(
    plan: GridPlan, declared: CoordSys | None, known: Mapping[str, tuple[float, float]], version: int
) -> list[Note]:
    """Compare a plan's cells with the active version's, code by code, and say if another system fits better.

    A warning, not a fault: a whole district may really have been redrawn, and only people can know.

    Parameters
    ----------
    declared
        What the user declared; a CRS of its own counts as WGS84.
    known
        Centres ``(lon, lat)`` of the active version by code. SRID: 4326.
    version
        Its number, for the note.

    Returns
    -------
    list of Note
        ``import.note.datum_suspected`` with the median shift and the system that fits better;
        ``import.note.outside_box`` when no code is known and most cells lie outside the active version's extent.
    """
    if not known or not plan.cells:
        return []
    centres = {cell.attributes.code: (cell.label_point.x, cell.label_point.y) for cell in plan.cells}
    common = sorted(set(centres) & set(known))
    if not common:
        return _outside(centres, known, version)
    here = np.array([centres[code] for code in common])
    there = np.array([known[code] for code in common])
    shift = _median_m(here, there)
    if shift < _FAR_M:
        return []
    system = declared or CoordSys.WGS84
    raw = from_wgs84(here[:, 0].copy(), here[:, 1].copy(), system)
    fits: dict[str, float] = {}
    for other in CoordSys:
        if {other, system} <= {CoordSys.WGS84, CoordSys.CGCS2000} or other is system:
            continue
        fits[other.value] = _median_m(np.column_stack(to_wgs84(raw[0].copy(), raw[1].copy(), other)), there)
    best = min(fits, key=fits.__getitem__)
    if fits[best] > _BETTER * shift:
        return []
    params: dict[str, Any] = {"version": version, "shift": round(shift), "suspected": best}
    return [Note(code=NoteCode.DATUM_SUSPECTED, count=len(common), params=params)]


def _outside(centres: Mapping[str, Any], known: Mapping[str, Any], version: int) -> list[Note]:
    here, there = np.array(list(centres.values())), np.array(list(known.values()))
    low, high = there.min(axis=0) - _MARGIN_DEG, there.max(axis=0) + _MARGIN_DEG
    out = int(np.count_nonzero(((here < low) | (here > high)).any(axis=1)))
    return [Note(code=NoteCode.OUTSIDE_BOX, count=out, params={"version": version})] if 2 * out > len(here) else []


def _median_m(one: Pairs, other: Pairs) -> float:
    east = (one[:, 0] - other[:, 0]) * np.cos(np.radians(other[:, 1]))
    north = one[:, 1] - other[:, 1]
    return float(np.median(np.hypot(east, north)) * _METRES_PER_DEGREE)

"""Positions of a batch, converted together to stored WGS84 positions; what cannot be one is rejected by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dispatch.importing.rows import CheckedRow, Rejection, position_fault
from geo.coordinates import check_position, snap_to_grid
from geo.errors import BadInputError
from geo.importing.frames import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRow:
    """A checked row with its stored position. SRID: 4326 on the 1e-7° grid; both None without a position."""

    row: CheckedRow
    lon: float | None
    lat: float | None


def place(rows: Sequence[CheckedRow], frame: Frame) -> tuple[list[PlacedRow], list[Rejection]]:
    """Convert the positions of a batch in one vectorised call.

    Cost: about 2 µs a row.
    """
    placed = [PlacedRow(row=row, lon=None, lat=None) for row in rows if row.x is None]
    rejected: list[Rejection] = []
    sound: list[CheckedRow] = []
    for row in rows:
        if row.x is None or row.y is None:
            continue
        fault = _fault(row.x, row.y, frame)
        if fault is None:
            sound.append(row)
        else:
            rejected.append(_reject(row, fault))
    if sound:
        pairs = np.array([(row.x, row.y) for row in sound], dtype=np.float64)
        stored = snap_to_grid(frame.to_wgs84(pairs))
        for row, (lon, lat) in zip(sound, stored.tolist(), strict=True):
            if lon != lon or lat != lat:
                rejected.append(_reject(row, "report.position_not_transformable"))
            else:
                placed.append(PlacedRow(row=row, lon=lon, lat=lat))
    return placed, rejected


def _fault(x: float, y: float, frame: Frame) -> str | None:
    if frame.is_geographic:
        try:
            check_position(x, y)
        except BadInputError as wrong:
            return position_fault(wrong)
        return None
    if not np.isfinite(x) or not np.isfinite(y):
        return "report.coordinate_not_finite"
    # A declared metric system and a pair that fits as degrees: no grid lies within 180 m of a projection's origin.
    return "report.position_looks_like_degrees" if abs(x) <= 180 and abs(y) <= 90 else None


def _reject(row: CheckedRow, code: str) -> Rejection:
    return Rejection(
        row=row.row, line=row.line, code=code, params={"x": str(row.x), "y": str(row.y)}, values=row.values
    )

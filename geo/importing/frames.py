"""Which coordinate system a file speaks, and the way from there to WGS84 ``(lon, lat)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geo.coordinates import SRID_WGS84, CoordSys, to_wgs84
from geo.errors import BadInputError
from geo.importing.faults import FaultCode, FileRefusedError, Note, NoteCode, refuse
from geo.importing.features import RawFile

Pairs = npt.NDArray[np.float64]

_ROUND_TRIP_UNITS = 1.0
_SHIFTED = (CoordSys.GCJ02, CoordSys.BD09)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A source coordinate system.

    Parameters
    ----------
    name
        What the user or the file called it.
    is_geographic
        Degrees (so that range checks apply) rather than metres.
    to_wgs84
        Vectorised conversion. Shape: (n, 2) → (n, 2), ``(lon, lat)`` degrees out; NaN where it fails.
    """

    name: str
    is_geographic: bool
    to_wgs84: Callable[[Pairs], Pairs]


def named_frame(coord_sys: CoordSys) -> Frame:
    """Frame of one of the four systems that reports may be declared in."""

    def convert(pairs: Pairs) -> Pairs:
        lon, lat = to_wgs84(pairs[:, 0], pairs[:, 1], coord_sys)
        return np.column_stack((lon, lat))

    return Frame(name=coord_sys.value, is_geographic=True, to_wgs84=convert)


def projected_frame(crs: Any, name: str) -> Frame:
    """Frame of any geographic or projected CRS that PROJ knows, axes always in ``(x, y)`` = ``(lon, lat)`` order.

    Raises
    ------
    FileRefusedError
        ``import.crs_unknown``: the CRS has no horizontal axes in degrees or metres.
    """
    if not (crs.is_geographic or crs.is_projected):
        # Heights, geocentric and engineering systems are known to PROJ and no place for a map.
        raise refuse(FaultCode.CRS_UNKNOWN, crs=name[:80])
    transformer = Transformer.from_crs(crs, SRID_WGS84, always_xy=True)
    is_geographic = bool(crs.is_geographic)

    def convert(pairs: Pairs) -> Pairs:
        found = np.column_stack(transformer.transform(pairs[:, 0], pairs[:, 1]))
        # PROJ answers "cannot" with infinity; NaN is the one word for it here.
        lost = ~np.isfinite(found).all(axis=1)
        if not is_geographic:
            # Far outside its area a projection answers with some place or other; only the way back shows it.
            back = np.column_stack(transformer.transform(found[:, 0], found[:, 1], direction="INVERSE"))
            lost |= ~(np.abs(back - pairs) <= _ROUND_TRIP_UNITS).all(axis=1)
        found[lost] = np.nan
        return found

    return Frame(name=name, is_geographic=is_geographic, to_wgs84=convert)


def parse_crs(text: str) -> CRS:
    """Read ``EPSG:2056``, an OGC URN or WKT.

    Raises
    ------
    FileRefusedError
        PROJ does not know it.
    """
    try:
        return CRS.from_user_input(text)
    except CRSError as unknown:
        raise refuse(FaultCode.CRS_UNKNOWN, crs=text[:80]) from unknown


def choose_frame(coord_sys: CoordSys | None, crs: str | None, file: RawFile) -> tuple[Frame, list[Note]]:
    """Settle the coordinate system from the declaration and the file.

    A declaration is required unless the file carries its own CRS. The two must agree, with one exception: a file in
    GCJ-02 or BD-09 cannot say so (they have no EPSG code) and is commonly labelled WGS84, so the declaration wins,
    with a note.

    Raises
    ------
    FileRefusedError
        None given, both given, unknown, or in conflict with the file.
    """
    if coord_sys is not None and crs is not None:
        raise refuse(FaultCode.OPTION_CONFLICT, first="--coord-sys", second="--crs")
    own = parse_crs(file.crs) if file.crs_is_explicit and file.crs is not None else None
    if crs is not None:
        declared = parse_crs(crs)
        if own is not None and not own.equals(declared, ignore_axis_order=True) and not _same_code(own, declared):
            raise refuse(FaultCode.CRS_CONFLICT, declared=crs, found=own.to_string()[:80])
        return projected_frame(declared, declared.to_string()), []
    if coord_sys is not None:
        if own is None:
            return named_frame(coord_sys), []
        if coord_sys in _SHIFTED and own.is_geographic:
            return named_frame(coord_sys), [
                Note(code=NoteCode.CRS_OVERRIDDEN, params={"found": own.to_string()[:80], "declared": coord_sys.value})
            ]
        if coord_sys not in _SHIFTED and own.is_geographic:
            return projected_frame(own, coord_sys.value), []
        raise refuse(FaultCode.CRS_CONFLICT, declared=coord_sys.value, found=own.to_string()[:80])
    if own is None:
        raise refuse(FaultCode.CRS_MISSING)
    name = own.to_string()[:80]
    return projected_frame(own, name), [Note(code=NoteCode.CRS_FROM_FILE, params={"found": name})]


def _same_code(first: CRS, second: CRS) -> bool:
    # A Shapefile's .prj holds ESRI's wording of the same system; comparing codes sees through it.
    codes = (first.to_epsg(), second.to_epsg())
    return codes[0] is not None and codes[0] == codes[1]


def declared_frame(coord_sys: CoordSys | None, crs: str | None) -> Frame:
    """Frame of a file that cannot carry a CRS of its own (CSV): exactly one declaration is required.

    Raises
    ------
    BadInputError
        ``import.crs_missing``, ``import.option_conflict``, ``import.crs_unknown``.
    """
    if coord_sys is not None and crs is not None:
        raise BadInputError(FaultCode.OPTION_CONFLICT.value, first="--coord-sys", second="--crs")
    if coord_sys is not None:
        return named_frame(coord_sys)
    if crs is None:
        raise BadInputError(FaultCode.CRS_MISSING.value)
    try:
        known = parse_crs(crs)
    except FileRefusedError as refused:
        raise BadInputError(FaultCode.CRS_UNKNOWN.value, crs=crs[:80]) from refused
    return projected_frame(known, known.to_string()[:80])

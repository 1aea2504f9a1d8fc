"""A file's features before anything is decided about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shapely.geometry.base import BaseGeometry

from geo.importing.faults import Fault, Note

MAX_FILE_BYTES = 2 * 1024**3
"""Larger files are refused before they are opened, so that memory stays bounded. Units: bytes."""
MAX_GEOJSON_BYTES = 128 * 1024**2
"""GeoJSON, unpacked: it is read in one piece and takes up to eighteen times its size. Units: bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFeature:
    """One feature as the file has it.

    Shape: any geometry, or ``None`` when the file has none or it is malformed (then a fault says so).
    """

    number: int
    properties: Mapping[str, Any]
    geometry: BaseGeometry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """What a reader found: features in file order, the file's own CRS, faults and notes so far.

    ``crs`` is whatever the file declares (``EPSG:2056``, WKT …) and ``crs_is_explicit`` tells a declaration from the
    format's default (GeoJSON and KML *mean* WGS84, but exports in other systems are common: a default is not trusted).
    """

    driver: str
    layer: str | None
    columns: Sequence[str]
    features: Sequence[RawFeature]
    crs: str | None
    crs_is_explicit: bool
    encoding: str | None
    faults: Sequence[Fault]
    notes: Sequence[Note]

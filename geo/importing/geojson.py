"""GeoJSON, read strictly.

OGR's GeoJSON driver closes rings, drops odd positions and swallows ``crs`` members without a word; an import that must
name feature, position and reason cannot be built on that, so this one format is parsed here. Other formats go through
pyogrio (`geo.importing.ogr`).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from geo.importing.faults import Fault, FaultCode, FileRefusedError, Note, NoteCode, refuse
from geo.importing.features import MAX_GEOJSON_BYTES, RawFeature, RawFile
from geo.importing.repeated_keys import find_repeated_keys

_NEST = {"Polygon": 2, "MultiPolygon": 3}
_OTHER_TYPES = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString", "GeometryCollection"})


def read_geojson(path: Path, *, encoding: str | None = None) -> RawFile:
    """Read a FeatureCollection or a single Feature, plain or gzip-compressed.

    Raises
    ------
    FileRefusedError
        The bytes are not GeoJSON at all. Faults of single features are returned, not raised.
    """
    text, used, notes = _decode(_read_bytes(path), encoding)
    document = _parse(text)
    repeated = _repeated_keys(text)
    del text
    if not isinstance(document, dict):
        raise refuse(FaultCode.FORMAT_UNKNOWN, found=type(document).__name__)
    match document.get("type"):
        case "FeatureCollection":
            members = document.get("features")
        case "Feature":
            members = [document]
        case other:
            raise refuse(FaultCode.FORMAT_UNKNOWN, found=str(other)[:80])
    if not isinstance(members, list):
        raise refuse(FaultCode.FORMAT_UNKNOWN, found="features")
    faults: list[Fault] = [*repeated]
    features: list[RawFeature] = []
    columns: dict[str, None] = {}
    for number, member in enumerate(members, 1):
        # What has become a geometry is let go at once: lists of numbers take eight times its room.
        members[number - 1] = None
        feature, fault = _feature(number, member)
        if fault is not None:
            faults.append(fault)
        if feature is not None:
            features.append(feature)
            columns.update(dict.fromkeys(feature.properties))
    crs = _crs_member(document)
    return RawFile(
        driver="GeoJSON",
        layer=None,
        columns=tuple(columns),
        features=features,
        crs=crs or "EPSG:4326",
        crs_is_explicit=crs is not None,
        encoding=used,
        faults=faults,
        notes=notes,
    )


def _repeated_keys(text: str | bytes) -> list[Fault]:
    return [
        Fault(
            code=FaultCode.KEY_REPEATED,
            feature=each.feature,
            params={"key": each.key, "line": each.line, "column": each.column},
        )
        for each in find_repeated_keys(text)
    ]


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as opened:
        packed = opened.read(2) == b"\x1f\x8b"
    if not packed:
        return path.read_bytes()
    try:
        with gzip.open(path) as stream:
            # One byte more than allowed tells "too large" from "just fits" without unpacking a bomb.
            data = stream.read(MAX_GEOJSON_BYTES + 1)
    except (EOFError, OSError, zlib.error) as broken:
        raise refuse(FaultCode.FILE_UNREADABLE, reason=str(broken)) from broken
    if len(data) > MAX_GEOJSON_BYTES:
        raise refuse(FaultCode.FILE_TOO_LARGE, limit=MAX_GEOJSON_BYTES)
    return data


def _decode(data: bytes, encoding: str | None) -> tuple[str | bytes, str, list[Note]]:
    notes: list[Note] = []
    if data.startswith(b"\xef\xbb\xbf"):
        notes.append(Note(code=NoteCode.BOM))
        data = data[3:]
    if encoding is not None:
        try:
            return data.decode(encoding), encoding, notes
        except (UnicodeDecodeError, LookupError) as wrong:
            raise refuse(FaultCode.ENCODING, encoding=encoding) from wrong
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError as wrong:
            raise refuse(FaultCode.ENCODING, encoding="utf-8, gb18030") from wrong
        notes.append(Note(code=NoteCode.ENCODING_GUESSED, params={"encoding": "gb18030"}))
        return text, "gb18030", notes
    return data, "utf-8", notes


def _parse(text: str | bytes) -> Any:
    if not text.strip():
        raise refuse(FaultCode.FILE_UNREADABLE, reason="empty")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as broken:
        if "depth limit" in broken.msg.lower() or "recursion" in broken.msg.lower():
            raise refuse(FaultCode.TOO_DEEP) from broken
        raise refuse(FaultCode.JSON_BROKEN, line=broken.lineno, column=broken.colno) from broken


def _crs_member(document: Mapping[str, Any]) -> str | None:
    """The old (2008) ``crs`` member; still written by GDAL and QGIS for anything but WGS84."""
    member = document.get("crs")
    if member is None:
        return None
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise refuse(FaultCode.CRS_UNKNOWN, crs=str(member)[:80])
    return name.strip()


def _feature(number: int, member: Any) -> tuple[RawFeature | None, Fault | None]:
    if not isinstance(member, dict) or member.get("type") != "Feature":
        return None, Fault(code=FaultCode.NOT_A_FEATURE, feature=number)
    properties = member.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        return None, Fault(code=FaultCode.NOT_A_FEATURE, feature=number)
    if "id" in member and "id" not in properties:
        properties = {**properties, "id": member["id"]}
    try:
        geometry = _geometry(number, member.get("geometry"))
    except FileRefusedError as signal:
        return RawFeature(number=number, properties=properties, geometry=None), signal.fault
    return RawFeature(number=number, properties=properties, geometry=geometry), None


def _geometry(number: int, value: Any) -> BaseGeometry:
    if value is None:
        raise FileRefusedError(Fault(code=FaultCode.EMPTY_GEOMETRY, feature=number))
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in _OTHER_TYPES:
        raise FileRefusedError(Fault(code=FaultCode.NOT_POLYGON, feature=number, params={"found": kind}))
    if kind not in _NEST:
        raise _malformed(number, "type")
    coordinates = value.get("coordinates")
    if not isinstance(coordinates, list):
        raise _malformed(number, "coordinates")
    parts = [coordinates] if kind == "Polygon" else coordinates
    if not parts or not any(parts):
        raise FileRefusedError(Fault(code=FaultCode.EMPTY_GEOMETRY, feature=number))
    polygons = []
    for place, part in enumerate(parts):
        where = "coordinates" if kind == "Polygon" else f"coordinates/{place}"
        if not isinstance(part, list) or not part:
            raise _malformed(number, where)
        rings = [_ring(number, ring, f"{where}/{index}") for index, ring in enumerate(part)]
        polygons.append(shapely.Polygon(rings[0], rings[1:]))
    return polygons[0] if kind == "Polygon" else shapely.MultiPolygon(polygons)


def _ring(number: int, ring: Any, where: str) -> list[tuple[float, ...]]:
    if not isinstance(ring, list):
        raise _malformed(number, where)
    vertices = [found for vertex in ring if (found := _vertex(vertex)) is not None]
    if len(vertices) < len(ring):
        raise _malformed(number, f"{where}/{next(i for i, vertex in enumerate(ring) if _vertex(vertex) is None)}")
    if vertices and vertices[0][:2] != vertices[-1][:2]:
        raise FileRefusedError(
            Fault(code=FaultCode.RING_UNCLOSED, feature=number, position=(vertices[-1][0], vertices[-1][1]))
        )
    if len(vertices) < 4 or len({vertex[:2] for vertex in vertices}) < 3:
        position = (vertices[0][0], vertices[0][1]) if vertices else None
        raise FileRefusedError(
            Fault(code=FaultCode.RING_TOO_SHORT, feature=number, position=position, params={"vertices": len(vertices)})
        )
    width = {len(vertex) for vertex in vertices}
    return vertices if len(width) == 1 else [vertex[:2] for vertex in vertices]


def _vertex(value: Any) -> tuple[float, ...] | None:
    """Read a position; None when it is none. The parser refuses infinity and what no double can hold."""
    if not isinstance(value, list) or len(value) < 2:
        return None
    for ordinate in value[:3]:
        # bool is an int in Python, and a position is no place for it.
        if isinstance(ordinate, bool) or not isinstance(ordinate, int | float):
            return None
    return tuple(map(float, value[:3]))


def _malformed(number: int, where: str) -> FileRefusedError:
    """Say where in the geometry, as a JSON pointer without its first slash: what is no number has no position."""
    return FileRefusedError(Fault(code=FaultCode.GEOMETRY_MALFORMED, feature=number, params={"where": where}))

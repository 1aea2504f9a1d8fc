"""A file of places → records: CSV (UTF-8 or GB18030, comma, semicolon or tab) or GeoJSON, all faults at once."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import shapely
from shapely.geometry import shape

from geo.coordinates import CoordSys, check_position, snap_to_grid, to_wgs84
from geo.errors import BadInputError, Fault, InvalidRequestError
from geo.gazetteer.places import RADIUS_M, PlaceKind, keys_of

__all__ = ["MOST_PLACES", "PlaceRecord", "read_places"]

MOST_PLACES: Final = 200_000
_MOST_FAULTS: Final = 100
_METRES_PER_DEGREE: Final = 111_320.0
_MOST_RADIUS_M: Final = 5_000.0

#: What offices call the columns, besides our own names.
_COLUMNS: Final = {
    "id": ("id", "编号", "序号", "标识"),
    "name_zh": ("name_zh", "name", "名称", "地名", "小区名称", "名字"),
    "name_en": ("name_en", "英文名", "英文名称"),
    "kind": ("kind", "type", "类型", "类别"),
    "aliases": ("aliases", "alias", "别名", "曾用名", "俗称"),
    "lon": ("lon", "lng", "longitude", "经度", "x"),
    "lat": ("lat", "latitude", "纬度", "y"),
    "coord_sys": ("coord_sys", "坐标系"),
    "radius_m": ("radius_m", "radius", "半径", "半径米"),
}
_KINDS: Final = {
    PlaceKind.ESTATE: ("小区", "住宅小区", "居民小区"),
    PlaceKind.COURTYARD: ("楼院", "院落", "家属院", "院"),
    PlaceKind.CROSSING: ("路口", "交叉口", "十字路口"),
    PlaceKind.BUILDING: ("楼栋", "楼", "建筑"),
    PlaceKind.NUMBER: ("门牌", "门牌号"),
    PlaceKind.LANDMARK: ("地标", "单位", "学校", "商场", "公园", "poi"),
    PlaceKind.ROAD: ("道路", "路", "街道路", "街巷"),
    PlaceKind.AREA: ("片区", "区域"),
}
_KIND_OF: Final = {word: kind for kind, words in _KINDS.items() for word in (*words, kind.value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRecord:
    """A place of a file. SRID: 4326. Units: ``radius_m`` metres."""

    source_id: str
    kind: PlaceKind
    name_zh: str
    name_en: str
    aliases: tuple[str, ...]
    lon: float
    lat: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class _Row:
    pointer: str
    line: int
    values: Mapping[str, Any]


def read_places(data: bytes, *, coord_sys: CoordSys | None = None) -> list[PlaceRecord]:
    """Read places; what the bytes are shows in their first character.

    Parameters
    ----------
    coord_sys
        Of the whole file; a column of that name wins. Without either the file is refused: a point 568 m off would send
        people to the wrong cell.

    Raises
    ------
    BadInputError
        ``place.unreadable``, ``place.no_columns``, ``place.empty``, ``place.too_many``.
    InvalidRequestError
        Every wrong row with its line and field (the first hundred).
    """
    text = _decode(data)
    rows = list(_geojson(text) if text.lstrip()[:1] == "{" else _csv(text))
    if not rows:
        raise BadInputError("place.empty")
    faults: list[Fault] = []
    records: dict[str, PlaceRecord] = {}
    for row in rows:
        record = _record(row, coord_sys, faults)
        if record is not None:
            if record.source_id in records:
                faults.append(_fault("place.twice", row, "id", id=record.source_id))
            records[record.source_id] = record
    if faults:
        raise InvalidRequestError(faults[:_MOST_FAULTS])
    return list(records.values())


def _decode(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInputError("place.unreadable", reason="utf-8, gb18030")


def _csv(text: str) -> Iterator[_Row]:
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=first.count), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        places = {
            field: next((header.index(name) for name in names if name in header), None)
            for field, names in _COLUMNS.items()
        }
        if any(places[field] is None for field in ("name_zh", "lon", "lat")):
            raise BadInputError("place.no_columns", found=", ".join(header)[:200])
        for number, values in enumerate(reader, start=1):
            if not any(value.strip() for value in values):
                continue
            if number > MOST_PLACES:
                raise BadInputError("place.too_many", most=MOST_PLACES)
            yield _Row(
                f"/{number - 1}",
                reader.line_num,
                {
                    field: values[at].strip()
                    for field, at in places.items()
                    if at is not None and at < len(values) and values[at].strip()
                },
            )
    except csv.Error as error:
        raise BadInputError("place.unreadable", reason=f"line {reader.line_num}: {error}") from error


def _geojson(text: str) -> Iterator[_Row]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError("place.unreadable", reason=str(error)[:200]) from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise BadInputError("place.unreadable", reason="FeatureCollection")
    if len(features) > MOST_PLACES:
        raise BadInputError("place.too_many", most=MOST_PLACES)
    for number, feature in enumerate(features):
        feature = feature if isinstance(feature, dict) else {}
        given = feature.get("properties")
        given = given if isinstance(given, dict) else {}
        lowered = {str(name).lower(): value for name, value in given.items()}
        values = {
            field: value
            for field, names in _COLUMNS.items()
            if (value := next((lowered[name] for name in names if lowered.get(name) not in (None, "")), None))
            is not None
        }
        if "id" not in values and feature.get("id") is not None:
            values["id"] = feature["id"]
        yield _Row(f"/features/{number}", number + 1, values | _spot(feature.get("geometry")))


def _spot(geometry: Any) -> dict[str, Any]:
    """Point of a geometry; an area also says how far it reaches."""
    try:
        found = shape(geometry)
        if found.is_empty or not found.is_valid:
            return {}
    except Exception:  # shapely raises whatever malformed coordinates lead it to
        return {}
    point = found.representative_point()
    spot: dict[str, Any] = {"lon": point.x, "lat": point.y}
    if found.geom_type != "Point" and math.isfinite(point.y):
        # A reach, not an area: flat is good enough for some hundred metres.
        shrink = math.cos(math.radians(point.y))
        corners = shapely.get_coordinates(found)
        reach = max(math.hypot((x - point.x) * shrink, y - point.y) for x, y in corners) * _METRES_PER_DEGREE
        spot["radius_m"] = min(max(round(reach, 1), 1.0), _MOST_RADIUS_M)
    return spot


def _record(row: _Row, coord_sys: CoordSys | None, faults: list[Fault]) -> PlaceRecord | None:
    before = len(faults)
    values = row.values
    name = str(values.get("name_zh", "")).strip()
    aliases = _aliases(values.get("aliases"))
    if not name or len(name) > 200 or "\x00" in name or not keys_of([name]):
        faults.append(_fault("place.bad_name", row, "name"))
    word = str(values.get("kind", PlaceKind.ESTATE.value)).strip().lower()
    kind = _KIND_OF.get(word)
    if kind is None:
        faults.append(_fault("place.bad_kind", row, "kind", kind=word, known=", ".join(PlaceKind)))
    lon, lat = _position(row, coord_sys, faults)
    radius = _number(values["radius_m"]) if "radius_m" in values else RADIUS_M.get(kind or PlaceKind.ESTATE)
    if radius is None or not 0 < radius <= _MOST_RADIUS_M:
        faults.append(_fault("place.bad_radius", row, "radius_m", most=int(_MOST_RADIUS_M)))
    if len(faults) > before or kind is None or radius is None:
        return None
    return PlaceRecord(
        source_id=str(values.get("id") or f"{kind.value}:{name}")[:200],
        kind=kind,
        name_zh=name,
        name_en=str(values.get("name_en", "")).strip()[:200],
        aliases=aliases,
        lon=lon,
        lat=lat,
        radius_m=radius,
    )


def _position(row: _Row, coord_sys: CoordSys | None, faults: list[Fault]) -> tuple[float, float]:
    named = str(row.values.get("coord_sys", coord_sys or "")).strip().lower()
    if named not in set(CoordSys):
        faults.append(_fault("place.no_coord_sys", row, "coord_sys", known=", ".join(CoordSys)))
        return 0.0, 0.0
    lon, lat = _number(row.values.get("lon")), _number(row.values.get("lat"))
    if lon is None or lat is None:
        faults.append(_fault("place.bad_position", row, "lon"))
        return 0.0, 0.0
    try:
        check_position(lon, lat)
    except BadInputError as error:
        faults.append(_fault(error.code, row, "lon", **error.params))
        return 0.0, 0.0
    lon, lat = to_wgs84(lon, lat, CoordSys(named))
    return snap_to_grid(lon), snap_to_grid(lat)


def _aliases(given: Any) -> tuple[str, ...]:
    words = given if isinstance(given, list) else str(given or "")
    if isinstance(words, str):
        for mark in "|；;、，,":
            words = words.replace(mark, "\n")
        words = words.split("\n")
    return tuple(dict.fromkeys(word for each in words if (word := str(each).strip()[:200]) and "\x00" not in word))[:50]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _fault(code: str, row: _Row, field: str, **params: Any) -> Fault:
    return Fault(code=code, pointer=f"{row.pointer}/{field}", params={"line": row.line, **params})

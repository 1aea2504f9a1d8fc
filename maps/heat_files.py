"""The heat-map's numbers as files: a table of cells, squares as GeoJSON. Pure."""

from __future__ import annotations

import json

from maps.figures import format_ratio
from maps.heat import HeatData, HeatView, heat_title, heat_words
from maps.i18n import Locale, translate
from maps.page_parts import rough
from maps.sheet import Sheet
from maps.suppression import Disclosure

__all__ = ["bins_geojson", "heat_geojson_values", "heat_sheet"]


def heat_sheet(locale: Locale, view: HeatView, data: HeatData) -> Sheet:
    """Return the numbers of the map: one line per cell; what may not be shown is empty."""
    disclosures = data.disclosures
    names = ("cell", "cases", "share", "per_1000", "per_km2")
    head = [translate(locale, "measures.column.code"), *(translate(locale, f"planner.table.{name}") for name in names)]
    lines: list[list[str | float | None]] = []
    for cell in data.cells:
        is_shown = disclosures[cell.code] in (Disclosure.SHOWN, Disclosure.NONE)
        line: list[str | float | None] = [cell.code, cell.name]
        if is_shown:
            line += [float(cell.cases), _number(cell.cases, data.total, 100)]
            line += [_number(cell.cases, cell.population or 0, 1000), _number(cell.cases, cell.area_m2, 1_000_000)]
        elif disclosures[cell.code] is Disclosure.SMALL:
            line += [rough(1), None, None, None]
        else:
            line += [translate(locale, "planner.table.withheld"), None, None, None]
        lines.append(line)
    notes = [translate(locale, "planner.stand", as_of=data.stand), *heat_words(locale, view, data)]
    return Sheet(title=heat_title(locale, view, data), head=head, lines=lines, notes=notes)


def _number(numerator: float, denominator: float, scale: int) -> float | None:
    words = format_ratio(numerator, denominator, scale=scale)
    return None if words is None else float(words.replace(",", ""))


def bins_geojson(data: HeatData) -> str:
    """Return the squares of the heat layer, none with fewer than five cases. SRID: 4326."""
    features = []
    for spot in data.spots()[0]:
        half_lon, half_lat = spot.sides * data.lattice.side_lon / 2, spot.sides * data.lattice.side_lat / 2
        west, east = round(spot.lon - half_lon, 7), round(spot.lon + half_lon, 7)
        south, north = round(spot.lat - half_lat, 7), round(spot.lat + half_lat, 7)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        features.append(
            {
                "type": "Feature",
                "properties": {"cases": spot.cases, "side_m": round(spot.sides * data.lattice.side_lat * 111_132)},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    return json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))


def heat_geojson_values(data: HeatData) -> list[dict[str, object]]:
    """Return what is told of each cell; null where nothing may be told."""
    told = (Disclosure.SHOWN, Disclosure.NONE)
    return [
        {
            "code": cell.code,
            "name": cell.name,
            "cases": cell.cases if data.disclosures[cell.code] in told else None,
            "disclosure": data.disclosures[cell.code].value,
        }
        for cell in data.cells
    ]

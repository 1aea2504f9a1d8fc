"""The documents of the OGC door that describe it: landing page, conformance, collections. Plain values, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.answers import GEOJSON
from api.rendering import instant, name_of
from dispatch.case_views import CaseView
from dispatch.masking import mask_text
from geo.cells import LocatedHow
from geo.tiles import LevelExtent, layer_of
from maps.i18n import Locale, translate

__all__ = [
    "CASES",
    "CONFORMANCE",
    "Place",
    "case_feature",
    "cases_collection",
    "cell_collection",
    "landing_page",
    "link",
]

#: What holds, and no more. The service describes itself in OpenAPI 3.1, for which only the draft of 1.1 has a class.
CONFORMANCE: Final = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.1/conf/oas31",
)
CASES: Final = "cases"
CRS84: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
GREGORIAN: Final = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
OPENAPI: Final = "application/vnd.oai.openapi+json;version=3.1"
_TILES: Final = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the service stands, as the caller reaches it; ends with a slash."""

    base: str

    def at(self, path: str = "") -> str:
        """Return the address of a resource of this door."""
        return f"{self.base}ogc{path}"


def link(href: str, rel: str, media_type: str, title: str | None = None) -> dict[str, str]:
    """Return a link object."""
    made = {"href": href, "rel": rel, "type": media_type}
    if title is not None:
        made["title"] = title
    return made


def landing_page(place: Place, locale: Locale) -> dict[str, Any]:
    """Return the landing page."""

    def text(name: str) -> str:
        return translate(locale, f"ogc.{name}")

    return {
        "title": text("title"),
        "description": text("description"),
        "links": [
            link(place.at(), "self", "application/json", text("link.self")),
            link(f"{place.base}openapi.json", "service-desc", OPENAPI, text("link.service_desc")),
            link(place.at("/conformance"), "conformance", "application/json", text("link.conformance")),
            link(place.at("/collections"), "data", "application/json", text("link.data")),
        ],
    }


def cell_collection(
    place: Place, locale: Locale, extent: LevelExtent, published: tuple[datetime | None, datetime | None]
) -> dict[str, Any]:
    """Describe the cells of one level."""
    name = layer_of(extent.level)
    made = _collection(
        place,
        name,
        translate(locale, "ogc.cells.title", level=extent.level),
        translate(locale, "ogc.cells.description"),
        extent,
        published,
    )
    made["links"] += [
        link(f"{place.base}tiles/{name}.json", _TILES, "application/json", translate(locale, "ogc.link.tiles")),
        link(f"{place.base}v1/cells?level={extent.level}", "enclosure", GEOJSON, translate(locale, "ogc.link.whole")),
    ]
    return made


def cases_collection(place: Place, locale: Locale, extent: LevelExtent | None) -> dict[str, Any]:
    """Describe the cases. Their extent is that of the grid; a case outside it is rare and welcome."""
    title, description = translate(locale, "ogc.cases.title"), translate(locale, "ogc.cases.description")
    return _collection(place, CASES, title, description, extent, (None, None))


def _collection(
    place: Place,
    name: str,
    title: str,
    description: str,
    extent: LevelExtent | None,
    span: tuple[datetime | None, datetime | None],
) -> dict[str, Any]:
    here = place.at(f"/collections/{name}")
    made: dict[str, Any] = {
        "id": name,
        "title": title,
        "description": description,
        "itemType": "feature",
        "crs": [CRS84],
        "extent": {"temporal": {"interval": [[instant(span[0]), instant(span[1])]], "trs": GREGORIAN}},
        "links": [
            link(here, "self", "application/json", title),
            link(f"{here}/items", "items", GEOJSON, title),
        ],
    }
    if extent is not None:
        box = [extent.west, extent.south, extent.east, extent.north]
        made["extent"]["spatial"] = {"bbox": [box], "crs": CRS84}
    return made


def case_feature(case: CaseView, locale: Locale) -> dict[str, Any]:
    """Return a case as a flat feature, for programs that know tables; a case without position has no geometry."""
    last: Mapping[str, Any] | None = case.chain[-1] if case.chain else None
    geometry = None
    if case.lon is not None and case.lat is not None:
        geometry = {"type": "Point", "coordinates": [round(case.lon, 7), round(case.lat, 7)]}
    return {
        "type": "Feature",
        "id": case.ref,
        "geometry": geometry,
        "properties": {
            "case": case.ref,
            "status": case.state.value,
            "light": case.light.value,
            "category": case.category,
            "category_name": (case.category_en if locale == "en" else case.category_zh) or case.category_zh,
            "channel": case.channel,
            "text": mask_text(case.text),
            "address": mask_text(case.address),
            "reported_at": instant(case.reported_at),
            "dispatched_at": instant(case.dispatched_at),
            "handled_at": instant(case.handled_at),
            "closed_at": instant(case.closed_at),
            "due_at": instant(case.due_at),
            "cell": last["code"] if last else None,
            "cell_name": name_of(last, locale) if last else None,
            "out_of_grid": case.how == LocatedHow.OUT_OF_GRID,
            "ledgers": _joined(case.ledgers),
        },
    }


def _joined(words: Sequence[str]) -> str:
    return ",".join(words)

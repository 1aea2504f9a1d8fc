"""Cells as GeoJSON features, page by page: the reading side of OGC API – Features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from geo.storage.uow import Unit

__all__ = ["QUERYABLE", "CellFeature", "CellQuery", "count_cell_features", "find_cell_feature", "list_cell_features"]

Box = tuple[float, float, float, float]

#: Property → its condition.
QUERYABLE: Final = {
    "code": "c.code = %(code)s",
    "kind": "c.kind = %(kind)s",
    "parent": "c.level > 1 AND c.path[c.level - 1] = %(parent)s",
}
# What a version's validity is can only be said in one place: also the scheduled and the retired are published.
_PUBLISHED = "v.jurisdiction = %(jurisdiction)s AND v.status <> 'draft' AND v.valid_from IS NOT NULL"
_CURRENT = "v.valid_from <= now() AND (v.valid_until IS NULL OR v.valid_until > now())"
_SOURCE = "FROM geo.cell AS c JOIN geo.grid_version AS v ON v.id = c.version_id"
# Rings: RFC 7946 §3.1.6 wants the outer one anticlockwise. Seven decimals are the grid of the vertices themselves.
_FEATURE = f"""
json_build_object(
    'type', 'Feature',
    'id', CASE WHEN {_CURRENT} THEN c.code ELSE c.code || '@' || v.number END,
    'bbox', json_build_array(ST_XMin(c.boundary), ST_YMin(c.boundary), ST_XMax(c.boundary), ST_YMax(c.boundary)),
    'geometry', ST_AsGeoJSON(ST_ForcePolygonCCW(c.boundary), 7)::json,
    'properties', json_build_object(
        'code', c.code, 'level', c.level, 'kind', c.kind,
        'name', CASE WHEN %(locale)s = 'en' THEN coalesce(nullif(c.name_en, ''), nullif(c.name_zh, ''), c.code)
                     ELSE coalesce(nullif(c.name_zh, ''), nullif(c.name_en, ''), c.code) END,
        'name_zh', c.name_zh, 'name_en', c.name_en,
        'parent', CASE WHEN c.level > 1 THEN c.path[c.level - 1] END,
        'population', c.population, 'households', c.households, 'area_m2', round(c.area_m2::numeric, 1),
        'version', v.number,
        'valid_from', to_char(v.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'valid_until', to_char(v.valid_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))::text
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellQuery:
    """Which cells are asked for.

    Parameters
    ----------
    span
        None asks for the cells valid now; else for those of every version that was valid at some time of the closed
        interval. None at an end means open.
    boxes
        A cell must meet one of them; none at all means everywhere. SRID: 4326.
    equal
        Values of `QUERYABLE` properties.
    """

    jurisdiction: str
    level: int
    span: tuple[datetime | None, datetime | None] | None = None
    boxes: Sequence[Box] = ()
    equal: Mapping[str, str] = field(default_factory=dict)

    def condition(self) -> tuple[str, dict[str, Any]]:
        """Return the WHERE clause and its values."""
        clauses = [_PUBLISHED, "c.level = %(level)s"]
        values: dict[str, Any] = {"jurisdiction": self.jurisdiction, "level": self.level, **self.equal}
        if self.span is None:
            clauses.append(_CURRENT)
        else:
            values |= {"since": self.span[0], "until": self.span[1]}
            clauses.append("(%(until)s::timestamptz IS NULL OR v.valid_from <= %(until)s)")
            clauses.append("(%(since)s::timestamptz IS NULL OR v.valid_until IS NULL OR v.valid_until > %(since)s)")
        meets = []
        for number, box in enumerate(self.boxes):
            names = [f"box{number}_{side}" for side in ("west", "south", "east", "north")]
            values |= dict(zip(names, box, strict=True))
            west, south, east, north = (f"%({name})s" for name in names)
            # The envelope of a line, not ST_MakeEnvelope: a box without width is a line or a point, and not an
            # invalid polygon that meets nothing.
            line = f"ST_MakeLine(ST_MakePoint({west}, {south}), ST_MakePoint({east}, {north}))"
            meets.append(f"ST_Intersects(c.boundary, ST_Envelope(ST_SetSRID({line}, 4326)))")
        if meets:
            clauses.append("(" + " OR ".join(meets) + ")")
        clauses += [QUERYABLE[name] for name in self.equal]
        return " AND ".join(clauses), values


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFeature:
    """A feature as JSON text, and its place in the order of the pages."""

    number: int
    code: str
    text: str


async def list_cell_features(
    unit: Unit, asked: CellQuery, *, locale: str, limit: int, after: tuple[int, str] | None
) -> list[CellFeature]:
    """Return a page of features by version and code, after a place in that order.

    Notes
    -----
    The id of a feature is its code; of a version that is not the current one, ``code@version``.
    Cost: only the cells of the page become JSON.
    """
    where, values = asked.condition()
    values |= {"locale": locale, "limit": limit}
    if after is not None:
        where += ' AND (v.number, c.code COLLATE "C") > (%(after_number)s, %(after_code)s)'
        values |= {"after_number": after[0], "after_code": after[1]}
    return await _features(unit, f'{where} ORDER BY v.number, c.code COLLATE "C" LIMIT %(limit)s', values)


async def find_cell_feature(
    unit: Unit, jurisdiction: str, level: int, code: str, *, version: int | None, locale: str
) -> CellFeature | None:
    """Return one feature: of the version valid now, or of a version by its number."""
    where = f"{_PUBLISHED} AND c.level = %(level)s AND c.code = %(code)s AND "
    where += _CURRENT if version is None else "v.number = %(number)s"
    values = {"jurisdiction": jurisdiction, "level": level, "code": code, "number": version, "locale": locale}
    found = await _features(unit, where, values)
    return found[0] if found else None


async def count_cell_features(unit: Unit, asked: CellQuery) -> int:
    """Return how many cells match."""
    where, values = asked.condition()
    driver = await unit.driver()
    row = await (await driver.execute(f"SELECT count(*) {_SOURCE} WHERE {where}", values)).fetchone()
    assert row is not None
    return int(row[0])


async def _features(unit: Unit, where: str, values: Mapping[str, Any]) -> list[CellFeature]:
    driver = await unit.driver()
    async with driver.cursor() as cursor:
        # Names and clauses are constants of this module; every value is passed.
        await cursor.execute(f"SELECT v.number, c.code, {_FEATURE} AS text {_SOURCE} WHERE {where}", values)
        return [CellFeature(number=row[0], code=row[1], text=row[2]) for row in await cursor.fetchall()]

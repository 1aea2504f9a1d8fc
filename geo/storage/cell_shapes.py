"""Reading the cells of a version as shapes, for maps that are drawn on the server."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from geo.lookup import CellBoundary
from geo.storage.uow import Unit

__all__ = ["CellShape", "read_boundaries", "read_cell_shapes", "read_metric_srid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellShape:
    """A cell as a map draws it; ``path`` is the chain of codes down to it.

    SRID: 4326 for ``boundary`` (WKB). Units: ``area_m2`` square metres.
    """

    level: int
    code: str
    name_zh: str
    name_en: str
    population: int | None
    area_m2: float
    boundary: bytes
    path: tuple[str, ...] = ()

    def name(self, locale: str) -> str:
        """Name in the caller's language, falling back to the other one, then to the code."""
        first, second = (self.name_en, self.name_zh) if locale == "en" else (self.name_zh, self.name_en)
        return first or second or self.code


async def read_cell_shapes(unit: Unit, version_id: int) -> list[CellShape]:
    """Return every cell of a version, by level and code.

    Notes
    -----
    Cost: about 1 kB per cell goes over the connection. A version is immutable once active, so callers keep the result.
    """
    rows = await unit.connection.execute(
        text(
            "SELECT level, code, name_zh, name_en, population, area_m2, ST_AsBinary(boundary) AS boundary,"
            " path"
            ' FROM geo.cell WHERE version_id = :version_id ORDER BY level, code COLLATE "C"'
        ),
        {"version_id": version_id},
    )
    return [
        CellShape(
            level=row.level,
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            population=row.population,
            area_m2=row.area_m2,
            boundary=bytes(row.boundary),
            path=tuple(row.path),
        )
        for row in rows
    ]


async def read_metric_srid(unit: Unit, version_id: int) -> int:
    """Return the projected system of the jurisdiction that a version belongs to."""
    found = await unit.connection.execute(
        text(
            "SELECT j.metric_srid FROM geo.grid_version v JOIN geo.jurisdiction j ON j.code = v.jurisdiction"
            " WHERE v.id = :version_id"
        ),
        {"version_id": version_id},
    )
    return int(found.scalar_one())


async def read_boundaries(unit: Unit, version_id: int) -> list[CellBoundary]:
    """Return the cells of any version as the in-memory lookup takes them."""
    rows = await unit.connection.execute(
        text("SELECT id, level, code, parent_id, ST_AsBinary(boundary) FROM geo.cell WHERE version_id = :version_id"),
        {"version_id": version_id},
    )
    return [
        CellBoundary(cell_id=row[0], level=row[1], code=row[2], parent_id=row[3], boundary=bytes(row[4]))
        for row in rows
    ]

"""Drafts in the database: copied, loaded as a patch, written back after a change, discarded; never a published one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from psycopg.rows import dict_row
from shapely.geometry import MultiPolygon

from geo.cells import VersionStatus
from geo.coordinates import GRID_PER_DEGREE, SRID_WGS84
from geo.errors import ConflictError
from geo.importing.measures import area_m2, label_points
from geo.redraw.operations import Add, Edit, Lineage, Merge, MoveBoundary, Operation, Reassign, Retire, Split
from geo.redraw.patch import DraftCell, Patch, local_shape
from geo.storage.draft_undo import note_before, note_made
from geo.storage.grid_versions import GridVersion, get_version
from geo.storage.uow import Unit, WriteUnit

_COPY = """
WITH copied AS MATERIALIZED (
  SELECT c.*, nextval(pg_get_serial_sequence('geo.cell', 'id')) AS new_id
    FROM geo.cell AS c WHERE c.version_id = %(source)s)
INSERT INTO geo.cell (id, version_id, level, code, name_zh, name_en, kind, parent_id, path, population, households,
                      area_m2, boundary, label_point)
SELECT c.new_id, %(target)s, c.level, c.code, c.name_zh, c.name_en, c.kind, p.new_id, c.path, c.population,
       c.households, c.area_m2, c.boundary, c.label_point
  FROM copied AS c LEFT JOIN copied AS p ON p.id = c.parent_id
"""
_TARGETS = """
SELECT path, ST_XMin(boundary), ST_YMin(boundary), ST_XMax(boundary), ST_YMax(boundary)
  FROM geo.cell WHERE version_id = %(version)s AND code = ANY (%(codes)s)
"""
# Everything that touches the box, the whole lines of ancestors, and the ancestors' families.
_PATCH = """
WITH above AS (SELECT id FROM geo.cell WHERE version_id = %(version)s AND code = ANY (%(above)s))
SELECT c.id, c.level, c.code, c.path, c.name_zh, c.name_en, c.kind, c.population, c.households,
       ST_AsBinary(c.boundary) AS boundary,
       (SELECT count(*) FROM geo.cell AS child WHERE child.parent_id = c.id) AS children
  FROM geo.cell AS c
 WHERE c.version_id = %(version)s
   AND (c.boundary && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326)
        OR c.code = ANY (%(above)s) OR c.parent_id IN (SELECT id FROM above))
"""
_WRITE = """
UPDATE geo.cell SET level = %(level)s, code = %(code)s, name_zh = %(name_zh)s, name_en = %(name_en)s, kind = %(kind)s,
       parent_id = %(parent_id)s, path = %(path)s, population = %(population)s, households = %(households)s
 WHERE id = %(id)s
"""
_SHAPE = """
UPDATE geo.cell SET area_m2 = %(area_m2)s, boundary = %(boundary)s::geometry, label_point = %(label)s::geometry
 WHERE id = %(id)s
"""
_INSERT = """
INSERT INTO geo.cell (version_id, level, code, name_zh, name_en, kind, parent_id, path, population, households,
                      area_m2, boundary, label_point)
VALUES (%(version)s, %(level)s, %(code)s, %(name_zh)s, %(name_en)s, %(kind)s, %(parent_id)s, %(path)s, %(population)s,
        %(households)s, %(area_m2)s, %(boundary)s::geometry, %(label)s::geometry)
RETURNING id
"""
_MARGIN = 4 / GRID_PER_DEGREE


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageRow:
    """One row of a version's lineage, as it is told."""

    seq: int
    kind: str
    from_code: str
    to_code: str
    share: float
    actor: str


async def lock_draft(unit: WriteUnit, jurisdiction: str, number: int, *, seen: int | None = None) -> GridVersion:
    """Lock a draft, so that changes of one draft come one after the other.

    Parameters
    ----------
    seen
        The revision the caller looked at; None skips the comparison.

    Raises
    ------
    NotFoundError
        ``geo.version_unknown``.
    ConflictError
        ``geo.version_not_draft``; ``geo.draft_changed`` when somebody was faster.
    """
    driver = await unit.driver()
    # NO KEY: a report's foreign key must not wait for a redraw.
    await driver.execute("SELECT FROM geo.jurisdiction WHERE code = %s FOR NO KEY UPDATE", (jurisdiction,))
    version = await get_version(unit, jurisdiction, number)
    if version.status is not VersionStatus.DRAFT:
        raise ConflictError("geo.version_not_draft", number=number)
    if seen is not None and seen != version.revision:
        raise ConflictError("geo.draft_changed", number=number, seen=seen, now=version.revision)
    return version


async def copy_version(unit: WriteUnit, source: int, target: int) -> int:
    """Copy all cells of a version into a draft; return how many. Cost: one statement."""
    driver = await unit.driver()
    copied = (await driver.execute(_COPY, {"source": source, "target": target})).rowcount
    # Until autovacuum comes by, the planner would take the new version for an empty one.
    await driver.execute("ANALYZE geo.cell")
    return copied


async def discard_draft(unit: WriteUnit, jurisdiction: str, number: int) -> None:
    """Delete a draft with its cells and lineage.

    Raises
    ------
    ConflictError
        ``geo.version_not_draft``; ``geo.version_is_base`` when another version was copied from it.
    """
    version = await lock_draft(unit, jurisdiction, number)
    driver = await unit.driver()
    based = await (
        await driver.execute("SELECT min(number) FROM geo.grid_version WHERE based_on = %s", (version.id,))
    ).fetchone()
    if based is not None and based[0] is not None:
        raise ConflictError("geo.version_is_base", number=number, other=based[0])
    # A new draft is not in the statistics yet; the foreign key's own query would read the version for every cell.
    await driver.execute("ANALYZE geo.cell")
    await driver.execute("DELETE FROM geo.cell WHERE version_id = %s", (version.id,))
    for table in ("cell_lineage", "accepted_finding"):
        await driver.execute(f"DELETE FROM geo.{table} WHERE version_id = %s", (version.id,))  # noqa: S608
    await driver.execute("DELETE FROM geo.grid_version WHERE id = %s", (version.id,))


async def load_patch(unit: Unit, version_id: int, operation: Operation) -> Patch:
    """Read the cells that an operation may change, and those it must be checked against."""
    codes, positions = _named(operation)
    driver = await unit.driver()
    rows = await (await driver.execute(_TARGETS, {"version": version_id, "codes": codes})).fetchall()
    boxes = [row[1:] for row in rows] + [(x, y, x, y) for x, y in positions]
    if not boxes:
        return Patch(origin=(0, 0), cells={})
    west, south = (min(box[i] for box in boxes) - _MARGIN for i in (0, 1))
    east, north = (max(box[i] for box in boxes) + _MARGIN for i in (2, 3))
    above = sorted({code for row in rows for code in row[0]})
    async with driver.cursor(row_factory=dict_row, binary=True) as cursor:
        await cursor.execute(
            _PATCH,
            {"version": version_id, "above": above, "west": west, "south": south, "east": east, "north": north},
        )
        found = await cursor.fetchall()
    origin = (round(west * GRID_PER_DEGREE), round(south * GRID_PER_DEGREE))
    shapes = shapely.from_wkb(np.array([row["boundary"] for row in found], dtype=object))
    cells = {row["code"]: _cell(row, shape, origin) for row, shape in zip(found, shapes, strict=True)}
    here: dict[str | None, int] = {}
    for cell in cells.values():
        here[cell.parent] = here.get(cell.parent, 0) + 1
    whole = frozenset(row["code"] for row in found if here.get(row["code"], 0) == row["children"])
    return Patch(origin=origin, cells=cells, whole=whole)


async def save_patch(
    unit: WriteUnit, version: GridVersion, patch: Patch, kind: str, lineage: Sequence[Lineage], *, actor: str
) -> int:
    """Write what an operation changed, its lineage, and the draft's next revision; return that revision."""
    driver = await unit.driver()
    ids: dict[str, int] = {code: cell.id for code, cell in patch.before.items() if cell.id is not None}
    kept = {cell.id for cell in patch.cells.values()}
    gone = [cell.id for cell in patch.before.values() if cell.id is not None and cell.id not in kept]
    touched = [
        cell.id for cell in patch.cells.values() if cell.id is not None and cell is not patch.before.get(cell.code)
    ]
    await note_before(unit, version, kind, [*gone, *touched])
    made: list[int] = []
    # A code that one cell gives up may be taken by another in the same act; UNIQUE is checked row by row.
    await driver.execute(
        "UPDATE geo.cell SET code = '\x7f' || id, path[level] = '\x7f' || id WHERE id = ANY (%s)", (gone,)
    )
    for cell in sorted(patch.cells.values(), key=lambda cell: cell.level):
        old = patch.before.get(cell.code) or _by_id(patch, cell.id)
        if cell is old:
            continue
        values = _columns(cell, ids)
        if cell.id is None:
            row = await (
                await driver.execute(_INSERT, {**values, **_measures(patch, cell), "version": version.id})
            ).fetchone()
            assert row is not None
            ids[cell.code] = row[0]
            made.append(row[0])
            continue
        ids[cell.code] = cell.id
        await driver.execute(_WRITE, values)
        if old is None or cell.shape is not old.shape:
            await driver.execute(_SHAPE, {**_measures(patch, cell), "id": cell.id})
    await driver.execute("DELETE FROM geo.cell WHERE id = ANY (%s)", (gone,))
    await note_made(unit, version, kind, made)
    row = await (
        await driver.execute(
            "UPDATE geo.grid_version SET revision = revision + 1 WHERE id = %s RETURNING revision", (version.id,)
        )
    ).fetchone()
    assert row is not None
    revision: int = row[0]
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO geo.cell_lineage (version_id, seq, kind, from_code, to_code, share, actor)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [(version.id, revision, kind, each.from_code, each.to_code, each.share, actor) for each in lineage],
        )
    return revision


async def count_cells(unit: Unit, jurisdiction: str) -> dict[int, dict[int, int]]:
    """Return how many cells each version has, by version id and level."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT c.version_id, c.level, count(*) FROM geo.cell AS c"
            " JOIN geo.grid_version AS v ON v.id = c.version_id"
            " WHERE v.jurisdiction = %s GROUP BY c.version_id, c.level ORDER BY c.level",
            (jurisdiction,),
        )
    ).fetchall()
    found: dict[int, dict[int, int]] = {}
    for version_id, level, count in rows:
        found.setdefault(version_id, {})[level] = count
    return found


async def read_lineage(unit: Unit, version_id: int) -> list[LineageRow]:
    """Return how a version's cells came from those of the version it was copied from, in the order it was drawn."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT seq, kind, from_code, to_code, share, actor FROM geo.cell_lineage WHERE version_id = %s"
            ' ORDER BY seq, from_code COLLATE "C", to_code COLLATE "C"',
            (version_id,),
        )
        return [LineageRow(**row) for row in await cursor.fetchall()]


def _named(operation: Operation) -> tuple[list[str], list[tuple[float, float]]]:
    """Codes and positions around which an operation changes something; a line does so only within its cells."""
    match operation:
        case Split():
            return [operation.cell, *(part.code for part in operation.into)], []
        case Merge():
            return [*operation.cells, operation.into.code], []
        case MoveBoundary():
            return list(operation.cells), []
        case Reassign():
            return [operation.cell, operation.parent], []
        case Retire():
            return [operation.cell, operation.to], []
        case Edit():
            return [operation.cell, str(operation.changes.get("code", operation.cell))], []
        case Add():
            above = [operation.parent] if operation.parent is not None else []
            return [operation.into.code, *above], [position for ring in operation.rings for position in ring]


def _cell(row: dict[str, Any], shape: MultiPolygon, origin: tuple[int, int]) -> DraftCell:
    path = tuple(row["path"])
    return DraftCell(
        id=row["id"],
        code=row["code"],
        level=row["level"],
        path=path,
        parent=path[-2] if len(path) > 1 else None,
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        kind=row["kind"],
        population=row["population"],
        households=row["households"],
        shape=local_shape(shape, origin),
    )


def _by_id(patch: Patch, row: int | None) -> DraftCell | None:
    return next((cell for cell in patch.before.values() if cell.id == row), None) if row is not None else None


def _columns(cell: DraftCell, ids: dict[str, int]) -> dict[str, Any]:
    return {
        "id": cell.id,
        "level": cell.level,
        "code": cell.code,
        "name_zh": cell.name_zh,
        "name_en": cell.name_en,
        "kind": cell.kind,
        "parent_id": ids[cell.parent] if cell.parent is not None else None,
        "path": list(cell.path),
        "population": cell.population,
        "households": cell.households,
    }


def _measures(patch: Patch, cell: DraftCell) -> dict[str, Any]:
    boundary = patch.shape_in_degrees(cell.shape)
    label = label_points([boundary])[0]
    return {
        "area_m2": area_m2(boundary),
        "boundary": shapely.to_wkb(shapely.set_srid(boundary, SRID_WGS84), hex=True, include_srid=True),
        "label": shapely.to_wkb(shapely.set_srid(label, SRID_WGS84), hex=True, include_srid=True),
    }

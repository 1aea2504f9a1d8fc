"""Taking back the last change of a draft: what its cells were is written down before, and put back after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from geo.errors import ConflictError
from geo.storage.grid_versions import GridVersion
from geo.storage.uow import Unit, WriteUnit

__all__ = ["Undone", "count_undoable", "note_before", "note_made", "undo_last"]

# The geometry as EWKB: a jsonb of PostGIS' own making would be GeoJSON, rounded to nine digits.
_BEFORE: Final = """
INSERT INTO geo.cell_undo (version_id, seq, cell_id, kind, was)
SELECT c.version_id, %(seq)s, c.id, %(kind)s,
       to_jsonb(c) || jsonb_build_object('boundary', encode(ST_AsEWKB(c.boundary), 'hex'),
                                         'label_point', encode(ST_AsEWKB(c.label_point), 'hex'))
  FROM geo.cell AS c WHERE c.version_id = %(version)s AND c.id = ANY (%(ids)s)
"""
_MADE: Final = """
INSERT INTO geo.cell_undo (version_id, seq, cell_id, kind, was)
SELECT %(version)s, %(seq)s, id, %(kind)s, NULL FROM unnest(%(ids)s::bigint[]) AS id
"""
_LAST: Final = """
SELECT seq, kind FROM geo.cell_undo WHERE version_id = %s ORDER BY seq DESC LIMIT 1
"""
# In this order: every code that may come back is free before it is taken, and no cell loses its parent on the way.
_BACK: Final = (
    "UPDATE geo.cell SET code = '\x7f' || id, path[level] = '\x7f' || id"
    " WHERE id IN (SELECT cell_id FROM geo.cell_undo WHERE version_id = %(version)s AND seq = %(seq)s)",
    "INSERT INTO geo.cell SELECT r.* FROM geo.cell_undo AS u,"
    " LATERAL jsonb_populate_record(NULL::geo.cell, u.was) AS r"
    " WHERE u.version_id = %(version)s AND u.seq = %(seq)s AND u.was IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM geo.cell AS c WHERE c.id = u.cell_id)",
    "UPDATE geo.cell AS c SET level = r.level, code = r.code, name_zh = r.name_zh, name_en = r.name_en, kind = r.kind,"
    " parent_id = r.parent_id, path = r.path, population = r.population, households = r.households,"
    " area_m2 = r.area_m2, boundary = r.boundary, label_point = r.label_point"
    " FROM geo.cell_undo AS u, LATERAL jsonb_populate_record(NULL::geo.cell, u.was) AS r"
    " WHERE u.version_id = %(version)s AND u.seq = %(seq)s AND u.was IS NOT NULL AND c.id = u.cell_id",
    "DELETE FROM geo.cell WHERE id IN"
    " (SELECT cell_id FROM geo.cell_undo WHERE version_id = %(version)s AND seq = %(seq)s AND was IS NULL)",
    "DELETE FROM geo.cell_lineage WHERE version_id = %(version)s AND seq = %(seq)s",
    "DELETE FROM geo.cell_undo WHERE version_id = %(version)s AND seq = %(seq)s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What was taken back: the change of this revision, and the draft's revision now."""

    seq: int
    kind: str
    revision: int


async def note_before(unit: WriteUnit, version: GridVersion, kind: str, ids: Sequence[int]) -> None:
    """Write down cells that the next change will change or remove."""
    driver = await unit.driver()
    values = {"version": version.id, "seq": version.revision + 1, "kind": kind, "ids": list(ids)}
    await driver.execute(_BEFORE, values)


async def note_made(unit: WriteUnit, version: GridVersion, kind: str, ids: Sequence[int]) -> None:
    """Write down cells that the change has made."""
    driver = await unit.driver()
    await driver.execute(_MADE, {"version": version.id, "seq": version.revision + 1, "kind": kind, "ids": list(ids)})


async def count_undoable(unit: Unit, version_id: int) -> int:
    """Return how many changes of a draft can be taken back, one after the other."""
    driver = await unit.driver()
    row = await (
        await driver.execute("SELECT count(DISTINCT seq) FROM geo.cell_undo WHERE version_id = %s", (version_id,))
    ).fetchone()
    return int(row[0]) if row else 0


async def undo_last(unit: WriteUnit, version: GridVersion) -> Undone:
    """Take back the last change of a draft that is locked; its lineage goes as well.

    Raises
    ------
    ConflictError
        ``geo.nothing_to_undo``.

    Notes
    -----
    The revision grows: whoever has seen the change must see that it is gone.
    """
    driver = await unit.driver()
    last = await (await driver.execute(_LAST, (version.id,))).fetchone()
    if last is None:
        raise ConflictError("geo.nothing_to_undo", number=version.number)
    for step in _BACK:
        await driver.execute(step, {"version": version.id, "seq": last[0]})
    row = await (
        await driver.execute(
            "UPDATE geo.grid_version SET revision = revision + 1 WHERE id = %s RETURNING revision", (version.id,)
        )
    ).fetchone()
    assert row is not None
    return Undone(seq=last[0], kind=last[1], revision=row[0])

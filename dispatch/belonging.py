"""Whose a case is: the cells it lies in and is answered for in, the departments that have a part in it, its channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import dict_row

from geo.storage.uow import Unit

__all__ = ["BELONGING_COLUMNS", "Belonging", "find_belongings", "find_leg_department"]

#: Columns of a case as ``c``. A redraw may have handed it over: then both drawings count.
BELONGING_COLUMNS = (
    "c.cell_path || coalesce(c.owner_path, '{}') AS area,"
    " array_remove(ARRAY[c.department_code], NULL) || coalesce(c.leg_departments, '{}') AS departments"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """What decides who sees a case."""

    cells: tuple[str, ...]
    departments: tuple[str, ...]
    channel: str


async def find_belongings(unit: Unit, refs: Sequence[str]) -> dict[str, Belonging]:
    """Those of these cases that this unit sees."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT c.ref, c.channel_code AS channel, {BELONGING_COLUMNS}"  # noqa: S608 - constants only
            " FROM dispatch.dispatch_case AS c WHERE c.ref = ANY (%s)",
            (list(refs),),
        )
        return {
            row["ref"]: Belonging(
                cells=tuple(row["area"]), departments=tuple(row["departments"]), channel=row["channel"]
            )
            for row in await cursor.fetchall()
        }


async def find_leg_department(unit: Unit, ref: str, number: int) -> str | None:
    """The department of a leg of a joint case, if this unit sees it."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT l.department_code FROM dispatch.case_leg AS l JOIN dispatch.dispatch_case AS c ON c.id = l.case_id"
            " WHERE c.ref = %s AND l.number = %s",
            (ref, number),
        )
    ).fetchone()
    return row[0] if row else None

"""Smallest cells without their own head on duty: their B post answers, or nobody of theirs does."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import text

from geo.storage.uow import Unit

__all__ = ["Gap", "list_duty_gaps"]


class Gap(StrEnum):
    """What is missing in a cell; where nobody answers, its parents' heads do."""

    BACKUP = "backup"
    NOBODY = "nobody"


# The rule of who is available is the function's own; it is asked once per parent, with all children together.
_GAPS = text("""
WITH leaves AS (
  SELECT c.code, c.path, coalesce(c.path[c.level - 1], '') AS parent
    FROM geo.cell AS c
   WHERE c.version_id = :version AND c.level = (SELECT max(level) FROM geo.cell WHERE version_id = :version)
), families AS (
  SELECT array_agg(code) AS codes FROM leaves GROUP BY parent
), duty AS (
  SELECT d.cell_code, bool_or(d.is_available AND d.rank = 'A') AS has_first, bool_or(d.is_available) AS has_any
    FROM families AS f CROSS JOIN LATERAL dispatch.duty_ladder(:jurisdiction, f.codes, NULL::text, :at) AS d
   GROUP BY d.cell_code
)
SELECT l.code, l.path, coalesce(d.has_any, false) AS has_any
  FROM leaves AS l LEFT JOIN duty AS d ON d.cell_code = l.code
 WHERE NOT coalesce(d.has_first, false)
 ORDER BY l.code COLLATE "C"
""")


async def list_duty_gaps(unit: Unit, jurisdiction: str, version_id: int, at: datetime) -> list[dict[str, Any]]:
    """Cells of the lowest level whose own A post is not on duty, with their path and what is missing.

    Notes
    -----
    Cost: one call of ``dispatch.duty_ladder`` per parent; cells whose A post is on duty are not listed.
    """
    rows = await unit.connection.execute(_GAPS, {"version": version_id, "jurisdiction": jurisdiction, "at": at})
    return [
        {"code": row.code, "path": list(row.path), "gap": Gap.BACKUP if row.has_any else Gap.NOBODY} for row in rows
    ]

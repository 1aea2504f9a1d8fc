"""What hangs on the wall of the office: open cases by place and light, the overdue by rung, the longest overdue.

Counts and codes only: no person, no address, no words of a reporter ever leaves here. In the caller's own transaction:
behind their own policies.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import dict_row

from dispatch.lights import light
from dispatch.states import OPEN_STATES, CaseState, Light
from geo.storage.uow import Unit

__all__ = ["Arrival", "Board", "Overdue", "RungCount", "read_board"]

_OPEN: Final = ", ".join(f"'{state}'" for state in sorted(OPEN_STATES))
_ROWS: Final = f"""
SELECT c.id, c.ref, c.cell_path AS path, c.state, c.due_at, c.warn_at, c.supervised_until IS NOT NULL AS is_supervised,
       c.category_code AS category, c.reported_at, k.name_zh, k.name_en
  FROM dispatch.dispatch_case AS c JOIN dispatch.category AS k ON k.code = c.category_code
 WHERE c.jurisdiction = %(jurisdiction)s AND c.state IN ({_OPEN})
"""  # noqa: S608 - constants only
_RUNGS: Final = """
SELECT rung, min(position) AS position, min(name_zh) AS name_zh, min(name_en) AS name_en, count(*) AS count
  FROM (SELECT DISTINCT ON (e.case_id) e.rung, coalesce(r.position, 0) AS position, coalesce(r.name_zh, '') AS name_zh,
               coalesce(r.name_en, '') AS name_en
          FROM dispatch.escalation AS e
          JOIN dispatch.dispatch_case AS c ON c.id = e.case_id AND c.ladder_epoch = e.clock_epoch AND e.leg = 0
          LEFT JOIN dispatch.ladder_rung AS r ON r.ladder_id = e.ladder_id AND r.code = e.rung
         WHERE e.case_id = ANY (%(ids)s)
         ORDER BY e.case_id, e.fired_at DESC, coalesce(r.position, 0) DESC) AS highest
 GROUP BY rung ORDER BY position, rung
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A case past its deadline."""

    ref: str
    path: tuple[str, ...]
    category_zh: str
    category_en: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RungCount:
    """Overdue cases whose highest rung this is; the empty code: none has fired yet."""

    code: str
    name_zh: str
    name_en: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A case that came in a moment ago."""

    ref: str
    path: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Open cases at an instant. ``lights`` counts by cell path and light."""

    lights: Counter[tuple[tuple[str, ...], Light]]
    overdue: tuple[Overdue, ...]
    rungs: tuple[RungCount, ...]
    arrivals: tuple[Arrival, ...]


async def read_board(unit: Unit, jurisdiction: str, as_of: datetime, *, most: int, arrived_since: datetime) -> Board:
    """Read the board.

    Notes
    -----
    Cost: one pass over the open cases, some ten milliseconds for five thousand.
    """
    driver = await unit.driver()
    lights: Counter[tuple[tuple[str, ...], Light]] = Counter()
    late, arrivals = [], []
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_ROWS.encode(), {"jurisdiction": jurisdiction})
        for row in await cursor.fetchall():
            shown = light(
                CaseState(row["state"]),
                due_at=row["due_at"],
                warn_at=row["warn_at"],
                as_of=as_of,
                is_supervised=row["is_supervised"],
            )
            lights[tuple(row["path"]), shown] += 1
            if shown is Light.RED:
                late.append(row)
            if row["reported_at"] >= arrived_since:
                arrivals.append(Arrival(ref=row["ref"], path=tuple(row["path"]), at=row["reported_at"]))
        late.sort(key=lambda row: (row["due_at"], row["ref"]))
        await cursor.execute(_RUNGS.encode(), {"ids": [row["id"] for row in late]})
        rungs = [
            RungCount(code=row["rung"], name_zh=row["name_zh"], name_en=row["name_en"], count=row["count"])
            for row in await cursor.fetchall()
        ]
    left = len(late) - sum(rung.count for rung in rungs)
    if left:
        rungs.insert(0, RungCount(code="", name_zh="", name_en="", count=left))
    return Board(
        lights=lights,
        overdue=tuple(
            Overdue(
                ref=row["ref"],
                path=tuple(row["path"]),
                category_zh=row["name_zh"],
                category_en=row["name_en"],
                due_at=row["due_at"],
            )
            for row in late[:most]
        ),
        rungs=tuple(rungs),
        arrivals=tuple(sorted(arrivals, key=lambda one: one.at)[-20:]),
    )

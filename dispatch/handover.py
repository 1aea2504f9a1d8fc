"""What a redraw of the grid means for open cases: the report before it, and the hand-over after it (decision 0019).

The cell, path and version that placed a case stay as they were. Who answers follows the version valid now: a case is
found by its point, and when the head there is somebody else the case is handed over, as a recorded fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dispatch.making import Actor
from dispatch.moves import record_event
from dispatch.posts import Rung, find_head, parse_ladder
from dispatch.queries import database_now
from dispatch.states import HAND_OVER_STATES, OPEN_STATES, CaseState
from dispatch.storage.statements import statement
from geo.storage.grid_versions import announce_effective
from geo.storage.uow import Unit, WriteUnit

SYSTEM = Actor(kind="system", id="worker")
EVENT = "case.handed_over.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a version would change for one open case. Empty paths mean: in no cell."""

    case: str
    state: CaseState
    old_path: tuple[str, ...]
    new_path: tuple[str, ...]
    old_head: Rung | None
    new_head: Rung | None
    is_handed_over: bool
    lon: float
    lat: float


def find_new_owner(
    owner_post_id: int | None, old_path: Sequence[str], new_path: Sequence[str], ladder: Sequence[Rung]
) -> Rung | None:
    """Say who takes a case over after a redraw, or None when it stays where it is.

    It stays when nobody owns it yet, when its point lies in no cell any more, when nobody answers there, and when its
    line of cells is the same and the owner's post still belongs to it: then an absence is no reason, only a redraw is.

    Examples
    --------
    >>> a = Rung(level=3, cell_code="c", rank="A", post_id=1, title_zh="甲", title_en="A", person_id=None,
    ...          person_name=None, leave_until=None, is_available=True)
    >>> find_new_owner(1, ["c"], ["c"], [a]) is None, find_new_owner(7, ["b"], ["c"], [a]).post_id
    (True, 1)
    """
    head = find_head(ladder)
    if owner_post_id is None or not new_path or head is None or head.rung.post_id == owner_post_id:
        return None
    if tuple(old_path) == tuple(new_path) and any(rung.post_id == owner_post_id for rung in ladder):
        return None
    return head.rung


async def read_effect(unit: Unit, jurisdiction: str, version_id: int, at: datetime | None = None) -> list[Effect]:
    """List the open cases whose cell or head another version would change, as if it became valid at an instant.

    Parameters
    ----------
    at
        Whose posts and appointments count; now if left out.

    Notes
    -----
    Cost: one look-up per open case with a position (about 0.1 ms) and one ladder per cell they lie in.
    """
    driver = await unit.driver()
    query = _with_states("effect", OPEN_STATES)
    values = {"version": version_id, "jurisdiction": jurisdiction, "at": at or await database_now(unit)}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        rows = await cursor.fetchall()
    effects = [_effect(row) for row in rows]
    return [effect for effect in effects if effect.is_handed_over or effect.old_path != effect.new_path]


def _effect(row: dict[str, Any]) -> Effect:
    ladder = parse_ladder(row["ladder"])
    old_path, new_path = tuple(row["old_path"]), tuple(row["new_path"] or ())
    taken = find_new_owner(row["owner_post_id"], old_path, new_path, ladder)
    old = next((r for r in parse_ladder(row["owner_ladder"]) if r.post_id == row["owner_post_id"]), None)
    state = CaseState(row["state"])
    first = find_head(ladder)
    return Effect(
        case=row["ref"],
        state=state,
        old_path=old_path,
        new_path=new_path,
        old_head=old,
        # Before a case is dispatched nobody owns it: then the report says who would get it.
        new_head=taken or (old if old is not None else first.rung if first else None),
        is_handed_over=taken is not None and state in HAND_OVER_STATES,
        lon=row["lon"],
        lat=row["lat"],
    )


async def hand_over(unit: WriteUnit, *, batch: int) -> int:
    """Bring open cases up to the grid version valid now; return how many were looked at.

    Found by a query, not by a list made at activation: a scheduled version takes effect by itself, a case that was
    being moved or filed at that instant is found by the next pass, and a second worker finds nothing left.
    """
    told = await announce_effective(unit)
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_with_states("hand_over", HAND_OVER_STATES), {"batch": batch})
        rows = await cursor.fetchall()
    at = await database_now(unit)
    for row in rows:
        await _take(unit, row, at)
    return len(rows) + told


async def _take(unit: WriteUnit, row: dict[str, Any], at: datetime) -> None:
    driver = await unit.driver()
    ladder = parse_ladder(row["ladder"])
    old_path, new_path = row["old_path"], row["new_path"] or row["old_path"]
    taken = find_new_owner(row["owner_post_id"], old_path, row["new_path"] or (), ladder)
    # Empty while it says the same as the path that placed the case.
    path = None if new_path == row["cell_path"] else new_path
    await driver.execute(
        "UPDATE dispatch.dispatch_case SET owner_version_id = %s, owner_path = %s WHERE id = %s",
        (row["version_id"], path, row["id"]),
    )
    if taken is None:
        return
    former = next((r for r in parse_ladder(row["owner_ladder"]) if r.post_id == row["owner_post_id"]), None)
    await driver.execute(
        "UPDATE dispatch.dispatch_case SET owner_post_id = %s, owner_person_id = %s, owner_ladder = %s,"
        " version = version + 1 WHERE id = %s",
        (taken.post_id, taken.person_id, Jsonb(row["ladder"]), row["id"]),
    )
    await record_event(
        unit,
        case_id=row["id"],
        kind=EVENT,
        moves=["hand_over"],
        from_state=row["state"],
        to_state=row["state"],
        at=at,
        actor=SYSTEM,
        payload={
            "grid_version": row["version_number"],
            "from_path": old_path,
            "to_path": new_path,
            "from_post_id": row["owner_post_id"],
            "from_zh": former.title_zh if former else None,
            "from_en": former.title_en if former else None,
            "told_post_id": taken.post_id,
            "told_zh": taken.title_zh,
            "told_en": taken.title_en,
            "told_person_id": str(taken.person_id) if taken.person_id else None,
            "ladder": row["ladder"],
        },
    )


def _with_states(name: str, states: frozenset[CaseState]) -> str:
    # Written into the text, not passed: the planner must see that the partial index applies.
    listed = "state IN (" + ", ".join(f"'{state}'" for state in sorted(states)) + ")"
    return statement(name).replace("{states}", listed)

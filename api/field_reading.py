"""What somebody in the field has before them: their cases by deadline with what they may do, and their cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from api.access import possible_for
from api.accounts.callers import Caller
from api.container import Container
from api.joint_json import leg_json
from api.rendering import case_json, instant
from api.responsible import zone_of
from dispatch.case_views import CaseView
from dispatch.guards import possible_moves
from dispatch.joint import LegMove, may_leg
from dispatch.queries import database_now, list_by_deadline
from dispatch.states import CaseState
from dispatch.storage.legs import list_legs
from dispatch.workflow import Line, Move
from geo.coordinates import CoordSys, from_wgs84
from geo.storage.uow import ReadUnit, Unit
from maps.i18n import Locale

__all__ = ["FIELD_MOVES", "MOST_CASES", "line_of", "moves_for", "read_cells", "read_day"]

MOST_CASES: Final = 150
MOST_CELLS: Final = 300
#: Where somebody out there has something to do, or waits for somebody else's word.
_STATES: Final = (CaseState.VERIFYING, CaseState.DISPATCHED, CaseState.HANDLING, CaseState.SUSPENDED, CaseState.HANDLED)
FIELD_MOVES: Final = (
    Move.ACKNOWLEDGE,
    Move.REPORT_BACK,
    Move.REPORT_PHASE,
    Move.VERIFY_DONE,
    Move.CHECK_PASS,
    Move.CHECK_FAIL,
    Move.ANSWER_SUPERVISION,
    Move.RESUME,
    Move.RETURN,
    Move.REQUEST_EXTENSION,
    Move.REQUEST_SUSPEND,
)
_SHOWN: Final = (
    *("case", "version", "status", "light", "category", "text", "address", "due_at", "due_provisional", "reported_at"),
    *("acknowledged_at", "handled_at", "suspended_until", "location", "accuracy_m", "confirm_on_site", "out_of_grid"),
    *("asked", "supervised_until", "returns", "limit"),
)


async def line_of(container: Container, cells: Iterable[str]) -> Line:
    """Whether a place works on the short line."""
    reference = await container.reference.get()
    return reference.profile(container.settings.jurisdiction, list(cells)).line


async def moves_for(unit: Unit, container: Container, caller: Caller, case: CaseView) -> tuple[Move, ...]:
    """What somebody may do with a case out there now, the likeliest first."""
    line = await line_of(container, [cell["code"] for cell in case.chain])
    possible = possible_moves(case.facts(await database_now(unit)), line, caller.id)
    held = set(possible_for(caller, case.belonging, possible, line))
    return tuple(move for move in FIELD_MOVES if move in held)


async def read_day(unit: ReadUnit, container: Container, caller: Caller, locale: Locale) -> dict[str, Any]:
    """Open cases in sight, the first to be due first, each with what may be done."""
    as_of = await database_now(unit)
    found = await list_by_deadline(unit, container.settings.jurisdiction, _STATES, limit=MOST_CASES + 1, as_of=as_of)
    cases = [await _case(unit, container, caller, case, locale) for case in found[:MOST_CASES]]
    return {
        "person": {
            "id": caller.id,
            "name": caller.name,
            "roles": [role.value for role in caller.roles],
            "areas": [code for grant in caller.grants if (code := grant.area.cell or grant.area.department)],
        },
        "cases": cases,
        "more": len(found) > MOST_CASES,
        "as_of": instant(as_of),
    }


async def _case(unit: ReadUnit, container: Container, caller: Caller, case: CaseView, locale: Locale) -> dict[str, Any]:
    zone = await zone_of(container)
    full = case_json(case, locale, zone)
    head = case.head()
    # Their own smallest cell is somebody's own work, whoever of that cell is named; larger ones are for an overview.
    cells = {grant.area.cell for grant in caller.grants if grant.area.cell}
    mine = {grant.area.department for grant in caller.grants if grant.area.department}
    shown = {name: full[name] for name in _SHOWN}
    chain = full["chain"]
    shown |= {
        "cell": chain[-1]["code"] if chain else None,
        "place": [cell["name"] for cell in reversed(chain[-2:])],
        "head": head.rung.person_name if head else None,
        "is_mine": (head is not None and str(head.rung.person_id) == caller.id)
        or bool(mine & set(case.departments))
        or (bool(chain) and chain[-1]["code"] in cells),
        "moves": [move.value for move in await moves_for(unit, container, caller, case)],
        "legs": await _legs(unit, caller, case, locale, zone) if case.open_legs else [],
        "gcj02": None,
    }
    if case.lon is not None and case.lat is not None:
        lon, lat = from_wgs84(case.lon, case.lat, CoordSys.GCJ02)
        shown["gcj02"] = {"lon": round(float(lon), 6), "lat": round(float(lat), 6)}
    return shown


_LEG_MOVES: Final = (LegMove("leg_acknowledge"), LegMove("leg_report_back"), LegMove("leg_return"))


async def _legs(unit: ReadUnit, caller: Caller, case: CaseView, locale: Locale, zone: str) -> list[dict[str, Any]]:
    """The parts of joint work that are this person's to do."""
    shown = []
    for leg in await list_legs(unit, case.id):
        roles = [
            grant.role.value
            for grant in caller.grants
            if grant.area.department in (None, leg.department)
            and (grant.area.cell is None or grant.area.cell in case.area)
        ]
        whole = leg_json(leg, case, locale, zone)
        moves = [move.value for move in _LEG_MOVES if move.value in whole["moves"] and may_leg(roles, move)]
        if moves:
            names = ("leg", "version", "department_name", "task", "status", "status_name", "due_at")
            shown.append({name: whole[name] for name in names} | {"moves": moves})
    return shown


# A head's own cells with everything below them; where that is a whole town, only the cells themselves and the next
# level: nobody finds a path in a thousand polygons on a phone. Six decimals are a tenth of a metre.
_CELLS = """
WITH v AS (SELECT id FROM geo.valid_version(%(jurisdiction)s, now())),
own AS (
  SELECT c.* FROM geo.cell AS c JOIN v ON c.version_id = v.id WHERE c.path && %(areas)s::text[]
),
chosen AS (
  SELECT o.*, count(*) OVER () AS size,
         (SELECT min(level) FROM own) AS top FROM own AS o
)
SELECT c.code, c.level,
       coalesce(nullif(CASE WHEN %(locale)s = 'en' THEN c.name_en ELSE c.name_zh END, ''), c.name_zh) AS name,
       ST_AsGeoJSON(c.boundary, 6)::json -> 'coordinates' AS shape, c.code = ANY (%(areas)s::text[]) AS is_own
  FROM (SELECT id, version_id, code, level, name_zh, name_en, boundary FROM chosen
         WHERE size <= %(most)s OR level <= top + 1
        UNION
        SELECT c.id, c.version_id, c.code, c.level, c.name_zh, c.name_en, c.boundary FROM geo.cell AS c
          JOIN v ON c.version_id = v.id WHERE c.code = ANY (%(codes)s::text[])) AS c
 ORDER BY c.level, c.code LIMIT %(most)s
"""


async def read_cells(unit: ReadUnit, container: Container, caller: Caller, locale: Locale) -> list[dict[str, Any]]:
    """Cells of this person's areas and of the cases in sight, with their outlines. SRID: 4326."""
    jurisdiction = container.settings.jurisdiction
    as_of = await database_now(unit)
    cases: Sequence[CaseView] = await list_by_deadline(unit, jurisdiction, _STATES, limit=MOST_CASES, as_of=as_of)
    codes = {case.chain[-1]["code"] for case in cases if case.chain}
    driver = await unit.driver()
    found = await driver.execute(
        _CELLS,
        {
            "jurisdiction": jurisdiction,
            "areas": [grant.area.cell for grant in caller.grants if grant.area.cell],
            "codes": sorted(codes),
            "locale": locale,
            "most": MOST_CELLS,
        },
    )
    names = ("code", "level", "name", "shape", "is_own")
    return [dict(zip(names, row, strict=True)) for row in await found.fetchall()]

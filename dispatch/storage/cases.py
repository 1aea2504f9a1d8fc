"""Read and lock cases."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.belonging import BELONGING_COLUMNS
from dispatch.case_views import CaseFilter, CaseView, EventView, Inbox
from dispatch.lights import light
from dispatch.states import HANDLING_STATES, OPEN_STATES, TO_DISPATCH_STATES, CaseState, Light
from dispatch.storage.standings import KEPT_LADDER, WHOLE_PAYLOAD
from dispatch.words import WORDS
from geo.storage.uow import Unit, WriteUnit

# One projection for every reader, so that list, stream and single case never show different things.
_COLUMNS = (
    """
c.id, c.ref, c.version, c.state, c.origin, c.channel_code AS channel, n.name_zh AS channel_zh,
n.name_en AS channel_en, c.ticket, c.category_code AS category,
k.name_zh AS category_zh, k.name_en AS category_en, c.condition_number AS condition, c.text, c.address, c.ledgers,
c.reported_at, c.dispatched_at, c.acknowledged_at, c.handled_at, c.closed_at, c.suspended_until, c.due_at,
c.due_provisional, c.warn_at, c.is_on_time, ST_X(c.location) AS lon, ST_Y(c.location) AS lat, c.coord_sys,
c.accuracy_m, c.confirm_on_site, c.limit_value, c.limit_unit, c.located_how AS how,
coalesce(c.nearest, '[]') AS nearest, c.owner_post_id,
coalesce("""  # noqa: S608 - constants only
    + KEPT_LADDER
    + """, '[]') AS ladder,
c.clock_epoch, c.return_count, c.rework_count, c.extension_count, c.suspend_count, c.asked, c.is_exempt, c.follow_up,
c.received_by, c.supervised_until, c.stage_clock, c.stage_due_at, c.open_legs, c.open_phases,
(SELECT p.ref FROM dispatch.dispatch_case AS p WHERE p.id = c.parent_case_id) AS follows,
ARRAY(SELECT f.ref FROM dispatch.dispatch_case AS f WHERE f.parent_case_id = c.id ORDER BY f.ref) AS followers,
coalesce(chain.cells, '[]') AS chain,
CASE WHEN c.ledgers = '{}' THEN '[]' ELSE
  (SELECT jsonb_agg(jsonb_build_object('code', tag.code, 'name_zh', coalesce(l.name_zh, ''),
                                       'name_en', coalesce(l.name_en, '')) ORDER BY tag.place)
     FROM unnest(c.ledgers) WITH ORDINALITY AS tag (code, place) LEFT JOIN dispatch.ledger AS l ON l.code = tag.code)
END AS ledger_names,
"""
    + BELONGING_COLUMNS
)
_SOURCES = """
  FROM dispatch.dispatch_case AS c
  JOIN dispatch.category AS k ON k.code = c.category_code
  JOIN dispatch.channel AS n ON n.code = c.channel_code
  LEFT JOIN LATERAL (
         SELECT jsonb_agg(jsonb_build_object('level', g.level, 'code', g.code, 'name_zh', g.name_zh,
                                             'name_en', g.name_en, 'kind', g.kind) ORDER BY g.level) AS cells
           FROM geo.cell AS g WHERE g.version_id = c.grid_version_id AND g.code = ANY (c.cell_path)) AS chain ON true
"""


def _in_states(states: frozenset[CaseState]) -> str:
    # Written into the text, not passed: the planner must see that the partial index on open cases applies.
    return "c.state IN (" + ", ".join(f"'{state}'" for state in sorted(states)) + ")"


IS_OPEN = _in_states(OPEN_STATES)
_INBOX = {
    # A suspended case waits by approval for its date; it is open, but nobody at the desk has to look at it today.
    Inbox.ALL: IS_OPEN + " AND c.state <> 'suspended'",
    Inbox.TO_DISPATCH: _in_states(TO_DISPATCH_STATES) + " AND c.located_how = 'covers'",
    Inbox.OUT_OF_GRID: _in_states(TO_DISPATCH_STATES) + " AND c.located_how <> 'covers'",
    # The overdue stay here: a case must not leave the inbox that somebody watches by getting worse.
    Inbox.DUE_SOON: _in_states(HANDLING_STATES) + " AND c.warn_at <= now()",
    Inbox.RETURNED: "c.state IN ('returned', 'reopened')",
}


#: Field of the filter → its condition; a field that is None (or empty) asks for nothing.
_CONDITIONS = {
    "states": "c.state = ANY (%(states)s)",
    "cell_code": "c.cell_path @> ARRAY[%(cell_code)s]",
    "category": "(c.category_code = %(category)s OR k.parent = %(category)s"
    " OR k.parent IN (SELECT m.code FROM dispatch.category AS m WHERE m.parent = %(category)s))",
    "channel": "c.channel_code = %(channel)s",
    "ledger": "c.ledgers @> ARRAY[%(ledger)s]",
    # Its own cases, and those it has a leg of.
    "department": "(c.department_code = %(department)s OR c.leg_departments @> ARRAY[%(department)s])",
    "reported_from": "c.reported_at >= %(reported_from)s",
    "reported_until": "c.reported_at < %(reported_until)s",
    "jurisdiction": "c.jurisdiction = %(jurisdiction)s",
    # The first condition is for the index: it is leakproof, so policies do not stand before it.
    "within": "(c.location && ST_GeomFromText(%(within)s, 4326)"
    " AND ST_Covers(ST_GeomFromText(%(within)s, 4326), c.location))",
    "box": "c.location && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326)",
}
_HAS_LIGHT = _in_states(HANDLING_STATES) + " AND c.due_at IS NOT NULL"
_IN_TIME = _HAS_LIGHT + " AND c.due_at >= now()"
#: `dispatch.lights.light` as conditions; a test holds the two equal.
_LIGHTS = {
    Light.SUSPENDED: "c.state = 'suspended'",
    Light.NONE: f"c.state <> 'suspended' AND NOT ({_HAS_LIGHT})",
    Light.RED: _HAS_LIGHT + " AND c.due_at < now()",
    Light.SUPERVISED: _IN_TIME + " AND c.supervised_until IS NOT NULL",
    Light.YELLOW: _IN_TIME + " AND c.supervised_until IS NULL AND c.warn_at <= now()",
    Light.GREEN: _IN_TIME + " AND c.supervised_until IS NULL AND (c.warn_at IS NULL OR c.warn_at > now())",
}
# A box whose west lies east of its east crosses the antimeridian (RFC 7946 §5.2).
_ACROSS = (
    "(c.location && ST_MakeEnvelope(%(west)s, %(south)s, 180, %(north)s, 4326)"
    " OR c.location && ST_MakeEnvelope(-180, %(south)s, %(east)s, %(north)s, 4326))"
)


# The index knows which cases hold all the pairs of characters; that they stand together, the text itself tells.
_SAID = f"""(
  SELECT bool_and(strpos(said.form, dispatch.word_form(w.word)) > 0)
    FROM unnest(%(words)s::text[]) AS w (word), (SELECT dispatch.word_form({WORDS}) AS form) AS said)
"""  # noqa: S608 - constants only
_CANDIDATES = """
SELECT array_agg(f.id) FROM (
  SELECT dispatch.cases_with_terms(dispatch.word_terms(array_to_string(%s::text[], ' '))) AS id LIMIT %s) AS f
"""
#: Words of more cases than this are so common that walking the list in its order meets them soon; the index would
#: bring them all before the first one is shown.
_MOST_CANDIDATES = 5000


async def _clauses(unit: Unit, asked: CaseFilter) -> tuple[list[str], dict[str, Any]]:
    """The conditions of a question; for words, with the cases that come into question when they are few."""
    clauses, values = _conditions(asked)
    if asked.words:
        driver = await unit.driver()
        found = await driver.execute(_CANDIDATES, (list(asked.words), _MOST_CANDIDATES + 1))
        row = await found.fetchone()
        candidates = (row[0] if row is not None else None) or []
        if len(candidates) <= _MOST_CANDIDATES:
            clauses.append("c.id = ANY (%(candidates)s)")
            values["candidates"] = candidates
    return clauses, values


def _conditions(asked: CaseFilter) -> tuple[list[str], dict[str, Any]]:
    clauses = [clause for name, clause in _CONDITIONS.items() if getattr(asked, name)]
    if asked.box is not None and asked.box[0] > asked.box[2]:
        clauses[clauses.index(_CONDITIONS["box"])] = _ACROSS
    values: dict[str, Any] = {name: getattr(asked, name) for name in _CONDITIONS}
    values["states"] = [state.value for state in asked.states]
    values |= dict(zip(("west", "south", "east", "north"), values.pop("box") or (), strict=False))
    if asked.only_open or asked.inbox is not None:
        clauses.append(IS_OPEN)
    if asked.inbox is not None:
        clauses.append(_INBOX[asked.inbox])
    if asked.light is not None:
        clauses.append(_LIGHTS[asked.light])
    if asked.words:
        values["words"] = list(asked.words)
        clauses.append(_SAID)
    return clauses, values


async def list_cases(
    unit: Unit, asked: CaseFilter, *, limit: int, after: tuple[datetime, UUID] | None, as_of: datetime
) -> list[CaseView]:
    """Cases newest first, at most ``limit``, after a position (reported_at, id) of the same order."""
    clauses, values = await _clauses(unit, asked)
    if after is not None:
        clauses.append("(c.reported_at, c.id) < (%(after_at)s, %(after_id)s)")
        values |= {"after_at": after[0], "after_id": after[1]}
    where = " AND ".join(clauses) or "true"
    query = f"SELECT {_COLUMNS} {_SOURCES} WHERE {where} ORDER BY c.reported_at DESC, c.id DESC LIMIT %(limit)s"
    return await _views(unit, query, values | {"limit": limit}, as_of)


async def list_by_deadline(
    unit: Unit, jurisdiction: str, states: Iterable[CaseState], *, limit: int, as_of: datetime
) -> list[CaseView]:
    """Cases in some states, the first to be due first; those without a deadline last, the oldest first."""
    query = (
        f"SELECT {_COLUMNS} {_SOURCES} WHERE {_in_states(frozenset(states))} AND c.jurisdiction = %(jurisdiction)s"
        " ORDER BY c.due_at NULLS LAST, c.reported_at, c.id LIMIT %(limit)s"
    )
    return await _views(unit, query, {"jurisdiction": jurisdiction, "limit": limit}, as_of)


async def stream_cases(
    unit: Unit, asked: CaseFilter, *, as_of: datetime, batch: int
) -> AsyncGenerator[list[CaseView], None]:
    """All cases that match, newest first, by a cursor of the database: memory for one batch, however many there are."""
    clauses, values = await _clauses(unit, asked)
    where = " AND ".join(clauses) or "true"
    query = f"SELECT {_COLUMNS} {_SOURCES} WHERE {where} ORDER BY c.reported_at DESC, c.id DESC"
    driver = await unit.driver()
    async with driver.cursor(name="cases", row_factory=dict_row) as cursor:
        await cursor.execute(query.encode(), values)
        while rows := await cursor.fetchmany(batch):
            yield [_view(row, as_of) for row in rows]


async def count_cases(unit: Unit, asked: CaseFilter, *, most: int) -> int | None:
    """How many cases match; None when there are more than ``most``, for counting millions helps nobody who pages."""
    clauses, values = await _clauses(unit, asked)
    where = " AND ".join(clauses) or "true"
    driver = await unit.driver()
    found = await driver.execute(
        "SELECT count(*) FROM (SELECT FROM dispatch.dispatch_case AS c"  # noqa: S608 - constants only
        f" JOIN dispatch.category AS k ON k.code = c.category_code WHERE {where} LIMIT %(most)s) AS counted",
        values | {"most": most + 1},
    )
    row = await found.fetchone()
    assert row is not None
    return None if row[0] > most else int(row[0])


async def find_case(unit: Unit, ref: str, *, as_of: datetime) -> CaseView | None:
    """One case by its number."""
    query = f"SELECT {_COLUMNS} {_SOURCES} WHERE c.ref = %(ref)s"
    views = await _views(unit, query, {"ref": ref}, as_of)
    return views[0] if views else None


async def cases_by_id(unit: Unit, ids: Sequence[UUID], *, as_of: datetime) -> dict[UUID, CaseView]:
    """Cases of a set of ids."""
    query = f"SELECT {_COLUMNS} {_SOURCES} WHERE c.id = ANY (%(ids)s)"
    return {view.id: view for view in await _views(unit, query, {"ids": list(ids)}, as_of)}


async def list_events(unit: Unit, case_id: UUID) -> list[EventView]:
    """The history of a case, oldest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT e.seq, e.type, e.moves, e.from_state, e.to_state, e.occurred_at, e.actor_kind, e.actor_id,"  # noqa: S608
            " coalesce(p.name, c.name_zh, e.actor_id) AS actor_name_zh,"
            " coalesce(p.name, c.name_en, e.actor_id) AS actor_name_en,"
            f" {WHOLE_PAYLOAD} AS payload"
            " FROM dispatch.case_event AS e"
            " LEFT JOIN dispatch.person AS p ON p.id = CASE WHEN e.actor_kind = 'person' THEN e.actor_id::uuid END"
            " LEFT JOIN dispatch.channel AS c ON e.actor_kind = 'channel' AND c.code = e.actor_id"
            " WHERE e.case_id = %s ORDER BY e.seq",
            (case_id,),
        )
        return [EventView(**{**row, "moves": tuple(row["moves"])}) for row in await cursor.fetchall()]


async def count_inboxes(unit: Unit, jurisdiction: str | None) -> dict[Inbox, int]:
    """How many cases wait in each inbox, in one pass over the open cases."""
    driver = await unit.driver()
    counts = ", ".join(f"count(*) FILTER (WHERE {clause}) AS {inbox}" for inbox, clause in _INBOX.items())
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT {counts} FROM dispatch.dispatch_case AS c WHERE {IS_OPEN}"  # noqa: S608 - constants only
            " AND (%(jurisdiction)s::text IS NULL OR c.jurisdiction = %(jurisdiction)s)",
            {"jurisdiction": jurisdiction},
        )
        row = await cursor.fetchone()
    assert row is not None
    return {inbox: row[inbox.value] for inbox in Inbox}


async def lock_case(unit: WriteUnit, ref: str) -> dict[str, Any] | None:
    """Lock a case before looking at it, so that two people cannot both act on what they saw (decision 0002).

    All its columns, and ``kept_ladder``.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT c.*, {KEPT_LADDER} AS kept_ladder FROM dispatch.dispatch_case AS c"  # noqa: S608
            " WHERE c.ref = %s FOR UPDATE OF c",
            (ref,),
        )
        return await cursor.fetchone()


async def lock_cases(unit: WriteUnit, refs: Sequence[str]) -> None:
    """Lock several cases in one order, whoever asks."""
    driver = await unit.driver()
    await driver.execute(
        "SELECT 1 FROM dispatch.dispatch_case WHERE ref = ANY (%s) ORDER BY ref FOR UPDATE", (list(refs),)
    )


async def find_followers(unit: Unit, case_id: UUID) -> list[UUID]:
    """Cases merged into this one."""
    driver = await unit.driver()
    rows = await (
        await driver.execute("SELECT id FROM dispatch.dispatch_case WHERE parent_case_id = %s ORDER BY ref", (case_id,))
    ).fetchall()
    return [row[0] for row in rows]


async def _views(unit: Unit, query: str, values: dict[str, Any], as_of: datetime) -> list[CaseView]:
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return [_view(row, as_of) for row in await cursor.fetchall()]


def _view(row: dict[str, Any], as_of: datetime) -> CaseView:
    state = CaseState(row.pop("state"))
    return CaseView(
        **{
            **row,
            "state": state,
            "light": light(
                state,
                due_at=row["due_at"],
                warn_at=row["warn_at"],
                as_of=as_of,
                is_supervised=row["supervised_until"] is not None,
            ),
            "ledgers": tuple(row["ledgers"]),
            "ledger_names": tuple(row["ledger_names"]),
            "chain": tuple(row["chain"]),
            "nearest": tuple(row["nearest"]),
            "ladder": tuple(row["ladder"]),
            "followers": tuple(row["followers"]),
            "area": tuple(row["area"]),
            "departments": tuple(row["departments"]),
        }
    )

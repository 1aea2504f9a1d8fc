"""Cases as citizens' programs read them: what was asked for and where it stands, never who works on it.

Two statements on purpose. The first tells what everybody may know and never touches words, addresses or people; the
second adds these for the cases that the caller sees anyway, and runs through the caller's own eyes (decision 0029).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.states import FINAL_STATES, CaseState
from geo.storage.uow import Unit

__all__ = [
    "CLOSED_STATES",
    "MOST_ROWS",
    "RequestNote",
    "RequestQuery",
    "RequestView",
    "RequestWords",
    "find_token",
    "list_notes",
    "list_requests",
    "list_words",
]

MOST_ROWS: Final = 1000
CLOSED_STATES: Final = FINAL_STATES | {CaseState.SELF_HANDLED}
"""Resolved for whoever reported it; what is handled but not yet checked is still open."""

_SELECT: Final = """
SELECT c.id, c.ref, c.state, c.category_code AS category, k.kind, k.name_zh AS category_zh, k.name_en AS category_en,
       c.condition_number AS condition, c.reported_at, c.due_at, c.cell_path AS cells,
       ST_X(c.location) AS lon, ST_Y(c.location) AS lat,
       coalesce(d.name_zh, '') AS agency_zh, coalesce(d.name_en, '') AS agency_en,
       coalesce(g.name_zh, '') AS area_zh, coalesce(g.name_en, '') AS area_en,
       CASE WHEN c.state = 'closed' THEN coalesce(c.closed_at, last.occurred_at, c.reported_at)
            ELSE coalesce(last.occurred_at, c.reported_at) END AS updated_at
  FROM dispatch.dispatch_case AS c
  JOIN dispatch.category AS k ON k.code = c.category_code
  LEFT JOIN dispatch.department AS d ON d.code = c.department_code
  LEFT JOIN LATERAL (SELECT n.name_zh, n.name_en FROM geo.cell AS n
                      WHERE n.version_id = c.grid_version_id AND n.code = ANY (c.cell_path)
                      ORDER BY n.level = 2 DESC, n.level LIMIT 1) AS g ON true
  LEFT JOIN LATERAL (SELECT e.occurred_at FROM dispatch.case_event AS e
                      WHERE e.case_id = c.id ORDER BY e.seq DESC LIMIT 1) AS last ON true
"""
_ORDER: Final = " ORDER BY c.reported_at DESC, c.id DESC LIMIT %(limit)s OFFSET %(offset)s"
_CONDITIONS: Final = {
    "refs": "c.ref = ANY (%(refs)s)",
    "services": "c.category_code = ANY (%(services)s)",
    "left_out": "c.category_code <> ALL (%(left_out)s)",
    "begin": "c.reported_at >= %(begin)s",
    "end": "c.reported_at <= %(end)s",
    "channel": "c.channel_code = %(channel)s",
}
_WORDS: Final = """
SELECT c.ref, c.text, c.address, ST_X(c.location) AS lon, ST_Y(c.location) AS lat,
       coalesce(p.title_zh, '') AS post_zh, coalesce(p.title_en, '') AS post_en, coalesce(last.said, '') AS said,
       ARRAY(SELECT f.id FROM dispatch.case_photo AS f WHERE f.case_id = c.id ORDER BY f.added_at, f.id) AS photos
  FROM dispatch.dispatch_case AS c
  LEFT JOIN dispatch.post AS p ON p.id = c.owner_post_id
  LEFT JOIN LATERAL (SELECT concat_ws(' ', e.payload ->> 'reason', e.payload ->> 'result') AS said
                       FROM dispatch.case_event AS e WHERE e.case_id = c.id ORDER BY e.seq DESC LIMIT 1) AS last ON true
 WHERE c.ref = ANY (%(refs)s) AND (%(channel)s::text IS NULL OR c.channel_code = %(channel)s)
"""
_NOTES: Final = """
SELECT e.case_id, e.occurred_at AS at, e.to_state AS state FROM dispatch.case_event AS e
 WHERE e.case_id = ANY (%s) AND (e.from_state IS NULL OR e.from_state <> e.to_state) ORDER BY e.case_id, e.seq
"""
_BY_NUMBER: Final = """
SELECT c.ref FROM dispatch.dispatch_case AS c
 WHERE c.jurisdiction = %(jurisdiction)s AND c.category_code <> ALL (%(left_out)s)
   AND (c.ref = %(token)s OR c.ticket = %(token)s AND c.channel_code = %(channel)s) LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestQuery:
    """What is asked; None and empty ask for nothing. Boundary: ``[begin, end]``, as the specification has it."""

    refs: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    begin: datetime | None = None
    end: datetime | None = None
    is_open: bool | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """What everybody may know of a case. SRID: 4326 for lon, lat. ``area``: the community where it lies."""

    id: UUID
    ref: str
    state: CaseState
    category: str
    kind: str
    category_zh: str
    category_en: str
    condition: int | None
    reported_at: datetime
    updated_at: datetime
    due_at: datetime | None
    cells: tuple[str, ...]
    lon: float | None
    lat: float | None
    agency_zh: str
    agency_en: str
    area_zh: str
    area_en: str

    @property
    def is_open(self) -> bool:
        """Whether it still waits to be resolved."""
        return self.state not in CLOSED_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWords:
    """What only those may know who see the case. ``said``: words of the last act."""

    ref: str
    text: str
    address: str
    lon: float | None
    lat: float | None
    post_zh: str
    post_en: str
    said: str
    photos: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestNote:
    """A step of a case's history, without words and people."""

    case_id: UUID
    at: datetime
    state: CaseState


async def list_requests(
    unit: Unit, jurisdiction: str, asked: RequestQuery, *, limit: int, offset: int = 0
) -> list[RequestView]:
    """Requests, newest first."""
    clauses = ["c.jurisdiction = %(jurisdiction)s"]
    clauses += [clause for name, clause in _CONDITIONS.items() if getattr(asked, name)]
    if asked.is_open is not None:
        clauses.append(f"(c.state = ANY (%(closed)s)) = {'false' if asked.is_open else 'true'}")
    values = {
        "jurisdiction": jurisdiction,
        "refs": list(asked.refs),
        "services": list(asked.services),
        "left_out": list(asked.left_out),
        "begin": asked.begin,
        "end": asked.end,
        "channel": asked.channel,
        "closed": [state.value for state in CLOSED_STATES],
        "limit": limit,
        "offset": offset,
    }
    found = await _rows(unit, f"{_SELECT} WHERE {' AND '.join(clauses)}{_ORDER}", values)
    return [RequestView(**{**row, "state": CaseState(row["state"]), "cells": tuple(row["cells"])}) for row in found]


async def list_words(unit: Unit, refs: Sequence[str], *, channel: str | None) -> dict[str, RequestWords]:
    """Words of those of these cases that the unit's viewer sees.

    Parameters
    ----------
    channel
        If given, only this channel's cases.
    """
    found = await _rows(unit, _WORDS, {"refs": list(refs), "channel": channel})
    return {row["ref"]: RequestWords(**{**row, "photos": tuple(row["photos"])}) for row in found}


async def list_notes(unit: Unit, cases: Sequence[UUID]) -> list[RequestNote]:
    """The states that cases went through, in order."""
    found = await _rows(unit, _NOTES, (list(cases),))
    return [RequestNote(**{**row, "state": CaseState(row["state"])}) for row in found]


async def find_token(
    unit: Unit, jurisdiction: str, token: str, *, channel: str | None, left_out: Sequence[str]
) -> str | None:
    """The number of a case by itself, or by the number that a channel gave it."""
    values = {"jurisdiction": jurisdiction, "token": token, "channel": channel, "left_out": list(left_out)}
    found = await _rows(unit, _BY_NUMBER, values)
    return found[0]["ref"] if found else None


async def _rows(unit: Unit, query: str, values: Mapping[str, Any] | Sequence[Any]) -> list[dict[str, Any]]:
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall()

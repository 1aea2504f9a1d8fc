"""Reading for every floor above: cases, events, inboxes, who answers where. The only way maps reads dispatch."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.case_views import CaseFilter, CasePage, CaseView, EventView
from dispatch.posts import Rung, parse_ladder
from dispatch.storage import cases
from dispatch.storage.cases import count_cases, count_inboxes, list_by_deadline
from dispatch.storage.reference import load_reference, read_stamp
from geo.errors import BadInputError, NotFoundError
from geo.storage.uow import ReadUnit, Unit

__all__ = [
    "CaseDetail",
    "count_cases",
    "count_inboxes",
    "database_now",
    "get_case",
    "list_by_deadline",
    "list_cases",
    "load_reference",
    "read_stamp",
    "responsible_at",
    "responsible_many",
    "stream_cases",
    "worker_age_s",
]

MOST_PER_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDetail:
    """A case with its history."""

    case: CaseView
    events: tuple[EventView, ...]


async def database_now(unit: Unit) -> datetime:
    """The instant of this transaction on the database's clock, which all processes share."""
    driver = await unit.driver()
    row = await (await driver.execute("SELECT now()")).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now.astimezone(UTC)


async def list_cases(unit: ReadUnit, asked: CaseFilter, *, limit: int = 100, cursor: str | None = None) -> CasePage:
    """One page of cases, newest first.

    Raises
    ------
    BadInputError
        ``dispatch.bad_cursor``.
    """
    limit = max(1, min(limit, MOST_PER_PAGE))
    as_of = await database_now(unit)
    after = _read_position(cursor) if cursor else None
    # One more than asked for tells whether there is a next page, without counting.
    found = await cases.list_cases(unit, asked, limit=limit + 1, after=after, as_of=as_of)
    more = len(found) > limit
    page = found[:limit]
    return CasePage(cases=tuple(page), next=_write_position(page[-1]) if more else None, as_of=as_of)


async def stream_cases(unit: ReadUnit, asked: CaseFilter, *, batch: int = 500) -> AsyncGenerator[list[CaseView], None]:
    """All cases that match, newest first, in batches. Cost: memory for one batch, and a connection all the while."""
    as_of = await database_now(unit)
    async with aclosing(cases.stream_cases(unit, asked, as_of=as_of, batch=batch)) as batches:
        async for found in batches:
            yield found


async def get_case(unit: Unit, ref: str, *, channel: str | None = None) -> CaseDetail:
    """A case with its history.

    Parameters
    ----------
    channel
        If given, cases of other channels do not exist for this caller.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``; the same for "no such case" and "not yours".
    """
    view = await cases.find_case(unit, ref, as_of=await database_now(unit))
    if view is None or (channel is not None and view.channel != channel):
        raise NotFoundError("dispatch.case_not_found", case=ref[:80])
    return CaseDetail(case=view, events=tuple(await cases.list_events(unit, view.id)))


async def responsible_at(unit: Unit, jurisdiction: str, path: tuple[str, ...], at: datetime) -> tuple[Rung, ...]:
    """The ladder of posts that answers for a cell (given by its path of codes) at an instant."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM dispatch.responsible_ladder(%s, %s, %s) ORDER BY step", (jurisdiction, list(path), at)
        )
        return parse_ladder(await cursor.fetchall())


async def responsible_many(
    unit: Unit, jurisdiction: str, paths: Sequence[tuple[str, ...]], at: datetime
) -> list[tuple[Rung, ...]]:
    """The ladders of many cells at an instant, in order. Cost: about 0.1 ms each."""
    driver = await unit.driver()
    ladders: list[list[dict[str, Any]]] = [[] for _ in paths]
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT p.place, s.* FROM unnest(%s::text[]) WITH ORDINALITY AS p (path, place)"
            " CROSS JOIN LATERAL dispatch.responsible_ladder(%s, p.path::text[], %s) AS s ORDER BY p.place, s.step",
            # An array of arrays must be rectangular, and branches are unequally deep.
            (["{" + ",".join(f'"{code}"' for code in path) + "}" for path in paths], jurisdiction, at),
        )
        async for row in cursor:
            ladders[row["place"] - 1].append(row)
    return [parse_ladder(ladder) for ladder in ladders]


async def worker_age_s(unit: Unit) -> dict[str, float]:
    """Seconds since each duty of the worker was last seen; a duty that never ran is absent."""
    driver = await unit.driver()
    rows: list[Any] = await (
        await driver.execute("SELECT duty, extract(epoch FROM now() - seen_at)::float8 FROM dispatch.worker_signal")
    ).fetchall()
    return dict(rows)


def _write_position(view: CaseView) -> str:
    return base64.urlsafe_b64encode(f"{view.reported_at.isoformat()}|{view.id}".encode()).decode()


def _read_position(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, _, case_id = base64.urlsafe_b64decode(cursor.encode("ascii")).decode().partition("|")
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None:
            raise ValueError("no zone")
        return instant, UUID(case_id)
    except (ValueError, binascii.Error, UnicodeError):
        raise BadInputError("dispatch.bad_cursor", pointer="/cursor", cursor=cursor[:80]) from None

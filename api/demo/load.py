"""Load the demo district: one transaction, so a demo is there as a whole or not at all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from api.demo.accounts import write_accounts
from api.demo.cases import make_cases
from api.demo.duty import write_duty
from api.demo.gazetteer import write_gazetteer
from api.demo.geometry import DEFAULT_SEED, build_district
from api.demo.histories import make_history
from api.demo.offices import BEFORE, SOURCE, utc_now, write_grid, write_people, write_reference
from api.demo.people import make_people
from api.demo.places import JURISDICTION
from api.demo.rows import CASE_COLUMNS, EVENT_COLUMNS, Writer
from api.demo.work import write_work
from dispatch.catalogue import load_default
from dispatch.states import OPEN_STATES
from dispatch.storage.reference import load_reference
from geo.errors import ConflictError
from geo.storage.uow import WriteUnit, write_unit

Progress = Callable[[str, int, int], None]
"""Called with (step, done, total); steps are keys ``demo.step.<step>`` of the catalogues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSummary:
    """What is in the database. `is_new` is False when a complete demo was already there. Units: `took_s` seconds."""

    is_new: bool
    grid_version: int
    cells: int
    people: int
    cases: int
    open_cases: int
    events: int
    took_s: float


async def load_demo(
    engine: AsyncEngine,
    *,
    now: datetime | None = None,
    seed: int = DEFAULT_SEED,
    scale: float = 1.0,
    progress: Progress | None = None,
) -> DemoSummary:
    """Load the demo district with a year of cases.

    Parameters
    ----------
    now
        The instant the demo's present is built around; the present instant if left out.
    scale
        Share of the closed cases to write. Below 1 the totals are not the published ones: for tests only.
    progress
        Told how far it is.

    Raises
    ------
    ConflictError
        ``demo.grid_in_use`` when the jurisdiction already has a grid that is not the demo's.

    Notes
    -----
    Nothing is half done: an interrupted load leaves no trace and may be started again; a complete one is recognised.
    Cost: about half a minute and 700 MB at full scale on two cores.
    """
    began = time.monotonic()
    present = now or utc_now()
    tell: Progress = progress or (lambda _step, _done, _total: None)
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        # Bulk work takes longer than any request may, and generating leaves the connection idle for seconds.
        await driver.execute("SET LOCAL statement_timeout = 0")
        await driver.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        # Two loads at once: the second waits here and then finds the first one's demo complete.
        await driver.execute("SET LOCAL lock_timeout = 0")
        await driver.execute("SELECT pg_advisory_xact_lock(hashtext('gridward demo'))")
        if not await _is_loaded(unit):
            await _load(unit, now=present, seed=seed, scale=scale, tell=tell)
            return await _summary(unit, is_new=True, began=began)
        return await _summary(unit, is_new=False, began=began)


async def _is_loaded(unit: WriteUnit) -> bool:
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT number, source, status FROM geo.grid_version WHERE jurisdiction = %s", (JURISDICTION,)
        )
    ).fetchall()
    if any(source.startswith(SOURCE) for _, source, _ in rows):
        return True
    for number, _, status in rows:
        if status == "published":
            raise ConflictError("demo.grid_in_use", jurisdiction=JURISDICTION, version=number)
    return False


async def _load(unit: WriteUnit, *, now: datetime, seed: int, scale: float, tell: Progress) -> None:
    driver = await unit.driver()
    catalogue = load_default()
    tell("map", 0, 1)
    district = await asyncio.to_thread(build_district, seed=seed)
    await write_reference(unit, catalogue, now=now)
    version, cell_ids = await write_grid(unit, district, now=now)
    people = make_people(district, now=now, rng=random.Random(seed + 1))
    post_ids = await write_people(unit, people, now=now)
    lines = await write_duty(unit, district, people, post_ids, since=now - BEFORE, now=now)
    await write_accounts(unit, people)
    tell("map", 1, 1)
    calendar = (await load_reference(unit)).jurisdictions[JURISDICTION].calendar
    table = await asyncio.to_thread(
        make_cases,
        district,
        catalogue,
        calendar,
        now=now,
        seed=seed,
        scale=scale,
        tell=lambda done, total: tell("draw", done, total),
    )
    history = await asyncio.to_thread(make_history, table)
    row = await (await driver.execute("SELECT nextval('dispatch.case_number')")).fetchone()
    assert row is not None
    first_number: int = row[0]
    # Numbers are handed out to live reports meanwhile only after this commit, so take the whole block at once.
    await driver.execute("SELECT setval('dispatch.case_number', %s)", (first_number + len(table) - 1,))
    writer = Writer(
        district=district,
        catalogue=catalogue,
        people=people,
        table=table,
        history=history,
        version_id=version.id,
        cell_ids=[cell_ids[c.code] for c in district.of_level(3)],
        post_ids=post_ids,
        lines=lines,
        first_number=first_number,
        now=now,
        seed=seed,
    )
    await _stream(unit, f"dispatch.dispatch_case ({CASE_COLUMNS})", writer.case_lines(), "cases", len(table), tell)
    await _stream(unit, f"dispatch.case_event ({EVENT_COLUMNS})", writer.event_lines(), "events", len(history), tell)
    escalated = "dispatch.escalation (case_id, rung, clock_epoch, fired_at, person_id)"
    await _stream(unit, escalated, writer.escalation_lines(), "finish", 1, lambda *_: None)
    tell("finish", 0, 1)
    await driver.execute(
        "UPDATE dispatch.dispatch_case AS c SET nearest ="
        " (SELECT jsonb_agg(jsonb_build_object('code', n.code, 'name_zh', n.name_zh, 'name_en', n.name_en,"
        " 'distance_m', round(n.distance_m::numeric, 1)) ORDER BY n.distance_m, n.code COLLATE \"C\")"
        " FROM geo.nearest_cells(c.grid_version_id, c.location, 3) AS n)"
        " WHERE c.origin = 'demo' AND c.located_how = 'out_of_grid'"
    )
    await write_work(unit, now=now)
    await write_gazetteer(unit, version.id)
    # Without statistics the first maps would be planned for empty tables.
    await driver.execute("ANALYZE geo.cell, dispatch.dispatch_case, dispatch.case_event, dispatch.post")
    tell("finish", 1, 1)


async def _stream(
    unit: WriteUnit, target: str, blocks: Iterator[tuple[int, bytes]], step: str, total: int, tell: Progress
) -> None:
    driver = await unit.driver()
    done = 0
    tell(step, done, total)
    async with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as stream:
        # The next block is formatted while PostgreSQL stores this one: the two cores work side by side.
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            await stream.write(block[1])
            done += block[0]
            tell(step, done, total)


async def _summary(unit: WriteUnit, *, is_new: bool, began: float) -> DemoSummary:
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT v.number, (SELECT count(*) FROM geo.cell WHERE version_id = v.id),"
            " (SELECT count(*) FROM dispatch.person WHERE jurisdiction = v.jurisdiction),"
            " (SELECT count(*) FROM dispatch.dispatch_case WHERE origin = 'demo'),"
            " (SELECT count(*) FROM dispatch.dispatch_case WHERE origin = 'demo' AND state = ANY (%s)"
            " AND state <> 'suspended'),"
            " (SELECT count(*) FROM dispatch.case_event AS e JOIN dispatch.dispatch_case AS c ON c.id = e.case_id"
            " WHERE c.origin = 'demo')"
            " FROM geo.grid_version AS v WHERE v.jurisdiction = %s AND v.source LIKE %s ORDER BY v.number LIMIT 1",
            (sorted(OPEN_STATES), JURISDICTION, f"{SOURCE}%"),
        )
    ).fetchone()
    assert row is not None
    return DemoSummary(
        is_new=is_new,
        grid_version=row[0],
        cells=row[1],
        people=row[2],
        cases=row[3],
        open_cases=row[4],
        events=row[5],
        took_s=time.monotonic() - began,
    )

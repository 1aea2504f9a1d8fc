"""Write prepared reports: placed in memory or in SQL, checked and written by one statement for any number of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import dict_row

from dispatch.intake import PreparedReport, Receipt, read_receipt
from dispatch.placing import NOTHING_KNOWN, Place, Placement
from dispatch.posts import parse_ladder
from dispatch.routing import parse_route
from dispatch.standings import Standing
from dispatch.states import CaseState
from dispatch.storage.intake_rows import Entry, encode_rows, make_extras, make_receipt
from dispatch.storage.legs import add_phases
from dispatch.storage.reporters import add_reporters
from dispatch.storage.standings import WHOLE_PAYLOAD, keep_standings
from dispatch.storage.statements import raw_statement, statement
from geo.cells import LocatedHow
from geo.errors import BadInputError, UnavailableError
from geo.storage.uow import WriteUnit
from geo.uncertainty import CONFIRM_RULE, Inaccurate, assess_many

WAKE_UP = "SELECT pg_notify('gridward_events', '')"
"""No payload: it says "look" (decision 0004). Whoever writes reports sends it after the commit, not within it."""

INTAKE: Final = raw_statement("intake", "rows", "places", "routes", "known")
"""The writing statement, with the server's own placeholders."""

_REPEATS = f"""
SELECT c.id, c.ref, c.channel_code, c.ticket, c.request_digest, ST_X(c.location) AS lon, ST_Y(c.location) AS lat,
       e.to_state AS state, {WHOLE_PAYLOAD} AS payload, c.origin
  FROM dispatch.dispatch_case AS c
  JOIN dispatch.case_event AS e ON e.case_id = c.id AND e.seq = 1
 WHERE (c.channel_code, c.ticket) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""  # noqa: S608 - constants only
_MOST_TRIES = 5
"""Each further try needs a version or a post to have changed in the milliseconds since the one before, or a standing
that nobody had before.
"""


Run = Callable[[Sequence[str]], Awaitable[list[tuple[Any, ...]]]]
"""Executes `INTAKE` somewhere else than in the unit, with its parameters in order; `StatementPipeline.run`."""


async def write_reports(
    unit: WriteUnit,
    reports: Sequence[PreparedReport],
    placement: Placement = NOTHING_KNOWN,
    run: Run | None = None,
) -> list[Receipt | BadInputError]:
    """Write reports and return a receipt for each, in order.

    A report whose (channel, ticket) exists gets the receipt of the first time, or the error
    ``dispatch.ticket_reused`` when it said something else then. The caller commits.

    Parameters
    ----------
    placement
        What the process has decided from memory; the rest, and what the guard refuses, is decided in SQL.
    run
        Where to execute the writing statement, when it needs no transaction of the unit; None executes it there.

    Raises
    ------
    UnavailableError
        ``storage.busy`` when versions or posts change faster than this can decide.

    Notes
    -----
    Cost: one round trip, plus two for reports that SQL must place, plus one when there are repeats; plus one for the
    first report of a standing.
    """
    driver = await unit.driver()
    entries, known = [Entry(report, placement.places.get(report.id)) for report in reports], placement.known
    # A standing whose transaction was taken back is thought to be kept; then the statement says otherwise.
    if new := [one for one in _standings(entries) if one.id not in placement.kept]:
        await keep_standings(driver, new)
        placement.kept.update(standing.id for standing in new)
    # Two statements with the same tickets take them in the same order: else each could wait for the other.
    left = sorted(entries, key=_ticket)
    for _ in range(_MOST_TRIES):
        unplaced = [entry for entry in left if entry.place is None]
        if unplaced:
            fresh = await _place(driver, unplaced)
            await keep_standings(driver, _standings(unplaced))
            # Of two snapshots the older one: it makes the guard stricter, never laxer.
            known = known or fresh
        left, has_stale = await _write(unit, left, known, run)
        if not left:
            break
        if not has_stale:
            # All that was decided stays right.
            await keep_standings(driver, _standings(left))
            continue
        known = ""
        for entry in left:
            entry.place = None
    else:
        raise UnavailableError("storage.busy")
    repeated = [entry.report for entry in entries if entry.receipt is None]
    old: dict[tuple[str, str], dict[str, Any]] = {}
    if repeated:
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_REPEATS, ([r.channel for r in repeated], [r.ticket for r in repeated]))
            old = {(row["channel_code"], row["ticket"]): row for row in await cursor.fetchall()}
    return [entry.receipt or _repeat(entry.report, old[_ticket(entry)]) for entry in entries]


def _ticket(entry: Entry) -> tuple[str, str]:
    return entry.report.channel, entry.report.ticket


def _standings(entries: Iterable[Entry]) -> set[Standing]:
    return {entry.place.standing for entry in entries if entry.place is not None}


async def _place(driver: AsyncConnection[Any], entries: Sequence[Entry]) -> str:
    """Ask SQL where reports lie; return up to which snapshot that is so."""
    reports = [entry.report for entry in entries]
    rows = msgspec.json.encode(
        [
            {"id": r.id, "jurisdiction": r.jurisdiction, "category": r.category, "lon": r.lon, "lat": r.lat}
            | {"reported_at": r.reported_at}
            for r in reports
        ]
    )
    has_position = {report.id: report.lon is not None for report in reports}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement("place"), {"rows": rows.decode()})
        found = await cursor.fetchall()
    places = {
        row["id"]: Place(
            how=LocatedHow.COVERS
            if row["cell_id"] is not None
            else LocatedHow.OUT_OF_GRID
            if has_position[row["id"]]
            else LocatedHow.NO_POSITION,
            version_id=row["version_id"],
            version_revision=row["version_revision"],
            version_number=row["version_number"],
            version_name=row["version_name"] or "",
            cell_id=row["cell_id"],
            path=tuple(row["path"]),
            chain=row["chain"] or (),
            ladder=(ladder := parse_ladder(row["ladder"])),
            route=parse_route(row["route"]),
            standing=Standing.of(row["chain"] or (), ladder),
        )
        for row in found
    }
    for entry in entries:
        entry.place = places[entry.report.id]
    return str(found[0]["known"])


async def _write(unit: WriteUnit, entries: Sequence[Entry], known: str, run: Run | None) -> tuple[list[Entry], bool]:
    """Write placed reports, give receipts to those written, and return those that were not, and whether the guard
    refused any of them; else what is lacking is a standing.
    """
    for entry in entries:
        entry.extras = make_extras(entry.report)
    await _assess(unit, entries)
    parameters = (*encode_rows(entries), known)
    answers = await (run(parameters) if run is not None else _run_within(unit, parameters))
    lacks_standing = any(answer[5] for answer in answers)
    left, has_stale = [], False
    for line, is_stale, ref, state, nearest, _ in answers:
        entry = entries[line]
        if is_stale or lacks_standing:
            left.append(entry)
            has_stale = has_stale or is_stale
        elif ref is not None:
            assert entry.place is not None
            entry.receipt = make_receipt(entry.report, entry.place, entry.extras, ref, state, nearest)
    left.sort(key=_ticket)
    phased = [
        (entry.report.id, 1, clock)
        for entry in entries
        if entry.report.phases and entry.receipt is not None and entry.receipt.state is CaseState.DISPATCHED
        for clock in entry.report.phases
    ]
    if phased:
        await add_phases(unit, phased)
    known_by = [
        (entry.report.id, entry.report.channel, entry.report.reporter)
        for entry in entries
        if entry.report.reporter is not None and entry.receipt is not None
    ]
    if known_by:
        await add_reporters(unit, known_by)
    return left, has_stale


async def _run_within(unit: WriteUnit, parameters: Sequence[str]) -> list[tuple[Any, ...]]:
    async with AsyncRawCursor(await unit.driver()) as cursor:
        await cursor.execute(INTAKE, parameters)
        return await cursor.fetchall()


async def _assess(unit: WriteUnit, entries: Sequence[Entry]) -> None:
    """Say of inaccurate positions which cells they may lie in. Cost: one round trip when there are any."""
    asked: list[tuple[Entry, Inaccurate]] = []
    for entry in entries:
        report, place = entry.report, entry.place
        if report.accuracy_m is None or report.lon is None or report.lat is None:
            continue
        if place is None or place.version_id is None:
            continue
        inaccurate = Inaccurate(
            jurisdiction=report.jurisdiction,
            version_id=place.version_id,
            lon=report.lon,
            lat=report.lat,
            accuracy_m=report.accuracy_m,
        )
        asked.append((entry, inaccurate))
    if not asked:
        return
    for (entry, _), found in zip(asked, await assess_many(unit, [one for _, one in asked]), strict=True):
        entry.extras["accuracy"] = {
            "accuracy_m": found.accuracy_m,
            "boundary_m": found.boundary_m,
            "candidates": [
                {"level": c.level, "code": c.code, "name_zh": c.name_zh, "name_en": c.name_en, "kind": c.kind}
                | {"share": c.share}
                for c in found.candidates
            ],
            "confirm_on_site": found.confirm_on_site,
            "outside_share": found.outside_share,
            "rule": CONFIRM_RULE,
        }


def _repeat(report: PreparedReport, row: dict[str, Any]) -> Receipt | BadInputError:
    if row["request_digest"] is None or bytes(row["request_digest"]).hex() != report.digest:
        return BadInputError("dispatch.ticket_reused", pointer="/ticket", ticket=report.ticket, case=row["ref"])
    return read_receipt(
        case_id=UUID(str(row["id"])),
        ref=str(row["ref"]),
        ticket=report.ticket,
        state=str(row["state"]),
        payload=row["payload"],
        lon=row["lon"],
        lat=row["lat"],
        is_repeat=True,
    )

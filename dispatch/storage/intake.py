"""Write prepared reports: placed in memory or in SQL, checked and written by one statement for any number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
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
from dispatch.storage.intake_rows import encode_rows, make_extras, make_receipt
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


async def write_reports(
    unit: WriteUnit, reports: Sequence[PreparedReport], placement: Placement = NOTHING_KNOWN
) -> list[Receipt | BadInputError]:
    """Write reports and return a receipt for each, in order.

    A report whose (channel, ticket) exists gets the receipt of the first time, or the error
    ``dispatch.ticket_reused`` when it said something else then. The caller commits.

    Parameters
    ----------
    placement
        What the process has decided from memory; the rest, and what the guard refuses, is decided in SQL.

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
    receipts: dict[UUID, Receipt] = {}
    left, places, known = list(reports), dict(placement.places), placement.known
    # A standing whose transaction was taken back is thought to be kept; then the statement says otherwise.
    if new := [one for one in {place.standing for place in places.values()} if one.id not in placement.kept]:
        await keep_standings(driver, new)
        placement.kept.update(standing.id for standing in new)
    for _ in range(_MOST_TRIES):
        unplaced = [report for report in left if report.id not in places]
        if unplaced:
            found, fresh = await _place(driver, unplaced)
            await keep_standings(driver, (place.standing for place in found.values()))
            places |= found
            # Of two snapshots the older one: it makes the guard stricter, never laxer.
            known = known or fresh
        left, has_stale = await _write(unit, left, places, known, receipts)
        if not left:
            break
        if not has_stale:
            # All that was decided stays right.
            await keep_standings(driver, (places[report.id].standing for report in left))
            continue
        known = ""
        for report in left:
            del places[report.id]
    else:
        raise UnavailableError("storage.busy")
    repeated = [report for report in reports if report.id not in receipts]
    old: dict[tuple[str, str], dict[str, Any]] = {}
    if repeated:
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_REPEATS, ([r.channel for r in repeated], [r.ticket for r in repeated]))
            old = {(row["channel_code"], row["ticket"]): row for row in await cursor.fetchall()}
    return [
        receipts[report.id] if report.id in receipts else _repeat(report, old[(report.channel, report.ticket)])
        for report in reports
    ]


async def _place(driver: AsyncConnection[Any], reports: Sequence[PreparedReport]) -> tuple[dict[UUID, Place], str]:
    """Ask SQL where reports lie, and up to which snapshot that is so."""
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
    return places, found[0]["known"]


async def _write(
    unit: WriteUnit,
    reports: Sequence[PreparedReport],
    places: Mapping[UUID, Place],
    known: str,
    receipts: dict[UUID, Receipt],
) -> tuple[list[PreparedReport], bool]:
    """Write placed reports, add the receipts of those written, and return those that were not, and whether the guard
    refused any of them; else what is lacking is a standing.
    """
    extras = {report.id: make_extras(report) for report in reports}
    await _assess(unit, reports, places, extras)
    rows, placed, routes = encode_rows(reports, places, extras)
    driver = await unit.driver()
    async with AsyncRawCursor(driver) as cursor:
        text = raw_statement("intake", "rows", "places", "routes", "known")
        await cursor.execute(text, (rows, placed, routes, known))
        written = {row[0]: row for row in await cursor.fetchall()}
    lacks_standing = any(row[5] for row in written.values())
    left, has_stale = [], False
    for report in reports:
        _, is_stale, ref, state, nearest, _ = written[report.id]
        if is_stale or lacks_standing:
            left.append(report)
            has_stale = has_stale or is_stale
        elif ref is not None:
            receipts[report.id] = make_receipt(report, places[report.id], extras[report.id], ref, state, nearest)
    phased = [
        (report.id, 1, clock)
        for report in reports
        if report.phases and report.id in receipts and receipts[report.id].state is CaseState.DISPATCHED
        for clock in report.phases
    ]
    if phased:
        await add_phases(unit, phased)
    known_by = [(r.id, r.channel, r.reporter) for r in reports if r.reporter is not None and r.id in receipts]
    if known_by:
        await add_reporters(unit, known_by)
    return left, has_stale


async def _assess(
    unit: WriteUnit,
    reports: Sequence[PreparedReport],
    places: Mapping[UUID, Place],
    extras: Mapping[UUID, dict[str, Any]],
) -> None:
    """Say of inaccurate positions which cells they may lie in. Cost: one round trip when there are any."""
    asked: dict[UUID, Inaccurate] = {}
    for report in reports:
        version_id = places[report.id].version_id
        if report.accuracy_m is None or version_id is None or report.lon is None or report.lat is None:
            continue
        asked[report.id] = Inaccurate(
            jurisdiction=report.jurisdiction,
            version_id=version_id,
            lon=report.lon,
            lat=report.lat,
            accuracy_m=report.accuracy_m,
        )
    if not asked:
        return
    for report_id, found in zip(asked, await assess_many(unit, list(asked.values())), strict=True):
        extras[report_id]["accuracy"] = {
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

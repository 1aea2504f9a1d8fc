"""Write prepared reports: one statement for any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from psycopg.rows import dict_row

from dispatch.intake import PreparedReport, Receipt, read_receipt
from dispatch.storage.statements import statement
from geo.errors import BadInputError
from geo.storage.uow import WriteUnit

WAKE_UP = "SELECT pg_notify('gridward_events', '')"

_REPEATS = """
SELECT c.id, c.ref, c.channel_code, c.ticket, c.request_digest, ST_X(c.location) AS lon, ST_Y(c.location) AS lat,
       e.to_state AS state, e.payload, c.origin
  FROM dispatch.dispatch_case AS c
  JOIN dispatch.case_event AS e ON e.case_id = c.id AND e.seq = 1
 WHERE (c.channel_code, c.ticket) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""


async def write_reports(unit: WriteUnit, reports: Sequence[PreparedReport]) -> list[Receipt | BadInputError]:
    """Write reports and return a receipt for each, in order.

    A report whose (channel, ticket) exists gets the receipt of the first time, or the error
    ``dispatch.ticket_reused`` when it said something else then. The caller commits.

    Cost: one round trip, plus one when there are repeats.
    """
    driver = await unit.driver()
    rows = msgspec.json.encode(reports).decode()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement("intake"), {"rows": rows})
        written = {row["id"]: row for row in await cursor.fetchall()}
        if written:
            # No payload: the notification only says "look", the events table says what (decision 0004).
            await cursor.execute(WAKE_UP)
        receipts: list[Receipt | BadInputError | None] = [
            _new(report, written[report.id]) if report.id in written else None for report in reports
        ]
        repeated = [report for report, receipt in zip(reports, receipts, strict=True) if receipt is None]
        old: dict[tuple[str, str], dict[str, object]] = {}
        if repeated:
            await cursor.execute(_REPEATS, ([r.channel for r in repeated], [r.ticket for r in repeated]))
            old = {(row["channel_code"], row["ticket"]): row for row in await cursor.fetchall()}
    return [
        receipt or _repeat(report, old[(report.channel, report.ticket)])
        for report, receipt in zip(reports, receipts, strict=True)
    ]


def _new(report: PreparedReport, row: dict[str, object]) -> Receipt:
    return read_receipt(
        case_id=report.id,
        ref=str(row["ref"]),
        ticket=report.ticket,
        state=str(row["state"]),
        payload=row["payload"],  # type: ignore[arg-type]
        lon=report.lon,
        lat=report.lat,
        is_repeat=False,
    )


def _repeat(report: PreparedReport, row: dict[str, object]) -> Receipt | BadInputError:
    if row["request_digest"] is None or bytes(row["request_digest"]).hex() != report.digest:  # type: ignore[call-overload]
        return BadInputError("dispatch.ticket_reused", pointer="/ticket", ticket=report.ticket, case=row["ref"])
    return read_receipt(
        case_id=UUID(str(row["id"])),
        ref=str(row["ref"]),
        ticket=report.ticket,
        state=str(row["state"]),
        payload=row["payload"],  # type: ignore[arg-type]
        lon=row["lon"],  # type: ignore[arg-type]
        lat=row["lat"],  # type: ignore[arg-type]
        is_repeat=True,
    )

"""Does a channel send what it declares? Reads its reports, judges them, keeps the verdict, and warns at the door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import shapely
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.datum_names import CellNames, NamedCell
from geo.coordinates import CoordSys
from geo.datum import READINGS, DatumReport, DatumVerdict, Reading, judge_readings, read_one
from geo.errors import BadInputError, NotFoundError
from geo.storage.grid_versions import find_active
from geo.storage.uow import ReadUnit, Unit, WriteUnit, read_unit, write_unit

__all__ = [
    "MOST_REPORTS",
    "PERIOD",
    "ChannelDatum",
    "DatumDuty",
    "DatumHint",
    "check_channel",
    "datum_hints",
    "keep_verdicts",
    "list_channels_reporting",
    "reading_name",
]

#: Reports looked at, the newest first.
MOST_REPORTS: Final = 5_000
#: How far back a look goes unless somebody says otherwise: a channel that was mended must not be blamed for long.
PERIOD: Final = timedelta(days=30)
#: The worker looks at a channel again after this long.
_AGAIN: Final = timedelta(hours=1)
#: Who is due is asked this often. Units: seconds.
_LOOK_S: Final = 60.0
#: The worker judges by the newest only: a channel that was mended is soon no longer blamed.
_MOST_WATCHED: Final = 1_000

_REPORTS = """
SELECT raw_x, raw_y, coord_sys, address FROM dispatch.dispatch_case
 WHERE jurisdiction = %(jurisdiction)s AND channel_code = %(channel)s AND raw_x IS NOT NULL AND raw_y IS NOT NULL
   AND coord_sys IS NOT NULL AND reported_at >= %(since)s AND reported_at < %(until)s
 ORDER BY reported_at DESC, id DESC LIMIT %(most)s
"""
_CHANNELS = """
SELECT DISTINCT channel_code FROM dispatch.dispatch_case
 WHERE jurisdiction = %(jurisdiction)s AND raw_x IS NOT NULL AND reported_at >= %(since)s
   AND reported_at < %(until)s ORDER BY channel_code
"""
_AREA = "SELECT ST_AsBinary(ST_Union(boundary)) FROM geo.cell WHERE version_id = %s AND level = 1"
_NAMES = """
SELECT code, path, name_zh, name_en FROM geo.cell WHERE version_id = %s AND (name_zh <> '' OR name_en <> '')
"""
_SHAPES = "SELECT code, ST_AsBinary(boundary) FROM geo.cell WHERE version_id = %s AND code = ANY (%s)"
_DUE = """
SELECT c.code, now() FROM (
       SELECT DISTINCT channel_code AS code FROM dispatch.dispatch_case
        WHERE jurisdiction = %(jurisdiction)s AND raw_x IS NOT NULL AND raw_y IS NOT NULL AND coord_sys IS NOT NULL
          AND reported_at >= now() - %(period)s AND reported_at < now()) AS c
  LEFT JOIN LATERAL (SELECT max(checked_at) AS at FROM dispatch.channel_datum WHERE channel_code = c.code) AS d ON true
 WHERE d.at IS NULL OR d.at < now() - %(again)s
 ORDER BY d.at NULLS FIRST, c.code LIMIT 1
"""
_KEEP = """
INSERT INTO dispatch.channel_datum
       (channel_code, declared, verdict, confidence, suspected, points, places, checked_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, now())
    ON CONFLICT (channel_code, declared) DO UPDATE
   SET verdict = excluded.verdict, confidence = excluded.confidence, suspected = excluded.suspected,
       points = excluded.points, places = excluded.places, checked_at = excluded.checked_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDatum:
    """One look at a channel: a report per system that its reports declared, the most used first."""

    channel: str
    since: datetime
    until: datetime
    reports: tuple[DatumReport, ...]

    @property
    def is_suspect(self) -> bool:
        """Whether any declared system is probably wrong."""
        return any(report.verdict is DatumVerdict.SUSPECT for report in self.reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatumHint:
    """What a sender should hear. ``code``: ``datum.channel_suspect`` or ``datum.point_fits_other``."""

    code: str
    declared: str
    suspected: tuple[str, ...]


def reading_name(reading: Reading) -> str:
    """Name of a reading in tables and answers.

    Examples
    --------
    >>> reading_name(Reading(system=CoordSys.GCJ02)), reading_name(Reading(system=CoordSys.WGS84, is_swapped=True))
    ('gcj02', 'wgs84/swapped')
    """
    return f"{reading.system.value}/swapped" if reading.is_swapped else reading.system.value


def datum_hints(
    raw: tuple[float, float] | None,
    declared: CoordSys | None,
    suspects: Mapping[str, Sequence[str]],
    is_inside: Callable[[float, float], bool],
) -> list[DatumHint]:
    """Say what is worth saying about one report's position; without a database, for the door.

    Parameters
    ----------
    raw, declared
        The pair as it came and the system it was said to be in.
    suspects
        Of the channel: declared system → readings that fit better, from `ChannelDatumRow`.
    is_inside
        Whether a position (SRID: 4326) lies in a cell. Asked about other readings only when it does not as declared.
    """
    if raw is None or declared is None:
        return []
    hints = []
    found = tuple(suspects.get(_family(declared).value, ()))
    if found:
        hints.append(DatumHint(code="datum.channel_suspect", declared=declared.value, suspected=found))
    base = Reading(system=_family(declared))

    def falls_inside(reading: Reading) -> bool:
        place = read_one(*raw, reading)
        return place is not None and is_inside(*place)

    if not found and not falls_inside(base):
        others = tuple(reading_name(each) for each in READINGS if each != base and falls_inside(each))
        if others:
            hints.append(DatumHint(code="datum.point_fits_other", declared=declared.value, suspected=others))
    return hints


def _family(system: CoordSys) -> CoordSys:
    return CoordSys.WGS84 if system is CoordSys.CGCS2000 else system


async def list_channels_reporting(unit: Unit, jurisdiction: str, since: datetime, until: datetime) -> list[str]:
    """Return the channels with positions in a period."""
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "since": since, "until": until}
    return [row[0] for row in await (await driver.execute(_CHANNELS, values)).fetchall()]


async def check_channel(
    unit: ReadUnit | WriteUnit,
    jurisdiction: str,
    channel: str,
    since: datetime,
    until: datetime,
    *,
    most: int = MOST_REPORTS,
) -> ChannelDatum:
    """Judge a channel's reports of a period against the grid valid now.

    Raises
    ------
    NotFoundError
        ``datum.channel_unknown``; ``geo.no_active_version``.
    BadInputError
        ``datum.period_empty`` when the period ends before it begins.

    Notes
    -----
    Cost: one union of the level-1 cells, the names of all cells once, and about 0.1 ms a report with an address.
    """
    if until <= since:
        raise BadInputError("datum.period_empty", pointer="/until", since=since.isoformat(), until=until.isoformat())
    driver = await unit.driver()
    if await (await driver.execute("SELECT FROM dispatch.channel WHERE code = %s", (channel,))).fetchone() is None:
        raise NotFoundError("datum.channel_unknown", channel=channel)
    version = await find_active(unit, jurisdiction)
    if version is None:
        raise NotFoundError("geo.no_active_version", jurisdiction=jurisdiction)
    values = {"jurisdiction": jurisdiction, "channel": channel, "since": since, "until": until, "most": most}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_REPORTS, values)
        rows = await cursor.fetchall()
    area = await (await driver.execute(_AREA, (version.id,), binary=True)).fetchone()
    assert area is not None
    outline = shapely.from_wkb(bytes(area[0])) if area[0] is not None else shapely.Polygon()
    expected = await _expected(unit, version.id, [row["address"] for row in rows])
    reports = await asyncio.to_thread(_judge, rows, expected, outline)
    return ChannelDatum(channel=channel, since=since, until=until, reports=reports)


async def _expected(unit: Unit, version_id: int, addresses: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return per address the shape of the cell it names, or None."""
    shapes = np.full(len(addresses), None, dtype=object)
    if not any(addresses):
        return shapes
    driver = await unit.driver()
    rows = await (await driver.execute(_NAMES, (version_id,))).fetchall()
    cells = [NamedCell(code=row[0], path=tuple(row[1]), names=tuple(name for name in row[2:4] if name)) for row in rows]

    def find() -> list[str | None]:
        names = CellNames.build(cells)
        return [names.find(address) if address else None for address in addresses]

    codes = await asyncio.to_thread(find)
    wanted = sorted({code for code in codes if code is not None})
    found = await (await driver.execute(_SHAPES, (version_id, wanted), binary=True)).fetchall()
    by_code = {code: shapely.from_wkb(bytes(boundary)) for code, boundary in found}
    for place, code in enumerate(codes):
        shapes[place] = by_code.get(code) if code is not None else None
    return shapes


def _judge(
    rows: Sequence[Mapping[str, Any]], expected: np.ndarray[Any, Any], area: shapely.Geometry
) -> tuple[DatumReport, ...]:
    systems = np.array([_family(CoordSys(row["coord_sys"])).value for row in rows], dtype=object)
    pairs = np.array([(row["raw_x"], row["raw_y"]) for row in rows], dtype=np.float64).reshape(-1, 2)
    reports = []
    for name in sorted(set(systems), key=lambda each: (-int((systems == each).sum()), each)):
        these = systems == name
        reports.append(judge_readings(pairs[these, 0], pairs[these, 1], CoordSys(name), area, expected[these]))
    return tuple(reports)


async def keep_verdicts(unit: WriteUnit, found: ChannelDatum) -> None:
    """Write the last look at a channel; systems it no longer declares are forgotten."""
    driver = await unit.driver()
    declared = [report.declared.value for report in found.reports]
    await driver.execute(
        "DELETE FROM dispatch.channel_datum WHERE channel_code = %s AND NOT declared = ANY (%s)",
        (found.channel, declared),
    )
    for report in found.reports:
        suspected = [reading_name(reading) for reading in report.suspected]
        await driver.execute(
            _KEEP,
            (
                found.channel,
                report.declared.value,
                report.verdict.value,
                report.confidence.value,
                suspected,
                report.points,
                report.places,
            ),
        )


@dataclass(slots=True, kw_only=True)
class DatumDuty:
    """Looks at every channel that reports, once an hour; a duty of the worker."""

    engine: AsyncEngine
    jurisdiction: str
    name: str = "datum"
    _next_look: float = 0.0

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Look at the channel whose turn it is; return 0 when none is due."""
        # The worker comes by every second; who has reported in a month need not be counted that often.
        if time.monotonic() < self._next_look or stopping.is_set():
            return 0
        async with read_unit(self.engine) as reading:
            due = await self._due(reading)
            if due is None:
                self._next_look = time.monotonic() + _LOOK_S
                return 0
            channel, now = due
            found = await check_channel(reading, self.jurisdiction, channel, now - PERIOD, now, most=_MOST_WATCHED)
        async with write_unit(self.engine) as unit:
            await keep_verdicts(unit, found)
        return 1

    async def _due(self, unit: ReadUnit) -> tuple[str, datetime] | None:
        # Before there is a grid there is nothing to judge by.
        if await find_active(unit, self.jurisdiction) is None:
            return None
        driver = await unit.driver()
        values = {"again": _AGAIN, "period": PERIOD, "jurisdiction": self.jurisdiction}
        row = await (await driver.execute(_DUE, values)).fetchone()
        return None if row is None else (row[0], row[1])

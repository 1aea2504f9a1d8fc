"""Read the reference data into plain values."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Final

from sqlalchemy import select

from dispatch.calendar_years import with_shipped
from dispatch.calendars import DEFAULT_HOURS, CalendarDay, DayKind, HourRange, working_calendar
from dispatch.deadlines import Limit, LimitUnit
from dispatch.limits import Phase, Season, read_day
from dispatch.profiles import Profile
from dispatch.reference import Category, Channel, Condition, Jurisdiction, Ledger, Reference
from dispatch.storage.calendar_tables import LimitPhaseRow, LimitSeasonRow
from dispatch.storage.datum_tables import ChannelDatumRow
from dispatch.storage.tables import (
    CalendarDayRow,
    CalendarYearRow,
    CategoryConditionRow,
    CategoryRow,
    ChannelRow,
    LedgerRow,
    ProfileRow,
    WorkingHoursRow,
)
from dispatch.workflow import Line
from geo.datum import DatumVerdict
from geo.storage.tables import JurisdictionRow
from geo.storage.uow import Unit

#: All that `load_reference` reads; a test holds it to that.
STAMPED: Final = (
    *(CategoryRow, CategoryConditionRow, LimitSeasonRow, LimitPhaseRow, ChannelRow, ChannelDatumRow, LedgerRow),
    *(ProfileRow, JurisdictionRow, WorkingHoursRow, CalendarYearRow, CalendarDayRow),
)
_STAMP: Final = " UNION ALL ".join(
    # Every version of a row has its transaction and its place. Hashed, because bare numbers of transactions that run
    # beside each other can add up to the same sum again.
    f"SELECT {place} AS place, coalesce(sum(hashtextextended(xmin::text || ctid::text, 0)), 0) AS sum"  # noqa: S608
    f" FROM {row.__table__}"
    for place, row in enumerate(STAMPED)
)


async def read_stamp(unit: Unit) -> str:
    """Read what `Reference.stamp` would be now. Cost: a millisecond for 400 rows; to read them takes ten times that."""
    driver = await unit.driver()
    rows = await (await driver.execute(f"SELECT sum FROM ({_STAMP}) AS s ORDER BY place")).fetchall()  # noqa: S608
    return " ".join(str(total) for (total,) in rows)


async def load_reference(unit: Unit) -> Reference:
    """Read everything that the rules need; a few thousand rows at most."""
    connection = unit.connection
    # First: should something change while this reads, the stamp is the older one, and the copy is read again.
    stamp = await read_stamp(unit)
    conditions: dict[str, dict[int, Condition]] = defaultdict(dict)
    seasons, phases = await _load_limits(unit)
    for row in await connection.execute(select(CategoryConditionRow.__table__)):
        conditions[row.category_code][row.number] = Condition(
            number=row.number,
            name_zh=row.name_zh,
            name_en=row.name_en,
            limit=Limit(value=row.limit_value, unit=LimitUnit(row.limit_unit)),
            is_default=row.is_default,
            seasons=tuple(seasons[row.category_code, row.number]),
            phases=tuple(phases[row.category_code, row.number]),
        )
    categories = {
        row.code: Category(
            code=row.code,
            kind=row.kind,
            parent=row.parent,
            name_zh=row.name_zh,
            name_en=row.name_en,
            conditions=conditions.get(row.code, {}),
            is_active=row.is_active,
        )
        for row in await connection.execute(select(CategoryRow.__table__).order_by(CategoryRow.code))
    }
    suspects: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for row in await connection.execute(
        select(ChannelDatumRow.__table__).where(ChannelDatumRow.verdict == DatumVerdict.SUSPECT.value)
    ):
        suspects[row.channel_code][row.declared] = tuple(row.suspected)
    channels = {
        row.code: Channel(
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            start_rule=row.start_rule,
            suspects=suspects.get(row.code, {}),
        )
        for row in await connection.execute(select(ChannelRow.__table__))
    }
    return Reference(
        categories=categories,
        channels=channels,
        jurisdictions=await _load_jurisdictions(unit),
        ledgers={
            row.code: Ledger(code=row.code, name_zh=row.name_zh, name_en=row.name_en, is_active=row.is_active)
            for row in await connection.execute(select(LedgerRow.__table__).order_by(LedgerRow.code))
        },
        profiles=await _load_profiles(unit),
        stamp=stamp,
    )


async def _load_profiles(unit: Unit) -> dict[tuple[str, str], Profile]:
    return {
        (row.jurisdiction, row.cell_code): Profile(
            line=Line(row.line),
            dispatches_itself=row.dispatches_itself,
            accept=timedelta(minutes=row.accept_minutes),
            verify=timedelta(minutes=row.verify_minutes),
            dispatch=timedelta(minutes=row.dispatch_minutes),
            acknowledge=timedelta(minutes=row.acknowledge_minutes),
            check=timedelta(minutes=row.check_minutes),
            supervision=timedelta(minutes=row.supervision_minutes),
        )
        for row in await unit.connection.execute(select(ProfileRow.__table__))
    }


_Limits = tuple[dict[tuple[str, int], list[Season]], dict[tuple[str, int], list[Phase]]]


async def _load_limits(unit: Unit) -> _Limits:
    """Seasons and phases by condition."""
    seasons: dict[tuple[str, int], list[Season]] = defaultdict(list)
    for row in await unit.connection.execute(select(LimitSeasonRow.__table__).order_by(LimitSeasonRow.place)):
        seasons[row.category_code, row.number].append(
            Season(
                first=read_day(row.first_day, ""),
                last=read_day(row.last_day, ""),
                year=row.year,
                name=row.name,
                limit=Limit(value=row.limit_value, unit=LimitUnit(row.limit_unit)),
            )
        )
    phases: dict[tuple[str, int], list[Phase]] = defaultdict(list)
    for row in await unit.connection.execute(select(LimitPhaseRow.__table__).order_by(LimitPhaseRow.place)):
        phases[row.category_code, row.number].append(
            Phase(
                number=row.place,
                name_zh=row.name_zh,
                name_en=row.name_en,
                limit=Limit(value=row.limit_value, unit=LimitUnit(row.limit_unit)),
            )
        )
    return seasons, phases


async def _load_jurisdictions(unit: Unit) -> dict[str, Jurisdiction]:
    connection = unit.connection
    hours: dict[str, list[HourRange]] = defaultdict(list)
    for row in await connection.execute(select(WorkingHoursRow.__table__).order_by(WorkingHoursRow.starts)):
        hours[row.jurisdiction].append(HourRange(starts=row.starts, ends=row.ends))
    days: dict[str, list[CalendarDay]] = defaultdict(list)
    for row in await connection.execute(select(CalendarDayRow.__table__).order_by(CalendarDayRow.day)):
        days[row.jurisdiction].append(CalendarDay(day=row.day, kind=DayKind(row.kind), name=row.name))
    years: dict[str, dict[int, bool]] = defaultdict(dict)
    for row in await connection.execute(select(CalendarYearRow.__table__)):
        years[row.jurisdiction][row.year] = row.is_published
    found: dict[str, Jurisdiction] = {}
    for row in await connection.execute(select(JurisdictionRow.__table__)):
        merged, published = with_shipped(days[row.code], years[row.code])
        found[row.code] = Jurisdiction(
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            time_zone=row.time_zone,
            # Cached by value: an unchanged calendar is not compiled again at every reload.
            calendar=working_calendar(
                zone=row.time_zone,
                hours=tuple(hours[row.code]) or DEFAULT_HOURS,
                days=merged,
                published=published,
            ),
        )
    return found

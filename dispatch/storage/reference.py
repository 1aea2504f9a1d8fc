"""Read the reference data into plain values."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from sqlalchemy import select

from dispatch.calendars import DEFAULT_HOURS, CalendarDay, DayKind, HourRange, working_calendar
from dispatch.deadlines import Limit, LimitUnit
from dispatch.profiles import Profile
from dispatch.reference import Category, Channel, Condition, Jurisdiction, Ledger, Reference
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
from geo.storage.tables import JurisdictionRow
from geo.storage.uow import Unit


async def load_reference(unit: Unit) -> Reference:
    """Read everything that the rules need; a few thousand rows at most."""
    connection = unit.connection
    conditions: dict[str, dict[int, Condition]] = defaultdict(dict)
    for row in await connection.execute(select(CategoryConditionRow.__table__)):
        conditions[row.category_code][row.number] = Condition(
            number=row.number,
            name_zh=row.name_zh,
            name_en=row.name_en,
            limit=Limit(value=row.limit_value, unit=LimitUnit(row.limit_unit)),
            is_default=row.is_default,
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
    channels = {
        row.code: Channel(code=row.code, name_zh=row.name_zh, name_en=row.name_en, start_rule=row.start_rule)
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


async def _load_jurisdictions(unit: Unit) -> dict[str, Jurisdiction]:
    connection = unit.connection
    hours: dict[str, list[HourRange]] = defaultdict(list)
    for row in await connection.execute(select(WorkingHoursRow.__table__).order_by(WorkingHoursRow.starts)):
        hours[row.jurisdiction].append(HourRange(starts=row.starts, ends=row.ends))
    days: dict[str, list[CalendarDay]] = defaultdict(list)
    for row in await connection.execute(select(CalendarDayRow.__table__).order_by(CalendarDayRow.day)):
        days[row.jurisdiction].append(CalendarDay(day=row.day, kind=DayKind(row.kind), name=row.name))
    years: dict[str, set[int]] = defaultdict(set)
    for row in await connection.execute(select(CalendarYearRow.__table__)):
        years[row.jurisdiction].add(row.year)
    return {
        row.code: Jurisdiction(
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            time_zone=row.time_zone,
            # Cached by value: an unchanged calendar is not compiled again at every reload.
            calendar=working_calendar(
                zone=row.time_zone,
                hours=tuple(hours[row.code]) or DEFAULT_HOURS,
                days=tuple(days[row.code]),
                published=frozenset(years[row.code]),
            ),
        )
        for row in await connection.execute(select(JurisdictionRow.__table__))
    }

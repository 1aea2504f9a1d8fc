"""Rates of a month, written down once: later corrections change the present, never what was reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from psycopg.rows import tuple_row

from dispatch.evaluation import DEFINITIONS, Cells, Dimension, Rate
from dispatch.queries import database_now
from dispatch.rates import RateFilter, RateRow, RateTable, count_rates
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = ["FrozenMonth", "freeze_month", "list_frozen", "month_filter", "parse_month", "read_frozen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenMonth:
    """A frozen month. Boundary: ``month`` is its first day."""

    month: date
    frozen_at: datetime


def parse_month(text: str) -> date:
    """Read ``2026-10``.

    Raises
    ------
    BadInputError
        ``rates.bad_month``.
    """
    try:
        month = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise BadInputError("rates.bad_month", pointer="/month", month=text[:40]) from None
    if not 2000 <= month.year < 2200:
        raise BadInputError("rates.bad_month", pointer="/month", month=text[:40])
    return month


def month_filter(jurisdiction: str, zone: str, month: date, drawing: int | None = None) -> RateFilter:
    """Return the whole month, in the cells of a drawing. Zone: midnight in the jurisdiction's zone."""
    local = ZoneInfo(zone)
    following = (month + timedelta(days=32)).replace(day=1)
    return RateFilter(
        jurisdiction=jurisdiction,
        period_from=datetime.combine(month, time.min, local).astimezone(UTC),
        period_until=datetime.combine(following, time.min, local).astimezone(UTC),
        cells=Cells.AS_PUT if drawing is None else Cells.RECUT,
        drawing=drawing,
    )


async def freeze_month(unit: WriteUnit, jurisdiction: str, zone: str, month: date) -> int:
    """Write down every rate of every dimension; return how many numbers.

    Raises
    ------
    ConflictError
        ``rates.frozen_already``, ``rates.month_not_over``.
    """
    chosen = month_filter(jurisdiction, zone, month)
    if await database_now(unit) < chosen.period_until:
        raise ConflictError("rates.month_not_over", month=month.strftime("%Y-%m"))
    driver = await unit.driver()
    made = await driver.execute(
        "INSERT INTO dispatch.frozen_month (jurisdiction, month) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (jurisdiction, month),
    )
    if made.rowcount == 0:
        raise ConflictError("rates.frozen_already", month=month.strftime("%Y-%m"))
    # In the cells that were valid when the month ended, whenever it is frozen.
    found = await driver.execute(
        "SELECT id FROM geo.valid_version(%s, %s)", (jurisdiction, chosen.period_until - timedelta(microseconds=1))
    )
    valid = await found.fetchone()
    chosen = month_filter(jurisdiction, zone, month, valid[0] if valid else None)
    rows = []
    for dimension in Dimension:
        table = await count_rates(unit, chosen, dimension, tuple(Rate))
        rows += [
            (jurisdiction, month, dimension.value, row.key, rate.value, DEFINITIONS[rate].version, *counts)
            for row in table.rows
            for rate, counts in row.counts.items()
            if counts[1]
        ]
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO dispatch.frozen_rate"
            " (jurisdiction, month, dimension, key, rate, version, numerator, denominator)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )
    return len(rows)


async def list_frozen(unit: Unit, jurisdiction: str) -> list[FrozenMonth]:
    """Return the frozen months, newest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT month, frozen_at FROM dispatch.frozen_month WHERE jurisdiction = %s ORDER BY month DESC",
            (jurisdiction,),
        )
        return [FrozenMonth(month=row[0], frozen_at=row[1]) for row in await cursor.fetchall()]


async def read_frozen(
    unit: Unit, jurisdiction: str, month: date, dimension: Dimension, rates: Sequence[Rate]
) -> RateTable:
    """Return a table as it was frozen, with the versions of the definitions of that time.

    Raises
    ------
    NotFoundError
        ``rates.not_frozen``.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT frozen_at FROM dispatch.frozen_month WHERE jurisdiction = %s AND month = %s", (jurisdiction, month)
        )
        found = await cursor.fetchone()
        if found is None:
            raise NotFoundError("rates.not_frozen", month=month.strftime("%Y-%m"))
        await cursor.execute(
            "SELECT dimension, key, rate, version, numerator, denominator FROM dispatch.frozen_rate"
            " WHERE jurisdiction = %s AND month = %s AND dimension = ANY (%s) AND rate = ANY (%s)",
            (jurisdiction, month, [dimension.value, "total"], [rate.value for rate in rates]),
        )
        rows = await cursor.fetchall()
    chosen = tuple(dict.fromkeys(rates))
    counts: dict[tuple[str, str], dict[Rate, tuple[int, int]]] = {}
    versions = {rate: DEFINITIONS[rate].version for rate in chosen}
    for of, key, rate, version, numerator, denominator in rows:
        counts.setdefault((of, key), dict.fromkeys(chosen, (0, 0)))[Rate(rate)] = (numerator, denominator)
        versions[Rate(rate)] = version
    nothing = dict.fromkeys(chosen, (0, 0))
    return RateTable(
        dimension=dimension,
        rates=chosen,
        versions=versions,
        total=RateRow(key="", counts=counts.get(("total", ""), nothing)),
        rows=tuple(RateRow(key=key, counts=row) for (of, key), row in sorted(counts.items()) if of == dimension.value),
        as_of=found[0],
    )

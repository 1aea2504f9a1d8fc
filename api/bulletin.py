"""Collecting what a month's bulletin is written from; the same for page, files, API and command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.concurrency import run_in_threadpool

import maps
from api.drawings import Drawing, find_drawing
from api.drawn_cells import read_shapes
from api.printing import html_to_pdf
from api.templating import text_of
from dispatch.evaluation import Dimension, Rate
from dispatch.freezing import list_frozen, month_filter, read_frozen
from dispatch.queries import database_now
from dispatch.rate_names import read_names
from dispatch.rates import count_rates
from dispatch.reference import Reference
from geo.errors import ConflictError
from geo.storage.uow import ReadUnit
from maps.facts.asking import Asked, Boundaries, Grid, day_of
from maps.facts.keeping import FactKeeper
from maps.facts.store import FactStore
from maps.hotspots.sites import find_repeat_sites
from maps.i18n import Locale
from maps.rates.bulletin import (
    SHOWN_RATES,
    Bulletin,
    BulletinData,
    Rising,
    Site,
    make_bulletin,
    rank_rising,
)
from maps.rates.bulletin_files import bulletin_docx, bulletin_xlsx
from maps.rates.table import Figure, RatesView, figure_of, view_table

__all__ = ["FORMS", "BulletinSource", "read_bulletin", "write_bulletin"]

#: Form → media type.
FORMS: Final = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
_MOST_SITES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinSource:
    """Where the numbers come from. ``area`` limits the facts as the unit's policies limit the rates."""

    facts: FactKeeper
    engine: AsyncEngine
    reference: Reference
    jurisdiction: str
    area: frozenset[str] | None = None


async def read_bulletin(
    unit: ReadUnit, source: BulletinSource, locale: Locale, month: date
) -> tuple[Bulletin, BulletinData]:
    """Collect and word the bulletin of a month.

    Raises
    ------
    ConflictError
        ``bulletin.not_begun``: the month lies ahead.
    """
    found = source.reference.jurisdictions.get(source.jurisdiction)
    zone = found.time_zone if found else "Asia/Shanghai"
    now = await database_now(unit)
    drawing = await find_drawing(unit, source.jurisdiction, Boundaries.NOW, last_day=month, zone=zone, now=now)
    version = drawing.version.id if drawing else None
    chosen = month_filter(source.jurisdiction, zone, month, version)
    if now < chosen.period_from:
        raise ConflictError("bulletin.not_begun", month=month.strftime("%Y-%m"))
    following = (month + timedelta(days=32)).replace(day=1)
    earlier = (month - timedelta(days=1)).replace(day=1)

    async def view(dimension: Dimension, *rates: Rate) -> RatesView:
        table = await count_rates(unit, chosen, dimension, rates)
        keys = [row.key for row in table.rows if row.key]
        return view_table(locale, table, await read_names(unit, source.jurisdiction, dimension, keys))

    frozen = {each.month: each.frozen_at for each in await list_frozen(unit, source.jurisdiction)}
    # What is frozen was counted over everybody's cases; whoever sees a part gets that part, counted now.
    is_frozen = month in frozen and source.area is None

    async def whole(of: date, *, as_frozen: bool) -> Mapping[Rate, Figure]:
        if as_frozen:
            table = await read_frozen(unit, source.jurisdiction, of, Dimension.TOTAL, SHOWN_RATES)
        else:
            table = await count_rates(unit, month_filter(source.jurisdiction, zone, of), Dimension.TOTAL, SHOWN_RATES)
        return {rate: figure_of(table.total.counts[rate]) for rate in SHOWN_RATES}

    rising, sites = await _places(unit, source, locale, drawing, (month, following), now)
    data = BulletinData(
        month=month,
        place=found.name(locale) if found else source.jurisdiction,
        headline=await whole(month, as_frozen=is_frozen),
        before=await whole(earlier, as_frozen=earlier in frozen and source.area is None),
        frozen_at=frozen[month] if is_frozen else None,
        rising=rising,
        sites=sites,
        departments=await view(Dimension.DEPARTMENT, Rate.OVERDUE, Rate.HANDLING, Rate.ON_TIME_HANDLING),
        communities=await view(Dimension.LEVEL_2, Rate.OVERDUE, Rate.HANDLING, Rate.ON_TIME_HANDLING),
        levels=await view(Dimension.LEVEL_1, Rate.CLOSED_AT_LEVEL),
        drawing="–" if drawing is None else drawing.name(locale),
        is_over=now >= chosen.period_until,
        as_of=now,
        zone=zone,
    )
    return make_bulletin(locale, data), data


async def _places(
    unit: ReadUnit,
    source: BulletinSource,
    locale: Locale,
    drawing: Drawing | None,
    span: tuple[date, date],
    as_of: datetime,
) -> tuple[list[Rising], list[Site]]:
    """Return rising cells of the deepest level, and repeat sites with the cell that each lies in."""
    shapes = await read_shapes(unit, source.engine, drawing.version.id) if drawing else None
    if drawing is None or shapes is None:
        return [], []
    store = await source.facts.current(recut_to=drawing.version.id)
    month, following = span
    level = max(shapes.levels)
    grid = Grid(version_id=drawing.version.id, level=level, is_recut=True)
    asked = Asked(from_on=month, to_on=following - timedelta(days=1), area=source.area)
    before = replace(asked, from_on=(month - timedelta(days=1)).replace(day=1), to_on=month - timedelta(days=1))
    mine = None if source.area is None else store.codes_within(drawing.version.id, source.area)

    def count() -> tuple[list[Rising], list[tuple[str, str, int, int, date, str]]]:
        now, then = (
            dict(zip(found.codes, found.cases.tolist(), strict=True))
            for found in (store.by_cell(each, grid, as_of=as_of) for each in (asked, before))
        )
        cells = [
            (cell.code, cell.name(locale), now.get(cell.code, 0), then.get(cell.code, 0))
            for cell in shapes.cells[level]
            if mine is None or cell.code in mine
        ]
        return rank_rising(cells), _sites(store, asked, grid)

    rising, sites = await run_in_threadpool(count)
    names = {cell.code: cell.name(locale) for cell in shapes.cells[level]}
    categories = source.reference.categories
    return rising, [
        Site(
            code=code,
            cell=names.get(code, code),
            category=categories[category].name(locale) if category in categories else category,
            category_code=category,
            square=square,
            cases=cases,
            days=days,
            last_day=last,
        )
        for code, category, cases, days, last, square in sites
    ]


def _sites(store: FactStore, asked: Asked, grid: Grid) -> list[tuple[str, str, int, int, date, str]]:
    """Return (cell, class, cases, days, last day, square) of the month's repeat sites."""
    places = store.places_and_days(asked, grid.version_id, is_recut=grid.is_recut)
    keys = places["row"].astype(np.int64) * 2**32 + (places["column"] + 2**31)
    codes = store.codes_at(grid, places["place"])
    first = dict(zip(keys[::-1].tolist(), codes[::-1], strict=True))
    found = find_repeat_sites(keys, places["category"], places["day"])
    return [
        (
            first[each.site],
            store.words.categories[each.category],
            each.cases,
            each.days,
            day_of(each.last_day),
            f"{each.site % 2**32 - 2**31}.{each.site // 2**32}",
        )
        for each in found[:_MOST_SITES]
    ]


async def write_bulletin(locale: Locale, bulletin: Bulletin, form: str) -> bytes:
    """Return the bulletin as a file of one of `FORMS`.

    Raises
    ------
    UnavailableError
        ``printing.no_printer`` when a PDF is asked for and nothing on this machine can make one.
    """
    if form == "docx":
        return await run_in_threadpool(bulletin_docx, bulletin)
    if form == "xlsx":
        return await run_in_threadpool(bulletin_xlsx, locale, bulletin)
    html = text_of("files/bulletin.html", {"bulletin": bulletin, "locale": locale, "style": _style()})
    return await html_to_pdf(html)


@cache
def _style() -> Markup:
    folder = Path(maps.__file__).parent / "static"
    sheets = ((folder / name).read_text(encoding="utf-8") for name in ("tokens.css", "bulletin.css"))
    return Markup("\n".join(sheets))  # noqa: S704 - our own files

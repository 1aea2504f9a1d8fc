"""The wall display's numbers, from the same functions as everybody else's: rates, inboxes, lights, ladder."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.container import Container
from api.rendering import instant
from dispatch.case_views import Inbox
from dispatch.escalation import DEFAULT_LADDERS
from dispatch.evaluation import Dimension, Rate
from dispatch.queries import count_inboxes, database_now
from dispatch.rate_names import read_names
from dispatch.rates import RateFilter, count_rates
from dispatch.states import Light
from dispatch.wall_board import Board, read_board
from geo.storage.grid_versions import find_active
from geo.storage.uow import ReadUnit
from maps.i18n import Locale, translate
from maps.rates.table import figure_of

__all__ = ["RATES", "read_wall", "read_wall_cells"]

#: What of today is shown, in this order.
RATES: Final = (Rate.SOLVED, Rate.ON_TIME_HANDLING, Rate.ON_TIME_CLOSURE, Rate.SATISFACTION)
_WORST_FIRST: Final = (Light.RED, Light.SUPERVISED, Light.YELLOW, Light.GREEN, Light.SUSPENDED, Light.NONE)
_MOST_OVERDUE: Final = 8
#: What fits without scrolling.
_MOST_PLACES: Final = 9
_ARRIVED_S: Final = 120
#: More cells than these are no picture from five metres.
_MOST_CELLS: Final = 400


async def read_wall(unit: ReadUnit, container: Container, locale: Locale) -> dict[str, Any]:
    """Everything that changes on the wall."""
    code = container.settings.jurisdiction
    jurisdiction = (await container.reference.get()).jurisdictions.get(code)
    zone = ZoneInfo(jurisdiction.time_zone if jurisdiction else "Asia/Shanghai")
    as_of = await database_now(unit)
    midnight = datetime.combine(as_of.astimezone(zone).date(), time.min, zone)
    today = RateFilter(
        jurisdiction=code,
        period_from=midnight.astimezone(UTC),
        period_until=datetime.combine(midnight.date() + timedelta(days=1), time.min, zone).astimezone(UTC),
    )
    table = await count_rates(unit, today, Dimension.TOTAL, RATES)
    inboxes = await count_inboxes(unit, code)
    board = await read_board(unit, code, as_of, most=_MOST_OVERDUE, arrived_since=as_of - timedelta(seconds=_ARRIVED_S))
    active = await find_active(unit, code)
    return {
        "as_of": instant(as_of),
        "day": midnight.date().isoformat(),
        "place": jurisdiction.name(locale) if jurisdiction else "",
        "grid": active.id if active else None,
        "now": {
            "open": inboxes[Inbox.ALL],
            "to_dispatch": inboxes[Inbox.TO_DISPATCH] + inboxes[Inbox.OUT_OF_GRID],
            "due_soon": _count(board, Light.YELLOW),
            "overdue": _count(board, Light.RED),
            "supervised": _count(board, Light.SUPERVISED),
        },
        "rates": [
            {"code": rate.value, "name": translate(locale, f"rates.rate.{rate.value}")}
            | _figure(table.total.counts[rate])
            for rate in RATES
        ],
        **await _places(unit, code, board, locale),
        "ladder": [
            {
                "code": rung.code,
                "name": _named(rung.name_zh, rung.name_en, locale) or _rung(rung.code, locale),
                "count": rung.count,
            }
            for rung in board.rungs
        ],
    }


def _count(board: Board, light: Light) -> int:
    return sum(count for (_, shown), count in board.lights.items() if shown is light)


def _figure(counts: tuple[int, int]) -> dict[str, Any]:
    figure = figure_of(counts)
    percent = None if figure.percent is None else figure.percent.replace(",", "")
    return {"numerator": figure.numerator, "denominator": figure.denominator, "percent": percent}


def _named(zh: str, en: str, locale: Locale) -> str:
    return (en or zh) if locale == "en" else (zh or en)


def _rung(code: str, locale: Locale) -> str:
    """A rung that fired before ladders were kept has the name of ours."""
    names = {rung.code: rung.name(locale) for rungs in DEFAULT_LADDERS.values() for rung in rungs}
    return names.get(code, code) or translate(locale, "wall.ladder.none")


async def _places(unit: ReadUnit, jurisdiction: str, board: Board, locale: Locale) -> dict[str, Any]:
    by_place: defaultdict[str, Counter[Light]] = defaultdict(Counter)
    by_cell: defaultdict[str, Counter[Light]] = defaultdict(Counter)
    for (path, shown), count in board.lights.items():
        # A community is the second level; where a drawing has one level only, that.
        by_place[path[min(1, len(path) - 1)] if path else ""][shown] += count
        for code in path:
            by_cell[code][shown] += count
    codes = {*by_place, *(code for one in board.overdue for code in one.path[:2])}
    names = await read_names(unit, jurisdiction, Dimension.LEVEL_2, sorted(codes - {""}))

    def name_of(code: str) -> str:
        if not code:
            return translate(locale, "wall.outside")
        return _named(*names.get(code, ("", "")), locale) or code

    places: list[dict[str, Any]] = [
        {"code": code, "name": name_of(code), "open": _in_work(counts), "lights": _lights(counts)}
        for code, counts in by_place.items()
    ]
    places.sort(key=lambda one: (*(-one["lights"].get(light.value, 0) for light in _WORST_FIRST), one["code"]))
    return {
        "places": places[:_MOST_PLACES],
        "more_places": max(0, len(places) - _MOST_PLACES),
        "cells": {
            code: {"open": _in_work(counts), "light": next(one for one in _WORST_FIRST if counts[one]).value}
            for code, counts in by_cell.items()
        },
        "overdue": [
            {
                "case": one.ref,
                "category": _named(one.category_zh, one.category_en, locale),
                "place": name_of(one.path[min(1, len(one.path) - 1)] if one.path else ""),
                "due_at": instant(one.due_at),
            }
            for one in board.overdue
        ],
        "arrivals": [
            {"case": one.ref, "cells": list(one.path), "at": instant(one.at)} for one in board.arrivals if one.path
        ],
    }


def _in_work(counts: Counter[Light]) -> int:
    """As the desk's list of all: what is suspended by approval waits for its day."""
    return sum(counts.values()) - counts[Light.SUSPENDED]


def _lights(counts: Counter[Light]) -> dict[str, int]:
    return {light.value: counts[light] for light in _WORST_FIRST if counts[light]}


_CELLS: Final = """
SELECT c.code, c.level, coalesce(nullif(CASE WHEN %(locale)s = 'en' THEN c.name_en ELSE c.name_zh END, ''), c.name_zh),
       ST_AsGeoJSON(ST_Multi(ST_SimplifyPreserveTopology(c.boundary, 0.00002)), 5)::json -> 'coordinates',
       ST_X(c.label_point), ST_Y(c.label_point)
  FROM geo.cell AS c
 WHERE c.version_id = %(version)s AND c.level <= %(level)s ORDER BY c.level, c.code
"""


async def read_wall_cells(unit: ReadUnit, container: Container, locale: Locale) -> dict[str, Any]:
    """Outlines for the picture: the deepest level that is still a picture. SRID: 4326."""
    active = await find_active(unit, container.settings.jurisdiction)
    if active is None:
        return {"grid": None, "level": 0, "cells": []}
    driver = await unit.driver()
    sizes: list[Any] = await (
        await driver.execute(
            "SELECT level, count(*) FROM geo.cell WHERE version_id = %s GROUP BY level ORDER BY level", (active.id,)
        )
    ).fetchall()
    fitting = [level for level, count in sizes if count <= _MOST_CELLS]
    level = fitting[-1] if fitting else 1
    found = await driver.execute(_CELLS, {"locale": locale, "version": active.id, "level": level})
    cells = [
        {"code": code, "level": one, "name": name, "shape": shape, "at": [round(lon, 5), round(lat, 5)]}
        for code, one, name, shape, lon, lat in await found.fetchall()
    ]
    return {"grid": active.id, "level": level, "cells": cells}

"""The demo's matrix of departments, its shifts, and who else is on duty there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Final

from api.demo.geometry import District
from api.demo.people import People
from api.demo.places import JURISDICTION
from dispatch.catalogue import Catalogue
from geo.storage.uow import WriteUnit

__all__ = ["DAY_SHIFT", "FALLBACK", "MATRIX", "department_of", "leading_of", "write_duty"]

FALLBACK: Final = "town_office"
#: Class, department, what it does. Supply lines and emergencies are led by whoever owns them; the rest the heads keep.
MATRIX: Final[tuple[tuple[str, str, str], ...]] = (
    ("P01", "municipal_works", "assist"),
    ("P0104", "fire_service", "lead"),
    ("P0105", "water", "lead"),
    ("P0106", "gas", "lead"),
    ("P0108", "power", "lead"),
    ("P02", "municipal_works", "assist"),
    ("P0206", "traffic_police", "lead"),
    ("P03", "sanitation", "assist"),
    ("P04", "greening", "assist"),
    ("E01", "sanitation", "assist"),
    ("E0109", "urban_management", "assist"),
    ("E02", "urban_management", "assist"),
    ("E03", "urban_management", "assist"),
    ("E04", "urban_management", "assist"),
    ("E0403", "traffic_police", "assist"),
    ("E0501", "municipal_works", "lead"),
    ("E0502", "water", "lead"),
    ("E0503", "greening", "lead"),
    ("E0504", "fire_service", "lead"),
    ("S01", "civil_affairs", "assist"),
    ("S0201", "fire_service", "assist"),
    ("S0203", "housing", "assist"),
    ("S04", "market_supervision", "assist"),
    ("S07", "housing", "assist"),
    ("S0702", "market_supervision", "assist"),
)
_DAY: Final = timedelta(days=1)
_WEEKDAYS: Final = [0, 1, 2, 3, 4]
#: Handlers of A posts: Monday to Friday. Zone: local time of the jurisdiction.
DAY_SHIFT: Final = (time(8), time(18))
#: Level-3 heads who work by day on weekdays; their B posts have the nights and weekends.
_HEADS_WITH_SHIFTS: Final = 6


def department_of(catalogue: Catalogue) -> dict[str, str]:
    """The department of every minor class that has one: its own line, else its major class's."""
    lines = {category: department for category, department, _ in MATRIX}
    found = {}
    for category in catalogue.categories:
        if category.parent is not None:
            department = lines.get(category.code) or lines.get(category.parent)
            if department is not None:
                found[category.code] = department
    return found


def leading_of(catalogue: Catalogue) -> dict[str, str]:
    """The department of every minor class that a department leads: its handlers go before the heads."""
    modes = {category: mode for category, _, mode in MATRIX}
    found = department_of(catalogue)
    parents = {category.code: category.parent or "" for category in catalogue.categories}
    return {code: name for code, name in found.items() if modes.get(code, modes.get(parents[code])) == "lead"}


async def write_duty(
    unit: WriteUnit, district: District, people: People, post_ids: Sequence[int], *, since: datetime, now: datetime
) -> dict[str, int]:
    """Write the matrix from an instant on, and the shifts of handlers and of some heads.

    Returns
    -------
    dict
        Number of the matrix's line by the class that it is written for; the empty class is the fallback's.
    """
    driver = await unit.driver()
    lines: dict[str, int] = {}
    async with driver.cursor() as cursor:
        for line in (*MATRIX, ("", FALLBACK, "fallback")):
            await cursor.execute(
                "INSERT INTO dispatch.routing (jurisdiction, cell_code, category_code, department_code, mode,"
                " valid_from) VALUES (%s, '', %s, %s, %s, %s) RETURNING id",
                (JURISDICTION, *line, since),
            )
            row = await cursor.fetchone()
            assert row is not None
            lines[line[0]] = row[0]
        exclusive = next((cell.code for cell in district.cells if cell.kind == "exclusive"), None)
        if exclusive is not None:
            # From now on only: what was reported before belonged to nobody in particular.
            await cursor.execute(
                "INSERT INTO dispatch.routing (jurisdiction, cell_code, department_code, mode, valid_from)"
                " VALUES (%s, %s, 'housing', 'assist', %s)",
                (JURISDICTION, exclusive, now),
            )
        handlers = [
            number
            for number, post in enumerate(people.posts)
            if post.kind == "department_handler" and post.rank == "A" and post.department != FALLBACK
        ]
        blocks = [cell.code for cell in district.cells if cell.level == 3]
        heads = [people.head_of[(code, "A")] for code in blocks[:: max(len(blocks) // _HEADS_WITH_SHIFTS, 1)]]
        # The heads' plan begins tomorrow: the year of cases behind us was dispatched without one.
        first = {number: since.date() for number in handlers} | {number: now.date() + _DAY for number in heads}
        await cursor.executemany(
            "INSERT INTO dispatch.shift (post_id, name, cycle_days, anchor, on_days, starts, ends, first_day)"
            " VALUES (%s, '日班', 7, '2026-01-05', %s, %s, %s, %s)",
            [(post_ids[number], _WEEKDAYS, DAY_SHIFT[0], DAY_SHIFT[1], day) for number, day in first.items()],
        )
    return lines

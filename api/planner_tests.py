"""What the statistics say of the cells of a map: hot spots, histories, likeness, smoothed rates, who finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
from starlette.concurrency import run_in_threadpool

from api.drawn_cells import CellShapes
from api.planner_counted import NOTHING
from api.planner_desk import Desk
from dispatch.rates import patrol_channels
from maps.findings import Period
from maps.hotspots.emerging import FEWEST_STEPS, find_emerging
from maps.hotspots.explaining import Reason, explain
from maps.hotspots.gi_star import PERMUTATIONS, HotSpots, find_hot_spots
from maps.hotspots.moran import local_moran, moran
from maps.hotspots.sites import split_by_finder
from maps.hotspots.smoothing import bayes_global
from maps.measure_page import MeasureView
from maps.measures import CellValue, Measure
from maps.reasons import Tests

__all__ = ["Tested", "test_cells"]

#: Steps that a history is made of: the longest of which there are enough. Units: days.
_STEP_DAYS: Final = (30, 7, 1)
_FEWEST_FOR_MORAN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """Cells with what was worked out of them, and the tests."""

    cells: Sequence[CellValue]
    found: HotSpots | None = None
    reason: Reason | None = None
    tests: Tests = Tests()  # noqa: RUF009 - it is frozen


async def test_cells(desk: Desk, view: MeasureView, shapes: CellShapes, cells: Sequence[CellValue]) -> Tested:
    """Work out what a measure needs beyond counts. The seeds are fixed: the same data, the same map."""
    match view.measure:
        case Measure.HOT_SPOTS:
            return await _hot_spots(view, shapes, cells)
        case Measure.EMERGING:
            return await _emerging(desk, view, shapes, cells)
        case Measure.LOCAL_MORAN:
            return await _moran(view, shapes, cells)
        case Measure.BAYES:
            return _bayes(cells)
        case Measure.PATROL:
            return await _finders(desk, view, cells)
        case _:
            return Tested(cells=cells)


async def _around(view: MeasureView, shapes: CellShapes, cells: Sequence[CellValue]) -> tuple[int, ...]:
    """Return the places of the neighbours of the cell that is explained."""
    at = next((k for k, cell in enumerate(cells) if cell.code == view.cell), None)
    if at is None:
        return ()
    neighbours = await shapes.neighbours(view.level, view.weights)
    return tuple(sorted(neighbours.of(at).tolist(), key=lambda k: (-cells[k].cases, cells[k].code)))


async def _hot_spots(view: MeasureView, shapes: CellShapes, cells: Sequence[CellValue]) -> Tested:
    neighbours = await shapes.neighbours(view.level, view.weights)
    values = np.array([cell.cases for cell in cells], dtype=np.float64)
    found = await run_in_threadpool(find_hot_spots, values, neighbours)
    codes = [cell.code for cell in cells]
    chosen = view.cell in codes
    reason = explain(codes.index(view.cell), values, codes, neighbours, found) if chosen else None
    return Tested(cells=cells, found=found, reason=reason)


async def _emerging(desk: Desk, view: MeasureView, shapes: CellShapes, cells: Sequence[CellValue]) -> Tested:
    days = view.period.days
    step_days = next((each for each in _STEP_DAYS if days // each >= FEWEST_STEPS), 0)
    if not step_days:
        return Tested(cells=cells)
    whole = days // step_days
    # The last step is a whole one: a short one would always look like a decline.
    first = view.period.to_on - timedelta(days=whole * step_days - 1)
    begins = [first + timedelta(days=k * step_days) for k in range(whole)]
    steps = [Period(from_on=on, to_on=on + timedelta(days=step_days - 1)) for on in begins]
    shown = replace(view, period=Period(from_on=first, to_on=view.period.to_on))
    counts, _ = await desk.by_step(shown, steps, [cell.code for cell in cells])
    neighbours = await shapes.neighbours(view.level, view.weights)
    patterns = await run_in_threadpool(find_emerging, counts.astype(np.float64), neighbours)
    around = await _around(view, shapes, cells)
    return Tested(cells=cells, tests=Tests(patterns=patterns, steps=whole, step_days=step_days, around=around))


async def _moran(view: MeasureView, shapes: CellShapes, cells: Sequence[CellValue]) -> Tested:
    neighbours = await shapes.neighbours(view.level, view.weights)
    values = np.array([cell.cases for cell in cells], dtype=np.float64)
    local = await run_in_threadpool(local_moran, values, neighbours, permutations=PERMUTATIONS, seed=0)
    whole = None
    if len(values) >= _FEWEST_FOR_MORAN:
        whole = await run_in_threadpool(moran, values, neighbours, permutations=0)
    return Tested(cells=cells, tests=Tests(local=local, whole=whole, around=await _around(view, shapes, cells)))


def _bayes(cells: Sequence[CellValue]) -> Tested:
    values = np.array([cell.cases for cell in cells], dtype=np.float64)
    residents = np.array([cell.population or 0 for cell in cells], dtype=np.float64)
    rates = 1000 * bayes_global(values, residents)
    told = [None if rate != rate else float(rate) for rate in rates.tolist()]
    return Tested(cells=[replace(cell, estimate=rate) for cell, rate in zip(cells, told, strict=True)])


async def _finders(desk: Desk, view: MeasureView, cells: Sequence[CellValue]) -> Tested:
    patrols = frozenset(await patrol_channels(desk.unit))
    others = frozenset(desk.reference.channels) - patrols
    # Each side by itself: for those who see steps of five, a difference of two steps would be neither.
    found, told = [(await desk.by_cell(view, view.period, channels=side)).cells for side in (patrols, others)]
    split = [
        replace(cell, patrol=found.get(cell.code, NOTHING).cases, citizen=told.get(cell.code, NOTHING).cases)
        for cell in cells
    ]
    sides = [np.array([getattr(cell, side) for cell in split], dtype=np.int64) for side in ("patrol", "citizen")]
    return Tested(cells=split, tests=Tests(splits=split_by_finder(*sides)))

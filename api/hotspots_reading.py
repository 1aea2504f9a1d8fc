"""Reading an address of the statistics, and fetching what they are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from fastapi import Depends, Query
from starlette.concurrency import run_in_threadpool

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.container import Container
from api.drawings import Drawing, find_drawing, parse_boundaries
from api.drawn_cells import CellShapes, read_shapes
from api.planning import limit_of
from api.rates_query import family_of, one_of, parse_period
from dispatch.queries import database_now
from dispatch.reference import Reference
from dispatch.states import CaseState
from geo.errors import Fault, InvalidRequestError, NotFoundError
from geo.storage.cell_shapes import CellShape
from geo.storage.uow import ReadUnit
from maps.facts.asking import Asked, Grid
from maps.facts.store import FactStore
from maps.findings import Period
from maps.hotspots.gi_star import PERMUTATIONS, Null
from maps.hotspots.neighbours import Kind, Neighbours
from maps.suppression import Disclosure, coarsen_all, decide_disclosure

__all__ = ["Asking", "HotspotsRead", "Planner", "Word", "read_hotspots"]

#: Whoever may see maps; those who may not see cases get their counts in steps (`HotspotsRead.told`).
Planner = Annotated[Caller, Depends(require(Scope.MAPS_READ, Scope.CASES_READ_ALL))]
Word = Annotated[str | None, Query(max_length=80)]

_LONGEST: Final = 80
_MOST_PERMUTATIONS: Final = 199_999


class HotspotWords:
    """The filters that every address of the statistics takes, as written."""

    def __init__(
        self,
        first: Annotated[str | None, Query(alias="from", max_length=80, description="First day, local")] = None,
        last: Annotated[str | None, Query(alias="to", max_length=80, description="Last day, included")] = None,
        level: Word = None,
        category: Word = None,
        channel: Word = None,
        ledger: Word = None,
        state: Word = None,
        weights: Annotated[str | None, Query(max_length=80, description="contiguity, nearest or distance")] = None,
        null: Annotated[str | None, Query(max_length=80, description="total, conditional or analytic")] = None,
        permutations: Annotated[str | None, Query(max_length=80, description="9,999 to 199,999")] = None,
        seed: Word = None,
        boundaries: Annotated[str | None, Query(max_length=80, description="now or day")] = None,
    ) -> None:
        self.given: dict[str, str | None] = {"from": first, "to": last, "level": level, "category": category}
        self.given |= {"channel": channel, "ledger": ledger, "state": state, "weights": weights, "null": null}
        self.given |= {"permutations": permutations, "seed": seed, "boundaries": boundaries}


Asking = Annotated[HotspotWords, Depends(HotspotWords)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HotspotsRead:
    """An address, read, with everything that a statistic of it needs.

    Attributes
    ----------
    cells
        Cells of the level that the caller may see, in the order of their codes.
    kept
        Their places among all cells of the level.
    sees_cases
        Whether counts are exact; otherwise everything is computed from steps of five.
    """

    period: Period
    asked: Asked
    drawing: Drawing
    level: int
    weights: Kind
    null: Null
    permutations: int | None
    seed: int
    cells: Sequence[CellShape]
    kept: npt.NDArray[np.int64]
    shapes: CellShapes
    store: FactStore
    reference: Reference
    zone: str
    as_of: datetime
    sees_cases: bool

    @property
    def grid(self) -> Grid:
        """What the facts are asked for."""
        return Grid(version_id=self.drawing.version.id, level=self.level, is_recut=self.drawing.is_recut)

    async def neighbours(self) -> Neighbours:
        """Who is whose neighbour among the cells."""
        every = await self.shapes.neighbours(self.level, self.weights)
        return every if len(self.kept) == len(every) else await run_in_threadpool(every.among, self.kept)

    async def cases(self, asked: Asked | None = None) -> npt.NDArray[np.int64]:
        """Cases of each cell, as the caller may be told them."""
        return self.told(await self.exact(asked))

    def told(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return counts as the caller may be told them (see `maps.suppression.coarsen_all`)."""
        return counts if self.sees_cases else coarsen_all(counts)

    async def exact(self, asked: Asked | None = None) -> npt.NDArray[np.int64]:
        """Cases of each cell: only `told` may let anything of them out."""
        found = await run_in_threadpool(self.store.by_cell, asked or self.asked, self.grid, as_of=self.as_of)
        counts: npt.NDArray[np.int64] = found.cases[self.kept]
        return counts

    def disclosures(self, cases: npt.NDArray[np.int64]) -> list[Disclosure]:
        """What may be said of each cell's count."""
        codes = [cell.code for cell in self.cells]
        counts = dict(zip(codes, cases.tolist(), strict=True))
        decided = decide_disclosure(counts, is_coarse=not self.sees_cases)
        return [decided[code] for code in codes]


async def read_hotspots(unit: ReadUnit, container: Container, caller: Caller, words: HotspotWords) -> HotspotsRead:
    """Read an address.

    Raises
    ------
    InvalidRequestError
        With one fault for each wrong part.
    NotFoundError
        ``maps.no_grid``: no drawing was ever published.
    """
    given = words.given
    code = container.settings.jurisdiction
    reference = await container.reference.get()
    jurisdiction = reference.jurisdictions.get(code)
    zone = jurisdiction.time_zone if jurisdiction else "Asia/Shanghai"
    as_of = await database_now(unit)
    faults: list[Fault] = []
    period = parse_period(given["from"], given["to"], as_of.astimezone(ZoneInfo(zone)).date(), faults)
    boundaries = parse_boundaries(given, faults)
    drawing = await find_drawing(unit, code, boundaries, last_day=period.to_on, zone=zone, now=as_of)
    shapes = await read_shapes(unit, container.engine, drawing.version.id) if drawing else None
    weights = Kind(one_of("weights", given, Kind, Kind.CONTIGUITY.value, faults))
    null = Null(one_of("null", given, Null, Null.TOTAL.value, faults))
    permutations = _number("permutations", given, PERMUTATIONS, _MOST_PERMUTATIONS, faults)
    seed = _number("seed", given, 0, 2**31 - 1, faults) or 0
    level = _level(given, shapes, faults)
    known: dict[str, Any] = {
        "category": reference.categories,
        "channel": reference.channels,
        "ledger": reference.ledgers,
        "state": set(CaseState),
    }
    for name, there in known.items():
        if (word := given.get(name)) and word not in there:
            faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params={name: word[:_LONGEST]}))
    if faults:
        raise InvalidRequestError(faults)
    if drawing is None or shapes is None:
        raise NotFoundError("maps.no_grid")
    limit = limit_of(caller.counting_viewer)
    area, asked_channel = limit.area, frozenset({given["channel"]}) if given["channel"] else None
    version = drawing.version.id
    store = await container.facts.current(drawing=version, recut_to=version if drawing.is_recut else None)
    cells = shapes.cells[level]
    kept = np.arange(len(cells))
    if area is not None:
        mine = store.codes_within(drawing.version.id, area)
        kept = np.flatnonzero([cell.code in mine for cell in cells])
    asked = Asked(
        from_on=period.from_on,
        to_on=period.to_on,
        categories=family_of(reference, given["category"] or ""),
        channels=limit.channels if asked_channel is None else asked_channel & (limit.channels or asked_channel),
        ledgers=frozenset({given["ledger"]}) if given["ledger"] else None,
        states=frozenset({given["state"]}) if given["state"] else None,
        area=area,
    )
    return HotspotsRead(
        period=period,
        asked=asked,
        drawing=drawing,
        level=level,
        weights=weights,
        null=null,
        permutations=permutations,
        seed=seed,
        cells=[cells[k] for k in kept.tolist()],
        kept=kept,
        shapes=shapes,
        store=store,
        reference=reference,
        zone=zone,
        as_of=as_of,
        sees_cases=caller.counts_exactly,
    )


def _level(given: dict[str, str | None], shapes: CellShapes | None, faults: list[Fault]) -> int:
    levels = shapes.levels if shapes else (1,)
    word = given.get("level") or str(max(levels))
    if word not in {str(each) for each in levels}:
        known = ", ".join(map(str, levels))
        faults.append(
            Fault(code="maps.unknown_level", pointer="/level", params={"level": word[:_LONGEST], "known": known})
        )
        return max(levels)
    return int(word)


def _number(name: str, given: dict[str, str | None], low: int, high: int, faults: list[Fault]) -> int | None:
    """Read a whole number within limits; None when it is not given."""
    if not (word := given.get(name)):
        return None
    if not (word.isascii() and word.isdigit() and len(word) < 12 and low <= int(word) <= high):
        params = {"name": name, "given": word[:_LONGEST], "low": low, "high": high}
        faults.append(Fault(code="maps.number_range", pointer=f"/{name}", params=params))
        return None
    return int(word)

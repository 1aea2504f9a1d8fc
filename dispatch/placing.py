"""Where a report lies and who answers there, decided in memory when that is sure.

The decision names the grid version and the snapshot up to which the posts are known; the writing statement checks both
(decision 0022). What cannot be decided here is left out, and ``storage/sql/place.sql`` decides it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from dispatch.intake import PreparedReport
from dispatch.posts import Rung
from dispatch.roster import Roster, department_key
from dispatch.routing import Route
from dispatch.standings import NOBODY_STANDS, Standing
from geo.cells import CellRef, LocatedHow
from geo.lookup import Kernel
from geo.lookup.edges import NOBODY
from geo.lookup.holder import LiveGrid, LiveIndex
from geo.near_squares import NearSquares

__all__ = ["LivePlacer", "Place", "Placement", "chain_record"]

_MOST_STANDINGS = 100_000
_MANY = 48
"""From here on one look for all is cheaper than one for each."""


class Place(Struct, frozen=True, kw_only=True):
    """One report's place. ``chain`` and ``ladder`` are empty outside the grid and without a position."""

    how: LocatedHow
    version_id: int | None
    #: With the id: a version that was withdrawn and redrawn keeps its id, and has another revision.
    version_revision: int | None
    version_number: int | None
    version_name: str
    cell_id: int | None = None
    path: tuple[str, ...] = ()
    chain: Sequence[Mapping[str, Any]] = ()
    #: Begins with the handlers of the department when the route says that it leads.
    ladder: tuple[Rung, ...] = ()
    route: Route | None = None
    standing: Standing = NOBODY_STANDS
    #: Outside: cells among which the nearest ones are, if that is known.
    near: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Places of some reports by their id. ``known``: the snapshot up to which the posts are known."""

    known: str
    places: Mapping[UUID, Place]


#: Nothing is known; the database decides everything.
NOTHING_KNOWN = Placement(known="", places={})


@dataclass(slots=True)
class LivePlacer:
    """Places reports with the index and the roster of this process."""

    index: LiveIndex
    roster: Roster
    jurisdiction: str
    near: NearSquares | None = None
    _records: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    _standings: dict[tuple[int, str | None], Standing] = field(default_factory=dict)
    _records_of: tuple[int, int] = (0, 0)

    async def place(self, reports: Sequence[PreparedReport]) -> Placement:
        """Place what can be placed. Cost: microseconds each, and one query when the roster lacks some cells.

        Reports of one moment, cell and category share what is worked out.
        """
        grid = self.index.at(self.index.now())
        if grid is None:
            return NOTHING_KNOWN
        own = [report for report in reports if report.jurisdiction == self.jurisdiction]
        numbers = _find(grid, own)
        if not await self.roster.ensure_routes():
            return NOTHING_KNOWN
        await self.roster.ensure(self._needed(grid, own, numbers))
        # No waiting between here and the snapshot: what the ladders are made of is what the snapshot knows.
        known = self.roster.snapshot
        if not known or not self.roster.knows_routes:
            return NOTHING_KNOWN  # the matrix has changed while posts were read
        places: dict[UUID, Place] = {}
        alike: dict[tuple[int, str, datetime], Place | None] = {}
        for report, number in zip(own, numbers, strict=True):
            if number == NOBODY:
                place: Place | None = self._nowhere(grid, report)
            else:
                key = (number, report.category, report.reported_at)
                place = alike[key] if key in alike else self._place(grid, number, report.category, report.reported_at)
                alike[key] = place
            if place is not None:
                places[report.id] = place
        return Placement(known=known, places=places)

    def _needed(self, grid: LiveGrid, reports: Sequence[PreparedReport], numbers: Sequence[int]) -> set[str]:
        """Entries of the roster that the ladders of some reports are made of."""
        paths = {number: tuple(cell.code for cell in grid.chain_of(number)) for number in set(numbers)}
        needed = {code for path in paths.values() for code in path}
        asked = {
            (number, report.category, report.reported_at)
            for report, number in zip(reports, numbers, strict=True)
            if number != NOBODY
        }
        for number, category, at in asked:
            route = self.roster.route(paths[number], category, at)
            if route is not None and route.leading is not None:
                needed.add(department_key(route.leading))
        return needed

    def _nowhere(self, grid: LiveGrid, report: PreparedReport) -> Place:
        has_position = report.lon is not None and report.lat is not None
        near: tuple[int, ...] | None = None
        if self.near is not None and report.lon is not None and report.lat is not None:
            near = self.near.candidates(grid.version.key, report.lon, report.lat)
        return Place(
            how=LocatedHow.OUT_OF_GRID if has_position else LocatedHow.NO_POSITION,
            version_id=grid.version.id,
            version_revision=grid.version.revision,
            version_number=grid.version.number,
            version_name=grid.version.name,
            near=near,
        )

    def _place(self, grid: LiveGrid, number: int, category: str, at: datetime) -> Place | None:
        version, chain = grid.version, grid.chain_of(number)
        path = tuple(cell.code for cell in chain)
        route = self.roster.route(path, category, at)
        leading = route.leading if route else None
        ladder = self.roster.led_ladder(path, leading, at)
        if ladder is None:
            return None
        record = self._record(version.key, chain)
        return Place(
            how=LocatedHow.COVERS,
            version_id=version.id,
            version_revision=version.revision,
            version_number=version.number,
            version_name=version.name,
            cell_id=chain[-1].id,
            path=path,
            chain=record,
            ladder=ladder,
            route=route,
            standing=self._standing((chain[-1].id, leading), record, ladder),
        )

    def _standing(
        self, key: tuple[int, str | None], record: Sequence[Mapping[str, Any]], ladder: tuple[Rung, ...]
    ) -> Standing:
        found = self._standings.get(key)
        # The rungs are the same objects until an interval begins or ends or somebody changes them: a cheap comparison.
        if found is None or found.ladder != ladder or found.chain is not record:
            if len(self._standings) >= _MOST_STANDINGS:
                self._standings.clear()
            found = self._standings[key] = Standing.of(record, ladder)
        return found

    def _record(self, version: tuple[int, int], chain: tuple[CellRef, ...]) -> Sequence[Mapping[str, Any]]:
        """The chain as events keep it, made once per cell."""
        if self._records_of != version:
            self._records, self._records_of = {}, version
        cell_id = chain[-1].id
        found = self._records.get(cell_id)
        if found is None:
            found = self._records[cell_id] = chain_record(chain)
        return found


def _find(grid: LiveGrid, reports: Sequence[PreparedReport]) -> list[int]:
    """Numbers of the cells of some reports; `NOBODY` outside and without a position."""
    index = grid.index
    if len(reports) < _MANY:
        return [
            NOBODY if report.lon is None or report.lat is None else index.find(report.lon, report.lat)
            for report in reports
        ]
    # NaN lies nowhere.
    lons = [math.nan if report.lon is None else report.lon for report in reports]
    lats = [math.nan if report.lat is None else report.lat for report in reports]
    # Not the compiled kernel: its first question takes seconds.
    found: list[int] = index.find_many(lons, lats, kernel=Kernel.NUMPY).tolist()
    return found


def chain_record(chain: Sequence[CellRef]) -> Sequence[Mapping[str, Any]]:
    """A chain as the first event of a case keeps it."""
    return tuple(
        {
            "level": cell.level,
            "code": cell.code,
            "name_zh": cell.name_zh,
            "name_en": cell.name_en,
            "kind": cell.kind.value,
        }
        for cell in chain
    )

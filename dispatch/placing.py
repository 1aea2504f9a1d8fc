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
from msgspec.structs import replace

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

_MOST_KEPT = 100_000
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
    #: Outside: the nearest cells with their distances, if that is known.
    nearest: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Places of some reports by their id. ``known``: the snapshot up to which the posts are known."""

    known: str
    places: Mapping[UUID, Place]
    #: Ids of standings that need not be kept any more, as far as this process knows; whoever keeps one adds it.
    kept: set[UUID] = field(default_factory=set)


#: Nothing is known; the database decides everything.
NOTHING_KNOWN = Placement(known="", places={})


@dataclass(slots=True)
class _Kept:
    """A place, and how long it stays right if nothing changes. Boundary: ``[since, until)``."""

    place: Place
    since: datetime
    until: datetime


@dataclass(slots=True)
class LivePlacer:
    """Places reports with the index and the roster of this process, and keeps what it has worked out.

    A place is the same for all reports of a cell and a line of the matrix, until the drawing changes, the roster
    forgets something, or an interval of a post, a leave or a shift begins or ends.
    """

    index: LiveIndex
    roster: Roster
    jurisdiction: str
    near: NearSquares | None = None
    _kept: dict[tuple[int, int | None], _Kept] = field(default_factory=dict)
    _paths: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _nowhere: dict[LocatedHow, Place] = field(default_factory=dict)
    _records: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    _standings: dict[tuple[int, str | None], Standing] = field(default_factory=dict)
    _stored: set[UUID] = field(default_factory=set)
    #: Version, revision, and how often the roster had forgotten something: what the above is true of.
    _kept_of: tuple[int, int, int] = (0, 0, 0)

    async def place(self, reports: Sequence[PreparedReport]) -> Placement:
        """Place what can be placed. Cost: a microsecond each, some more for a cell and class that is new or changed,
        and one query when the roster lacks some cells.
        """
        grid = self.index.at(self.index.now())
        if grid is None:
            return NOTHING_KNOWN
        own = [report for report in reports if report.jurisdiction == self.jurisdiction]
        numbers = _find(grid, own)
        if not await self.roster.ensure_routes():
            return NOTHING_KNOWN
        self._forget_what_changed(grid)
        if needed := self._needed(grid, own, numbers):
            await self.roster.ensure(needed)
            self._forget_what_changed(grid)
        # No waiting between here and the snapshot: what the ladders are made of is what the snapshot knows.
        known = self.roster.snapshot
        if not known or not self.roster.knows_routes:
            return NOTHING_KNOWN  # the matrix has changed while posts were read
        places: dict[UUID, Place] = {}
        for report, number in zip(own, numbers, strict=True):
            if number == NOBODY:
                places[report.id] = self._outside(grid, report)
            elif self.roster.answers(report.reported_at):
                place = self._inside(grid, number, report)
                if place is not None:
                    places[report.id] = place
        if len(self._stored) >= _MOST_KEPT:
            self._stored.clear()
        return Placement(known=known, places=places, kept=self._stored)

    def _forget_what_changed(self, grid: LiveGrid) -> None:
        now = (*grid.version.key, self.roster.forgotten)
        if now == self._kept_of:
            return
        if now[:2] != self._kept_of[:2]:
            self._paths.clear()
            self._records.clear()
            self._nowhere.clear()
        # Standings stay: they are compared with what they were made of, and are the same for most.
        self._kept.clear()
        self._kept_of = now

    def _needed(self, grid: LiveGrid, reports: Sequence[PreparedReport], numbers: Sequence[int]) -> set[str]:
        """Entries of the roster that places are made of which nobody has made yet."""
        needed: set[str] = set()
        for report, number in zip(reports, numbers, strict=True):
            if number == NOBODY:
                continue
            path, route, kept = self._look_up(grid, number, report)
            if kept is None:
                needed.update(path)
                if route is not None and route.leading is not None:
                    needed.add(department_key(route.leading))
        return needed

    def _look_up(
        self, grid: LiveGrid, number: int, report: PreparedReport
    ) -> tuple[tuple[str, ...], Route | None, Place | None]:
        path = self._paths.get(number)
        if path is None:
            path = self._paths[number] = tuple(cell.code for cell in grid.chain_of(number))
        at = report.reported_at
        route = self.roster.route(path, report.category, at)
        kept = self._kept.get((number, route.rule_id if route else None))
        return path, route, kept.place if kept is not None and kept.since <= at < kept.until else None

    def _outside(self, grid: LiveGrid, report: PreparedReport) -> Place:
        lon, lat = report.lon, report.lat
        how = LocatedHow.NO_POSITION if lon is None or lat is None else LocatedHow.OUT_OF_GRID
        place = self._nowhere.get(how)
        if place is None:
            place = self._nowhere[how] = Place(
                how=how,
                version_id=grid.version.id,
                version_revision=grid.version.revision,
                version_number=grid.version.number,
                version_name=grid.version.name,
            )
        if self.near is None or lon is None or lat is None:
            return place
        nearest = self.near.nearest(grid.version.key, lon, lat)
        return place if nearest is None else replace(place, nearest=nearest)

    def _inside(self, grid: LiveGrid, number: int, report: PreparedReport) -> Place | None:
        path, route, known = self._look_up(grid, number, report)
        if known is not None:
            return known
        version, chain, at = grid.version, grid.chain_of(number), report.reported_at
        leading = route.leading if route else None
        ladder = self.roster.led_ladder(path, leading, at)
        if ladder is None:
            return None
        record = self._record(chain)
        place = Place(
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
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        since, until = self.roster.constant_around(path, leading, at)
        self._kept[number, route.rule_id if route else None] = _Kept(place, since, until)
        return place

    def _standing(
        self, key: tuple[int, str | None], record: Sequence[Mapping[str, Any]], ladder: tuple[Rung, ...]
    ) -> Standing:
        found = self._standings.get(key)
        # The rungs are the same objects until an interval begins or ends or somebody changes them: a cheap comparison.
        if found is None or found.ladder != ladder or found.chain is not record:
            if len(self._standings) >= _MOST_KEPT:
                self._standings.clear()
            found = self._standings[key] = Standing.of(record, ladder)
        return found

    def _record(self, chain: tuple[CellRef, ...]) -> Sequence[Mapping[str, Any]]:
        """The chain as events keep it, made once per cell."""
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

"""Where a report lies and who answers there, decided in memory when that is sure.

The decision names the grid version and the snapshot up to which the posts are known; the writing statement checks both
(decision 0022). What cannot be decided here is left out, and ``storage/sql/place.sql`` decides it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from dispatch.intake import PreparedReport
from dispatch.posts import Head, Rung, find_backup, find_head, ladder_json
from dispatch.roster import Roster, department_key
from dispatch.routing import Route
from geo.cells import CellRef, LocatedHow
from geo.lookup.holder import LiveGrid, LiveIndex

__all__ = ["LivePlacer", "Place", "Placement", "Standing", "chain_record"]

_MOST_STANDINGS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What follows from a cell and its ladder and is the same for every report there: made once, as it is written."""

    ladder: tuple[Rung, ...]
    head: Head | None
    backup: Rung | None
    chain: tuple[Mapping[str, Any], ...]
    chain_raw: Raw
    ladder_raw: Raw

    @classmethod
    def of(cls, chain: Sequence[Mapping[str, Any]], ladder: tuple[Rung, ...]) -> Standing:
        """Work it out."""
        head = find_head(ladder)
        return cls(
            ladder=ladder,
            head=head,
            backup=find_backup(ladder, head) if head else None,
            chain=tuple(chain),
            chain_raw=Raw(msgspec.json.encode(chain)),
            ladder_raw=Raw(msgspec.json.encode(ladder_json(ladder))),
        )


NOBODY_STANDS = Standing.of((), ())


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
    _records: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    _standings: dict[tuple[int, str | None], Standing] = field(default_factory=dict)
    _records_of: tuple[int, int] = (0, 0)

    async def place(self, reports: Sequence[PreparedReport]) -> Placement:
        """Place what can be placed. Cost: microseconds each, and one query when the roster lacks some cells."""
        grid = self.index.at(self.index.now())
        if grid is None:
            return NOTHING_KNOWN
        chains = {
            report.id: () if report.lon is None or report.lat is None else grid.chain(report.lon, report.lat)
            for report in reports
            if report.jurisdiction == self.jurisdiction
        }
        if not await self.roster.ensure_routes():
            return NOTHING_KNOWN
        await self.roster.ensure(self._needed(reports, chains))
        # No waiting between here and the snapshot: what the ladders are made of is what the snapshot knows.
        known = self.roster.snapshot
        if not self.roster.knows_routes:
            return NOTHING_KNOWN  # the matrix has changed while posts were read
        places = {}
        for report in reports:
            if report.id in chains and (place := self._place(grid, report, chains[report.id])) is not None:
                places[report.id] = place
        return Placement(known=known, places=places) if known else NOTHING_KNOWN

    def _needed(self, reports: Sequence[PreparedReport], chains: Mapping[UUID, tuple[CellRef, ...]]) -> set[str]:
        """Entries of the roster that the ladders of some reports are made of."""
        needed = {cell.code for chain in chains.values() for cell in chain}
        for report in reports:
            chain = chains.get(report.id)
            if chain:
                route = self.roster.route([cell.code for cell in chain], report.category, report.reported_at)
                if route is not None and route.leading is not None:
                    needed.add(department_key(route.leading))
        return needed

    def _place(self, grid: LiveGrid, report: PreparedReport, chain: tuple[CellRef, ...]) -> Place | None:
        version = grid.version
        if not chain:
            how = LocatedHow.NO_POSITION if report.lon is None else LocatedHow.OUT_OF_GRID
            return Place(
                how=how,
                version_id=version.id,
                version_revision=version.revision,
                version_number=version.number,
                version_name=version.name,
            )
        path = tuple(cell.code for cell in chain)
        route = self.roster.route(path, report.category, report.reported_at)
        leading = route.leading if route else None
        ladder = self.roster.led_ladder(path, leading, report.reported_at)
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

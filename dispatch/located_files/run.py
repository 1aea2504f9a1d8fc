"""Locate the points of a file: cells from an index of one version, persons from one snapshot of the posts.

The whole file is answered for one instant, by one version, whatever is activated meanwhile. Memory holds the index and
a batch of rows, however long the file is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.importing.rejects import Describe, RejectFile
from dispatch.located_files.points import OWN_PREFIX, Batch, PointFile, PointOptions, judge
from dispatch.located_files.writing import ResultFile
from dispatch.posts import Rung, find_backup, find_head
from dispatch.queries import database_now, responsible_many
from geo.assessing import Assessor
from geo.cells import CellRef, GridVersionId, LocatedHow
from geo.errors import NotFoundError
from geo.locating import NEAREST_WANTED, nearest_many
from geo.lookup.holder import LiveGrid, LiveVersion
from geo.storage.grid_versions import find_active
from geo.storage.uow import ReadUnit, read_unit
from geo.uncertainty import Uncertainty

__all__ = ["FileLocated", "Question", "locate_file"]

_LADDERS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a file. ``language`` chooses the names; the codes are the same in each."""

    options: PointOptions
    jurisdiction: str
    out: Path
    rejects: Path
    at: datetime | None = None
    language: str = "zh-CN"


@dataclass(slots=True, kw_only=True)
class FileLocated:
    """What came of a file."""

    version: int
    rows: int = 0
    covered: int = 0
    outside: int = 0
    to_confirm: int = 0
    rejected: int = 0


class Progress(Protocol):
    """Told the last line of each batch."""

    def __call__(self, line: int, total: int) -> None:
        """Show it."""


async def locate_file(
    engine: AsyncEngine,
    load: Callable[[LiveVersion, Event], LiveGrid],
    file: PointFile,
    question: Question,
    describe: Describe,
    progress: Progress,
) -> FileLocated:
    """Write the file again with cell and responsible person on each row; what cannot be located goes to the rejects.

    Raises
    ------
    NotFoundError
        ``locating.no_version`` when no version is valid at that instant.

    Notes
    -----
    Cost: the index, about 30 µs a cell, once; then about 10 µs a row, 0.1 ms for a row outside the grid; with an
    accuracy, 0.05 to 0.2 ms a row more.
    """
    async with read_unit(engine, snapshot=True) as unit:
        instant = question.at or await database_now(unit)
        active = await find_active(unit, question.jurisdiction, instant)
        if active is None or active.valid_from is None:
            raise NotFoundError("locating.no_version", jurisdiction=question.jurisdiction, at=instant.isoformat())
        # In this thread: nobody else waits for it.
        version = LiveVersion(
            id=active.id,
            revision=active.revision,
            number=active.number,
            name=active.name,
            valid_from=active.valid_from,
            valid_until=active.valid_until,
        )
        run = _Run(unit, question, load(version, Event()), instant)
        found = FileLocated(version=active.number)
        with (
            RejectFile(question.rejects, file.header, describe) as rejects,
            ResultFile(question.out, pa.schema([*file.schema, *run.fields()], metadata=file.schema.metadata)) as result,
        ):
            for raw in file.batches():
                batch = judge(raw, file.coord_sys, question.options.accuracy)
                rejects.add(batch.rejected)
                await result.write(batch, await run.columns(batch, found))
                found.rows += len(batch.lon) + len(batch.rejected)
                progress(batch.last_line, file.total)
            found.rejected = rejects.count
            result.keep()
    return found


@dataclass(slots=True)
class _Run:
    unit: ReadUnit
    question: Question
    grid: LiveGrid
    instant: datetime
    _chains: dict[int, tuple[CellRef, ...]] = field(default_factory=dict)
    _ladders: dict[int, tuple[Rung, ...]] = field(default_factory=dict)
    _assessor: Assessor | None = None

    def fields(self) -> list[pa.Field]:
        """Our columns."""
        return [pa.field(OWN_PREFIX + name, kind) for name, kind in self._kinds().items()]

    def _kinds(self) -> dict[str, pa.DataType]:
        text, number = pa.string(), pa.float64()
        kinds = {"how": text, "cell": text, "cell_name": text}
        kinds |= {f"level_{level}": text for level in self._levels()}
        kinds |= {f"{who}_{what}": text for who in ("head", "backup") for what in ("name", "post", "cell")}
        kinds |= {"head_why": text}
        for place in range(1, NEAREST_WANTED + 1):
            kinds |= {f"nearest_{place}": text, f"nearest_{place}_m": number}
        if self.question.options.accuracy is not None:
            kinds |= {"confirm_on_site": pa.bool_(), "candidates": text, "outside_share": number, "boundary_m": number}
        return kinds | {"lon": number, "lat": number, "grid_version": pa.int64()}

    def _levels(self) -> range:
        return range(1, max(self.grid.index.levels, default=0) + 1)

    async def columns(self, batch: Batch, found: FileLocated) -> list[pa.Array]:
        """Values of our columns for a batch."""
        numbers: list[int] = self.grid.index.find_many(batch.lon, batch.lat).tolist()
        await self._learn(numbers)
        nearest = await self._nearest(batch, numbers)
        assessed = await self._assessed(batch, numbers)
        found.covered += sum(number >= 0 for number in numbers)
        found.outside += sum(number < 0 for number in numbers)
        found.to_confirm += sum(each.confirm_on_site for each in assessed.values())
        kinds = self._kinds()
        columns: dict[str, list[Any]] = {name: [None] * len(numbers) for name in kinds}
        columns["lon"], columns["lat"] = batch.lon.tolist(), batch.lat.tolist()
        columns["grid_version"] = [self.grid.version.number] * len(numbers)
        for place, number in enumerate(numbers):
            row = self._covered(number) if number >= 0 else nearest[place]
            for name, value in row.items():
                columns[name][place] = value
        for place, uncertainty in assessed.items():
            columns["confirm_on_site"][place] = uncertainty.confirm_on_site
            columns["candidates"][place] = " ".join(f"{each.code}:{each.share:.4f}" for each in uncertainty.candidates)
            columns["outside_share"][place] = uncertainty.outside_share
            columns["boundary_m"][place] = uncertainty.boundary_m
        return [pa.array(columns[name], type=kind) for name, kind in kinds.items()]

    def _covered(self, number: int) -> dict[str, Any]:
        chain, ladder = self._chains[number], self._ladders[number]
        row: dict[str, Any] = {"how": LocatedHow.COVERS.value, "cell": chain[-1].code}
        row["cell_name"] = chain[-1].name(self.question.language)
        row |= {f"level_{cell.level}": cell.code for cell in chain}
        head = find_head(ladder)
        if head is not None:
            row |= {**self._who("head", head.rung), "head_why": head.why.value}
            backup = find_backup(ladder, head)
            if backup is not None:
                row |= self._who("backup", backup)
        return row

    def _who(self, role: str, rung: Rung) -> dict[str, Any]:
        title = rung.title(self.question.language)
        return {f"{role}_name": rung.person_name, f"{role}_post": title, f"{role}_cell": rung.cell_code}

    async def _learn(self, numbers: Sequence[int]) -> None:
        new = [number for number in dict.fromkeys(numbers) if number >= 0 and number not in self._chains]
        for some in _slices(new, _LADDERS_AT_ONCE):
            for number in some:
                self._chains[number] = self.grid.chain_of(number)
            paths = [tuple(cell.code for cell in self._chains[number]) for number in some]
            ladders = await responsible_many(self.unit, self.question.jurisdiction, paths, self.instant)
            self._ladders.update(zip(some, ladders, strict=True))

    async def _nearest(self, batch: Batch, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
        places = [place for place, number in enumerate(numbers) if number < 0]
        rows: dict[int, dict[str, Any]] = {}
        for some in _slices(places, _LADDERS_AT_ONCE):
            near = await nearest_many(
                self.unit, GridVersionId(self.grid.version.id), batch.lon[some].tolist(), batch.lat[some].tolist()
            )
            for place, cells in zip(some, near, strict=True):
                row = rows[place] = {"how": LocatedHow.OUT_OF_GRID.value}
                for rank, cell in enumerate(cells, start=1):
                    row |= {f"nearest_{rank}": cell.code, f"nearest_{rank}_m": round(cell.distance_m, 1)}
        return rows

    async def _assessed(self, batch: Batch, numbers: Sequence[int]) -> dict[int, Uncertainty]:
        places = [place for place, radius in enumerate(batch.accuracy) if radius is not None]
        if not places:
            return {}
        if self._assessor is None:
            self._assessor = await Assessor.open(self.unit, self.grid)
        radii = np.array([batch.accuracy[place] for place in places], dtype=np.float64)
        chosen = [numbers[place] for place in places]
        found = await self._assessor.assess(self.unit, chosen, batch.lon[places], batch.lat[places], radii)
        return dict(zip(places, found, strict=True))


def _slices(items: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])

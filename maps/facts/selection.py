"""Which rows a question means, and how many there are where sums know it. See `maps.facts.store`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from maps.facts.asking import Asked, Grid, Within, day_number
from maps.facts.columns import FIRST_CELL, NO_POSITION, OUT_OF_GRID
from maps.facts.drawings import OWN_DAY
from maps.facts.rows import COUNTED, FactRows, lut

__all__ = ["FactSelection", "has_cells", "has_no_more"]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

_MOST_AREAS: Final = 64
_LAST_DAY: Final = 65_535


class FactSelection(FactRows):
    """Rows that can be asked for."""

    def _count_places(self, asked: Asked, drawing: int = OWN_DAY) -> Array:
        """Count by place (see `maps.facts.columns`)."""
        places, drawn = len(self.words.cells) + FIRST_CELL, self._drawn[drawing]
        is_plain = asked.categories is None and has_no_more(asked)
        is_plain &= asked.area is None or drawing == OWN_DAY
        is_plain &= asked.within is None or asked.within.drawing == drawing
        if is_plain and drawn.days is not None:
            low, high = drawn.days.lines(day_number(asked.from_on), day_number(asked.to_on))
            counts = np.zeros(places, dtype=np.int64)
            counts[: drawn.days.cells.shape[1]] = drawn.days.cells[high] - drawn.days.cells[low]
            if asked.area is not None:
                counts[~self._cell_lut(asked.area)] = 0
            if asked.within is not None:
                counts[~self._within_lut(asked.within)] = 0
            if len(self._tail):
                counts += np.bincount(self._tail[drawn.late][self._tail_mask(asked)], minlength=places)
            return counts
        return np.bincount(self._gather(asked, ("cell",), drawing=drawing)["cell"], minlength=places)

    def _count_all(self, asked: Asked) -> int:
        """Count without a place. Cost: some numbers, where only days and classes are asked for."""
        drawn = self._drawn[OWN_DAY]
        if drawn.days is None or has_cells(asked) or not has_no_more(asked):
            return int(self._count_places(asked, asked.within.drawing if asked.within else OWN_DAY).sum())
        low, high = drawn.days.lines(day_number(asked.from_on), day_number(asked.to_on))
        sums = drawn.days.categories
        if asked.categories is None:
            count = int((sums[:, high] - sums[:, low]).sum())
        else:
            wanted = self._category_lut(asked.categories)[: len(sums)]
            count = int((sums[wanted, high] - sums[wanted, low]).sum())
        return count + (int(self._tail_mask(asked).sum()) if len(self._tail) else 0)

    def _gather(
        self,
        asked: Asked,
        names: tuple[str, ...],
        *,
        running: bool = False,
        tail: bool = True,
        drawing: int = OWN_DAY,
    ) -> dict[str, Array]:
        """Return the wanted columns of the meant rows; with ``running`` also when a running clock ends.

        ``cell`` is of the drawing; `Asked.area` is always looked for in the cells of the case's own day.
        """
        base, drawn = self.base, self._drawn[drawing]
        slices = self._slices(asked)
        # Neighbouring slices (all categories, all days) are one piece of memory and need no copy.
        pieces = _join([piece for _, piece in slices])

        def column(name: str) -> Array:
            return _cut(base.columns[name], pieces)

        mask = self._base_mask(asked, pieces)
        found: dict[str, Array] = {}
        for name in names:
            if name == "category":
                sizes = [piece.stop - piece.start for _, piece in slices]
                found[name] = np.repeat(np.array([k for k, _ in slices], dtype=np.int64), sizes)
            elif name == "ledgers":
                found[name] = base.ledger_sets[column("ledger_set")]
            elif name == "cell":
                found[name] = _cut(drawn.cell, pieces)
            else:
                found[name] = column(name)
        if running:
            found["due"] = self._running_until(pieces, len(mask))
        if not mask.all():
            found = {name: kept[mask] for name, kept in found.items()}
        if tail and len(self._tail):
            late = self._tail_mask(asked)
            where = {"cell": drawn.late}
            found = {
                name: np.concatenate((kept, self._tail[where.get(name, name)][late])) for name, kept in found.items()
            }
        return found

    def _base_mask(self, asked: Asked, pieces: list[slice]) -> Bools:
        columns = self.base.columns
        mask = self._state_lut(asked.states if asked.states is not None else COUNTED)[_cut(columns["state"], pieces)]
        if asked.channels is not None:
            mask &= lut(self.words.channels, asked.channels, 256)[_cut(columns["channel"], pieces)]
        if asked.ledgers is not None:
            mask &= self._ledger_bits(asked.ledgers, self.base.ledger_sets)[_cut(columns["ledger_set"], pieces)]
        if asked.area is not None:
            mask &= self._cell_lut(asked.area)[_cut(columns["cell"], pieces)]
        if asked.within is not None:
            mask &= self._within_lut(asked.within)[_cut(self._drawn[asked.within.drawing].cell, pieces)]
        return mask

    def _slices(self, asked: Asked) -> list[tuple[int, slice]]:
        """Return (category, its rows of the period), in order."""
        starts, day = self.base.starts, self.base.columns["day"]
        lowest, highest = day_number(asked.from_on), day_number(asked.to_on)
        if highest < 0 or lowest > _LAST_DAY or lowest > highest:
            return []
        first, last = np.uint16(max(0, lowest)), np.uint16(min(highest, _LAST_DAY))
        wanted = self._category_lut(asked.categories)[: len(starts) - 1]
        slices = []
        for category in np.flatnonzero(wanted & (np.diff(starts) > 0)).tolist():
            start, stop = int(starts[category]), int(starts[category + 1])
            begin = start + int(np.searchsorted(day[start:stop], first, side="left"))
            end = start + int(np.searchsorted(day[start:stop], last, side="right"))
            if begin < end:
                slices.append((category, slice(begin, end)))
        return slices

    def _running_until(self, pieces: list[slice], length: int) -> Array:
        """Return for each row of the pieces when its clock ends, 0 where none runs."""
        until = np.zeros(length, dtype=np.int64)
        rows = np.fromiter(self._due.keys(), dtype=np.int64, count=len(self._due))
        ends = np.fromiter(self._due.values(), dtype=np.int64, count=len(self._due))
        offset = 0
        for piece in pieces:
            inside = (rows >= piece.start) & (rows < piece.stop)
            until[rows[inside] - piece.start + offset] = ends[inside]
            offset += piece.stop - piece.start
        return until

    def _tail_mask(self, asked: Asked) -> Bools:
        tail = self._tail
        mask = self._state_lut(asked.states if asked.states is not None else COUNTED)[tail["state"]]
        mask &= (tail["day"] >= day_number(asked.from_on)) & (tail["day"] <= day_number(asked.to_on))
        mask &= self._category_lut(asked.categories)[tail["category"]]
        if asked.channels is not None:
            mask &= lut(self.words.channels, asked.channels, max(256, len(self.words.channels)))[tail["channel"]]
        if asked.ledgers is not None:
            mask &= self._ledger_bits(asked.ledgers, tail["ledgers"])
        if asked.area is not None:
            mask &= self._cell_lut(asked.area)[tail["cell"]]
        if asked.within is not None:
            mask &= self._within_lut(asked.within)[tail[self._drawn[asked.within.drawing].late]]
        return mask

    def _category_lut(self, wanted: frozenset[str] | None) -> Bools:
        if wanted is None:
            return np.ones(len(self.words.categories), dtype=bool)
        family = set(wanted)
        grown = True
        while grown:
            more = {c for c, p in zip(self.words.categories, self.words.parents, strict=True) if p in family} - family
            family |= more
            grown = bool(more)
        return lut(self.words.categories, frozenset(family), len(self.words.categories))

    def _ledger_bits(self, wanted: frozenset[str], sets: Array) -> Bools:
        bits = sum(1 << k for k, code in enumerate(self.words.ledgers) if code in wanted)
        return np.asarray((np.asarray(sets, dtype=np.int64) & bits) != 0)

    def _cell_lut(self, area: frozenset[str] | None) -> Bools:
        if area is None:
            return np.ones(len(self.words.cells) + FIRST_CELL, dtype=bool)
        if area not in self._areas:
            if len(self._areas) >= _MOST_AREAS:
                self._areas.clear()
            # What lies in no cell lies in nobody's area.
            inside = np.zeros(len(self.words.cells) + FIRST_CELL, dtype=bool)
            inside[FIRST_CELL:] = [not area.isdisjoint(cell.path) for cell in self.words.cells]
            self._areas[area] = inside
        return self._areas[area]

    def _within_lut(self, within: Within) -> Bools:
        """Return which places are cells of a drawing in the chosen ones."""
        return self._cell_lut(within.cells) & self._on_version(within.version_id)

    def _level(self, grid: Grid) -> tuple[tuple[str, ...], Array]:
        """Return the codes of a level and, for each place, the cell of the level: n for out of grid, and so on."""
        key = (grid.version_id, grid.level)
        if key not in self._levels:
            mine = [cell for cell in self.words.cells if cell.version_id == grid.version_id]
            codes = tuple(sorted(cell.path[-1] for cell in mine if len(cell.path) == grid.level))
            number = {code: k for k, code in enumerate(codes)}
            n = len(codes)
            level_of = np.full(len(self.words.cells) + FIRST_CELL, n + 3, dtype=np.int64)
            level_of[OUT_OF_GRID], level_of[NO_POSITION] = n, n + 1
            for place, cell in enumerate(self.words.cells, start=FIRST_CELL):
                if cell.version_id == grid.version_id:
                    deep = len(cell.path) >= grid.level
                    level_of[place] = number[cell.path[grid.level - 1]] if deep else n + 2
            self._levels[key] = (codes, level_of)
        return self._levels[key]


def has_no_more(asked: Asked) -> bool:
    """Whether nothing but days, classes and cells is asked for: what the sums know."""
    return asked.channels is None and asked.ledgers is None and asked.states is None


def has_cells(asked: Asked) -> bool:
    """Whether only cases in some cells are meant."""
    return asked.area is not None or asked.within is not None


def _cut(whole: Array, pieces: list[slice]) -> Array:
    if len(pieces) == 1:
        return whole[pieces[0]]
    return np.concatenate([whole[piece] for piece in pieces]) if pieces else whole[:0]


def _join(pieces: list[slice]) -> list[slice]:
    joined: list[slice] = []
    for piece in pieces:
        if joined and joined[-1].stop == piece.start:
            joined[-1] = slice(joined[-1].start, piece.stop)
        else:
            joined.append(piece)
    return joined

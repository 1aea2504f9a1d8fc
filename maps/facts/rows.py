"""The rows behind every count: taken over from the feed, and found again by what is asked. See `maps.facts.store`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dispatch.facts import NO_SQUARE, STATES, Dictionaries
from dispatch.feed import Cursor
from dispatch.hotspots import NOT_COUNTED
from maps.facts.asking import Asked, Grid, day_number
from maps.facts.columns import (
    FIRST_CELL,
    NO_MINUTES,
    NO_POSITION,
    NOWHERE,
    OUT_OF_GRID,
    Base,
    Places,
    key_of,
    sum_by_day,
)
from maps.facts.tail import Tail

__all__ = ["STRUCK", "FactRows"]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

#: A struck-out row; no state has this number.
STRUCK: Final = 255
_COUNTED: Final = frozenset(state.value for state in STATES) - {state.value for state in NOT_COUNTED}
_MOST_AREAS: Final = 64
_LAST_DAY: Final = 65_535


class FactRows:
    """Columns and tail, kept current."""

    def __init__(self, base: Base) -> None:
        self._lock = threading.RLock()
        self._adopt(base)

    def _adopt(self, base: Base) -> None:
        self.base = base
        self.words: Dictionaries = base.words
        self._places = Places(base.words)
        self._areas: dict[frozenset[str], Bools] = {}
        self.watermark: Cursor = base.watermark
        self._tail = Tail()
        self._due = dict(zip(base.due_rows.tolist(), base.due_at.tolist(), strict=True))
        self._states = self._state_lut(_COUNTED)
        self._sums = sum_by_day(base, self._states)
        # What was changed in rows that the sums had counted: (day, cell, +1 or -1).
        self._corrections: list[tuple[int, int, int]] = []
        self._levels: dict[tuple[int, int], tuple[tuple[str, ...], Array]] = {}

    def __len__(self) -> int:
        with self._lock:
            return int((self.base.columns["state"] != STRUCK).sum()) + int((self._tail["state"] != STRUCK).sum())

    @property
    def tail_length(self) -> int:
        """Rows beside the ordered columns; many of them make counting slow, then a rebuild helps."""
        return len(self._tail)

    # ── keeping current ────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, words: Dictionaries, facts: npt.NDArray[np.void], watermark: Cursor) -> None:
        """Take over the present facts of cases that changed, and the position that this reaches.

        Raises
        ------
        LookupError
            A fact names something that ``words`` does not have; nothing was taken over.
        """
        with self._lock:
            known = self._places if words is self.words else Places(words)
            places = known.of(facts["cell"])
            if len(facts) and (int(facts["category"].min()) == 0 or int(facts["channel"].min()) == 0):
                raise LookupError("a case has a category or channel that the dictionaries do not know")
            if words is not self.words:
                self.words, self._places = words, known
                self._levels.clear()
                self._areas.clear()
            keys = key_of(facts["id"]).tolist()
            for fact, key, place in zip(facts, keys, places.tolist(), strict=True):
                self._apply_one(fact, key, place)
            self.watermark = watermark

    def _apply_one(self, fact: Any, key: int, place: int) -> None:
        values = {
            "day": max(0, int(fact["day"])),
            "hour": int(fact["hour"]),
            "cell": place,
            "category": int(fact["category"]) - 1,
            "channel": int(fact["channel"]) - 1,
            "ledgers": int(fact["ledgers"]),
            "state": int(fact["state"]),
            "outcome": int(fact["outcome"]),
            "due": int(fact["due"]),
            "minutes": NO_MINUTES if int(fact["minutes"]) < 0 else int(fact["minutes"]),
            "column": int(fact["column"]),
            "row": int(fact["row"]),
        }
        row = None if key in self._tail else self._base_row(key)
        if row is None:
            self._tail.put(key, values)
            return
        columns = self.base.columns
        old_state = int(columns["state"][row])
        if old_state == STRUCK or not self._fits(row, values):
            self._strike(row, old_state)
            self._tail.put(key, values)
            return
        before, after = bool(self._states[old_state]), bool(self._states[values["state"]])
        if before != after:
            self._corrections.append((values["day"], place, int(after) - int(before)))
        for name in ("state", "outcome", "minutes", "channel"):
            columns[name][row] = values[name]
        if values["due"]:
            self._due[row] = values["due"]
        else:
            self._due.pop(row, None)

    def _base_row(self, key: int) -> int | None:
        keys = self.base.keys
        at = int(np.searchsorted(keys, np.uint64(key)))
        return int(self.base.rows[at]) if at < len(keys) and int(keys[at]) == key else None

    def _fits(self, row: int, values: Mapping[str, int]) -> bool:
        """Whether a base row can be changed in its place: same class, day, hour, cell, square and ledgers."""
        base, columns = self.base, self.base.columns
        category = values["category"]
        if category + 1 >= len(base.starts) or not base.starts[category] <= row < base.starts[category + 1]:
            return False
        if values["channel"] > 255:
            return False
        square = NOWHERE
        if values["column"] != NO_SQUARE:
            square = (values["row"] - base.south) * base.width + (values["column"] - base.west)
        return (
            int(columns["day"][row]) == min(values["day"], 65_535)
            and int(columns["hour"][row]) == values["hour"]
            and int(columns["cell"][row]) == values["cell"]
            and int(columns["square"][row]) == square
            and int(base.ledger_sets[columns["ledger_set"][row]]) == values["ledgers"]
        )

    def _strike(self, row: int, old_state: int) -> None:
        if old_state == STRUCK:
            return
        columns = self.base.columns
        if self._states[old_state]:
            self._corrections.append((int(columns["day"][row]), int(columns["cell"][row]), -1))
        columns["state"][row] = STRUCK
        self._due.pop(row, None)

    def replace(self, base: Base) -> None:
        """Go over to columns that were made anew."""
        with self._lock:
            self._adopt(base)

    # ── which rows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _count_places(self, asked: Asked) -> Array:
        """Count by place (see `maps.facts.columns`)."""
        places = len(self.words.cells) + FIRST_CELL
        lut = self._cell_lut(asked.area)
        unfiltered = (asked.categories, asked.channels, asked.ledgers, asked.states) == (None,) * 4
        if unfiltered and self._sums is not None:
            first, sums = self._sums
            lowest = min(max(day_number(asked.from_on) - first, 0), len(sums) - 1)
            highest = min(max(day_number(asked.to_on) + 1 - first, lowest), len(sums) - 1)
            counts = np.zeros(places, dtype=np.int64)
            counts[: sums.shape[1]] = sums[highest] - sums[lowest]
            if self._corrections:
                changes = np.array(self._corrections, dtype=np.int64)
                inside = (changes[:, 0] >= day_number(asked.from_on)) & (changes[:, 0] <= day_number(asked.to_on))
                np.add.at(counts, changes[inside, 1], changes[inside, 2])
            counts += np.bincount(self._tail["cell"][self._tail_mask(asked)], minlength=places)
        else:
            counts = np.bincount(self._gather(asked, ("cell",))["cell"], minlength=places)
        return np.where(lut, counts, 0)

    def _gather(
        self, asked: Asked, names: tuple[str, ...], *, running: bool = False, tail: bool = True
    ) -> dict[str, Array]:
        """Return the wanted columns of the meant rows; with ``running`` also when a running clock ends."""
        base = self.base
        slices = self._slices(asked)
        # Neighbouring slices (all categories, all days) are one piece of memory and need no copy.
        pieces = _join([piece for _, piece in slices])

        def column(name: str) -> Array:
            whole = base.columns[name]
            if len(pieces) == 1:
                return whole[pieces[0]]
            return np.concatenate([whole[piece] for piece in pieces]) if pieces else whole[:0]

        mask = self._state_lut(asked.states if asked.states is not None else _COUNTED)[column("state")]
        if asked.channels is not None:
            mask &= _lut(self.words.channels, asked.channels, 256)[column("channel")]
        if asked.ledgers is not None:
            mask &= self._ledger_bits(asked.ledgers, base.ledger_sets)[column("ledger_set")]
        if asked.area is not None:
            mask &= self._cell_lut(asked.area)[column("cell")]
        found: dict[str, Array] = {}
        for name in names:
            if name == "category":
                sizes = [piece.stop - piece.start for _, piece in slices]
                found[name] = np.repeat(np.array([k for k, _ in slices], dtype=np.int64), sizes)
            elif name == "ledgers":
                found[name] = base.ledger_sets[column("ledger_set")]
            else:
                found[name] = column(name)
        if running:
            found["due"] = self._running_until(pieces, len(mask))
        if not mask.all():
            found = {name: kept[mask] for name, kept in found.items()}
        if tail and len(self._tail):
            late = self._tail_mask(asked)
            found = {name: np.concatenate((kept, self._tail[name][late])) for name, kept in found.items()}
        return found

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
        mask = self._state_lut(asked.states if asked.states is not None else _COUNTED)[tail["state"]]
        mask &= (tail["day"] >= day_number(asked.from_on)) & (tail["day"] <= day_number(asked.to_on))
        mask &= self._category_lut(asked.categories)[tail["category"]]
        if asked.channels is not None:
            mask &= _lut(self.words.channels, asked.channels, max(256, len(self.words.channels)))[tail["channel"]]
        if asked.ledgers is not None:
            mask &= self._ledger_bits(asked.ledgers, tail["ledgers"])
        if asked.area is not None:
            mask &= self._cell_lut(asked.area)[tail["cell"]]
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
        return _lut(self.words.categories, frozenset(family), len(self.words.categories))

    def _state_lut(self, wanted: frozenset[str]) -> Bools:
        return _lut(("", *(state.value for state in STATES)), wanted, 256)

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
            lut = np.zeros(len(self.words.cells) + FIRST_CELL, dtype=bool)
            lut[FIRST_CELL:] = [not area.isdisjoint(cell.path) for cell in self.words.cells]
            self._areas[area] = lut
        return self._areas[area]

    def _on_version(self, version_id: int) -> Bools:
        """Which places are cells of a drawing."""
        on = np.zeros(len(self.words.cells) + FIRST_CELL, dtype=bool)
        on[FIRST_CELL:] = self._places.versions == version_id
        return on

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


def _lut(words: Iterable[str], wanted: frozenset[str], size: int) -> Bools:
    lut = np.zeros(size, dtype=bool)
    for place, word in enumerate(words):
        lut[place] = word in wanted
    return lut


def _join(pieces: list[slice]) -> list[slice]:
    joined: list[slice] = []
    for piece in pieces:
        if joined and joined[-1].stop == piece.start:
            joined[-1] = slice(joined[-1].start, piece.stop)
        else:
            joined.append(piece)
    return joined

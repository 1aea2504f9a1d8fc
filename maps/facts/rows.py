"""The rows behind every count: taken over from the feed, and found again by what is asked. See `maps.facts.store`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dispatch.facts import STATES, Dictionaries
from dispatch.feed import Cursor
from dispatch.hotspots import NOT_COUNTED
from maps.facts.columns import (
    FIRST_CELL,
    NO_MINUTES,
    NO_POSITION,
    NOWHERE,
    OUT_OF_GRID,
    Base,
    Places,
    key_of,
)
from maps.facts.drawings import OWN_DAY, Drawn
from maps.facts.sums import SquareSums, sum_days, sum_squares
from maps.facts.tail import Tail

__all__ = ["COUNTED", "STRUCK", "FactRows", "lut"]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

#: A struck-out row; no state has this number.
STRUCK: Final = 255
COUNTED: Final = frozenset(state.value for state in STATES) - {state.value for state in NOT_COUNTED}
#: Facts that stand in the tail as they come.
_AS_THEY_ARE: Final = ("hour", "ledgers", "state", "outcome", "due", "column", "row")


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
        self._on: dict[int, Bools] = {}
        self.watermark: Cursor = base.watermark
        self._tail = Tail()
        self._due = dict(zip(base.due_rows.tolist(), base.due_at.tolist(), strict=True))
        self._states = self._state_lut(COUNTED)
        cell = base.columns["cell"]
        self._drawn: dict[int, Drawn] = {
            OWN_DAY: Drawn(
                cell=cell, late="cell", days=sum_days(base, cell, self._states, len(self.words.cells) + FIRST_CELL)
            )
        }
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
                self._on.clear()
            self._take_over(key_of(facts["id"]), self._values_of(facts, places))
            self.watermark = watermark

    def _values_of(self, facts: npt.NDArray[np.void], places: Array) -> dict[str, Array]:
        """Return what the tail holds of cases, column by column."""
        values = {name: facts[name].astype(np.int64) for name in _AS_THEY_ARE}
        values["day"] = np.maximum(facts["day"].astype(np.int64), 0)
        values["cell"] = places
        values["category"] = facts["category"].astype(np.int64) - 1
        values["channel"] = facts["channel"].astype(np.int64) - 1
        minutes = facts["minutes"].astype(np.int64)
        values["minutes"] = np.where(minutes < 0, NO_MINUTES, minutes)
        for version, drawn in self._drawn.items():
            if version != OWN_DAY:
                # Known for cells of that drawing; for the others whoever has the position says it next.
                known = self._on_version(version)[places] | (places < FIRST_CELL)
                values[drawn.late] = np.where(known, places, OUT_OF_GRID)
        return values

    def _take_over(self, keys: Array, values: dict[str, Array]) -> None:
        base = self.base
        at = np.minimum(np.searchsorted(base.keys, keys), max(0, len(base.keys) - 1))
        known = base.keys[at] == keys if len(base.keys) else np.zeros(len(keys), dtype=bool)
        written = keys.tolist()
        known |= np.fromiter((key in self._tail for key in written), dtype=bool, count=len(written))
        fresh = np.flatnonzero(~known)
        self._tail.put_new([written[k] for k in fresh.tolist()], {name: v[fresh] for name, v in values.items()})
        for k in np.flatnonzero(known).tolist():
            self._apply_one(written[k], {name: int(column[k]) for name, column in values.items()})

    def _apply_one(self, key: int, values: dict[str, int]) -> None:
        """Take over a case that has a row."""
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
            self._correct(row, int(after) - int(before))
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
        east, north = values["column"] - base.west, values["row"] - base.south
        if 0 <= east < base.width and 0 <= north < base.height:
            square = north * base.width + east
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
            self._correct(row, -1)
        columns["state"][row] = STRUCK
        self._due.pop(row, None)

    def _correct(self, row: int, change: int) -> None:
        """Count one row more or less in everything that is summed."""
        columns = self.base.columns
        category = int(np.searchsorted(self.base.starts, row, side="right")) - 1
        for drawn in self._drawn.values():
            drawn.correct(int(columns["day"][row]), int(drawn.cell[row]), category, int(columns["square"][row]), change)

    def replace(self, base: Base) -> None:
        """Go over to columns that were made anew."""
        with self._lock:
            self._adopt(base)

    # ── other drawings ─────────────────────────────────────────────────────────────────────────────────────────────

    def knows_drawing(self, version_id: int) -> bool:
        """Whether the dictionaries have the cells of a drawing."""
        with self._lock:
            return bool((self._places.versions == version_id).any())

    @property
    def recut_versions(self) -> tuple[int, ...]:
        """Drawings that every case has a place in."""
        with self._lock:
            return tuple(version for version in self._drawn if version != OWN_DAY)

    def begin_recut(self, version_id: int, ids: Array, cells: Array) -> None:
        """Give every case a place in a drawing: its own when it lies there, else the one that its position gives.

        Parameters
        ----------
        ids, cells
            Of all cases that their own day put elsewhere or in no cell; rows of the cell table, -1 for none.
        """
        with self._lock:
            base, on = self.base, self._on_version(version_id)
            # The places of a newer drawing may not fit into what the columns were made with.
            kind = np.uint16 if len(self.words.cells) + FIRST_CELL < 65_536 else np.uint32
            cell = np.array(base.columns["cell"], dtype=kind)
            cell[~on[cell] & (cell != NO_POSITION)] = OUT_OF_GRID
            late = f"cell@{version_id}"
            self._tail.add_column(late, "cell")
            tail = self._tail[late]
            tail[~on[tail] & (tail != NO_POSITION)] = OUT_OF_GRID
            keys, places = key_of(ids), self._places.of(cells)
            if len(base.keys) and len(keys):
                at = np.minimum(np.searchsorted(base.keys, keys), len(base.keys) - 1)
                here = base.keys[at] == keys
                cell[base.rows[at[here]]] = places[here]
            self._drawn[version_id] = Drawn(
                cell=cell, late=late, days=sum_days(base, cell, self._states, len(self.words.cells) + FIRST_CELL)
            )
            if len(self._tail):
                self.recut(version_id, ids, cells)

    def recut(self, version_id: int, ids: Array, cells: Array) -> None:
        """Put cases into cells of a drawing by their position.

        Parameters
        ----------
        ids, cells
            Of cases whose own day put them elsewhere; rows of the cell table, -1 for none of this drawing.
        """
        with self._lock:
            drawn, columns = self._drawn[version_id], self.base.columns
            places = self._places.of(cells)
            for key, place in zip(key_of(ids).tolist(), places.tolist(), strict=True):
                if key in self._tail:
                    self._tail.put_one(key, drawn.late, place)
                elif (row := self._base_row(key)) is not None and columns["state"][row] != STRUCK:
                    drawn.move(
                        row,
                        place,
                        day=int(columns["day"][row]),
                        category=int(np.searchsorted(self.base.starts, row, side="right")) - 1,
                        square=int(columns["square"][row]),
                        counts=bool(self._states[columns["state"][row]]),
                    )

    def _square_sums(self, version_id: int, drawing: int) -> SquareSums | None:
        """Return the sums by square of one drawing's cells; made when first asked for (0.2 s for ten million)."""
        drawn = self._drawn[drawing]
        if version_id not in drawn.squares:
            drawn.squares[version_id] = sum_squares(self.base, drawn.cell, self._states, self._on_version(version_id))
        return drawn.squares[version_id]

    def _on_version(self, version_id: int) -> Bools:
        """Which places are cells of a drawing; of 0: cells of any."""
        if version_id not in self._on:
            on = np.zeros(len(self.words.cells) + FIRST_CELL, dtype=bool)
            on[FIRST_CELL:] = (self._places.versions == version_id) | (version_id == 0)
            self._on[version_id] = on
        return self._on[version_id]

    def _state_lut(self, wanted: frozenset[str]) -> Bools:
        return lut(("", *(state.value for state in STATES)), wanted, 256)


def lut(words: Iterable[str], wanted: frozenset[str], size: int) -> Bools:
    """Return which numbers stand for one of the wanted words."""
    found = np.zeros(size, dtype=bool)
    for place, word in enumerate(words):
        found[place] = word in wanted
    return found

"""The columns: 15 bytes a case, ordered by category and day, in files that a process maps into memory.

A question names a period and mostly a few categories. Ordered so, every category's days are one slice, and only slices
are read. Beside the columns lie the keys (which row is which case), the deadlines that still run, and how many counted
cases every cell had up to every day: with these sums a map of all categories over any period is one subtraction.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dispatch.facts import NO_SQUARE, CellPath, Dictionaries
from dispatch.feed import Cursor

__all__ = ["BASE_COLUMNS", "Base", "Places", "key_of", "load_base", "make_base", "save_base"]

Array = npt.NDArray[Any]

#: Column → type in the files. ``cell`` is a place among the dictionaries' cells, see `OUT_OF_GRID`.
BASE_COLUMNS: Final = {
    "day": np.uint16,
    "hour": np.uint8,
    "channel": np.uint8,
    "ledger_set": np.uint8,
    "state": np.uint8,
    "outcome": np.uint8,
    "minutes": np.uint16,
    "square": np.uint32,
}
NO_MINUTES: Final = 65_535
NOWHERE: Final = 2**32 - 1
#: The two places before the cells proper.
OUT_OF_GRID, NO_POSITION, FIRST_CELL = 0, 1, 2
_FORMAT: Final = 1
#: So far beyond the cells cases in none are still drawn. Units: squares (20 km).
_MARGIN: Final = 400
#: A grid wider than this (250 km on a side) has no squares; its cells are counted.
_MOST_SQUARES: Final = 25_000_000


@dataclass(slots=True, kw_only=True)
class Base:
    """Columns as they were at a position of the feed.

    Attributes
    ----------
    words
        What the numbers mean.
    watermark
        Everything up to here is in the columns.
    columns
        By name, ordered by category and day; ``cell`` has 16 or 32 bits.
    starts
        Rows of category k are ``starts[k]`` to ``starts[k + 1]``.
    keys, rows
        Sorted keys of the cases, and the row of each.
    due_rows, due_at
        Rows whose clock runs, and until when. Units: microseconds since 1970, UTC.
    ledger_sets
        Sets of ledgers that occur, as bits; ``ledger_set`` is the place in here.
    west, south, width, height
        Squares: ``square`` = (row - south) × width + (column - west).
    """

    words: Dictionaries
    watermark: Cursor
    columns: dict[str, Array]
    starts: Array
    keys: Array
    rows: Array
    due_rows: Array
    due_at: Array
    ledger_sets: Array
    west: int
    south: int
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.columns["day"])

    @property
    def bytes_per_case(self) -> float:
        """Size of the columns that are scanned, per case; the keys are only searched."""
        return sum(column.itemsize for column in self.columns.values())


def key_of(ids: npt.NDArray[np.void]) -> Array:
    """Return 64 bits that stand for a case: both halves of its id mixed, so that either kind of id spreads."""
    halves = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2).astype(np.uint64)
    return (halves[:, 0] * np.uint64(0x9E3779B97F4A7C15)) ^ halves[:, 1]


class Places:
    """Places of cells in the columns: `OUT_OF_GRID`, `NO_POSITION`, or from `FIRST_CELL` on as in the dictionaries."""

    def __init__(self, words: Dictionaries) -> None:
        ids = np.array([cell.id for cell in words.cells], dtype=np.int64)
        self.versions: Array = np.array([cell.version_id for cell in words.cells], dtype=np.int64)
        # Drawings are published in any order, and what has a place keeps it: the list is not ordered by id.
        self._order = np.argsort(ids, kind="stable")
        self._ids = ids[self._order]

    def of(self, cells: Array) -> Array:
        """Turn rows of the cell table into places; below zero as `dispatch.facts` writes it.

        Raises
        ------
        LookupError
            A cell that the dictionaries do not know.
        """
        ids = np.asarray(cells, dtype=np.int64)
        places = np.where(ids == -1, OUT_OF_GRID, NO_POSITION)
        located = ids >= 0
        if located.any():
            at = np.minimum(np.searchsorted(self._ids, ids[located]), len(self._ids) - 1)
            if not len(self._ids) or (self._ids[at] != ids[located]).any():
                raise LookupError("a case lies in a cell that the dictionaries do not know")
            places[located] = self._order[at] + FIRST_CELL
        return places


def make_base(words: Dictionaries, watermark: Cursor, facts: npt.NDArray[np.void]) -> Base:
    """Make columns from the facts of all cases. Cost: a sort; a second per million.

    Raises
    ------
    LookupError
        A fact names something that the dictionaries do not have.
    """
    if len(facts) and (int(facts["category"].min()) == 0 or int(facts["channel"].min()) == 0):
        raise LookupError("a case has a category or channel that the dictionaries do not know")
    category = facts["category"].astype(np.int64) - 1
    day = np.clip(facts["day"].astype(np.int64), 0, 65_535)
    keys = key_of(facts["id"])
    # Time of arrival within a day keeps neighbours in time neighbours in memory; the key makes the order unique.
    order = np.lexsort((keys, facts["hour"], day, category))
    # Column by column: all of it in the new order at once would be as much memory again.
    sets, ledger_set = np.unique(facts["ledgers"][order].astype(np.int64), return_inverse=True)
    if len(sets) > 256:
        raise LookupError("more than 256 combinations of ledgers")
    column, row = facts["column"][order].astype(np.int64), facts["row"][order].astype(np.int64)
    minutes = facts["minutes"][order].astype(np.int64)
    places = Places(words).of(facts["cell"][order])
    west, south, width, height = _extent(column, row, places)
    # One report from another continent must not stretch the squares over half the earth: it is counted, not drawn.
    inside = (column >= west) & (column < west + width) & (row >= south) & (row < south + height)
    square = np.where(inside, (row - south) * width + (column - west), NOWHERE)
    cell_type = np.uint16 if len(words.cells) + FIRST_CELL < 65_536 else np.uint32
    columns: dict[str, Array] = {
        "day": day[order],
        "hour": facts["hour"][order],
        "channel": facts["channel"][order] - 1,
        "ledger_set": ledger_set,
        "state": facts["state"][order],
        "outcome": facts["outcome"][order],
        "minutes": np.where(minutes < 0, NO_MINUTES, minutes),
        "square": square,
    }
    columns = {name: columns[name].astype(kind) for name, kind in BASE_COLUMNS.items()}
    columns["cell"] = places.astype(cell_type)
    sorted_keys = keys[order]
    if len(np.unique(sorted_keys)) != len(sorted_keys):
        raise LookupError("two cases share a key")
    by_key = np.argsort(sorted_keys, kind="stable")
    due = facts["due"][order]
    running = np.flatnonzero(due != 0)
    return Base(
        words=words,
        watermark=watermark,
        columns=columns,
        starts=np.searchsorted(category[order], np.arange(len(words.categories) + 1)).astype(np.int64),
        keys=sorted_keys[by_key],
        rows=by_key.astype(np.uint32),
        due_rows=running.astype(np.int64),
        due_at=due[running].astype(np.int64),
        ledger_sets=sets,
        west=west,
        south=south,
        width=width,
        height=height,
    )


def _extent(column: Array, row: Array, places: Array) -> tuple[int, int, int, int]:
    """Return west, south, width and height of the squares: around what lies in a cell, and a margin outside."""
    held = (column != NO_SQUARE) & (places >= FIRST_CELL)
    if not held.any():
        return 0, 0, 1, 1
    placed = column != NO_SQUARE
    ends = []
    for at in (column, row):
        low, high = int(at[held].min()) - _MARGIN, int(at[held].max()) + _MARGIN
        near = at[placed & (at >= low) & (at <= high)]
        ends.append((int(near.min()), int(near.max())))
    (west, east), (south, north) = ends
    width, height = east - west + 1, north - south + 1
    return (west, south, width, height) if width * height < _MOST_SQUARES else (0, 0, 1, 1)


def save_base(base: Base, directory: Path) -> Path:
    """Write the columns beside the ones that are there, and make them the current ones in one step."""
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{base.watermark.txid}-{base.watermark.event_id}-{os.getpid()}"
    made = directory / name
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    arrays = base.columns | {
        f"of_{name}": getattr(base, name) for name in ("starts", "keys", "rows", "due_rows", "due_at", "ledger_sets")
    }
    for array_name, array in arrays.items():
        np.save(made / f"{array_name}.npy", array, allow_pickle=False)
    words = asdict(base.words)
    meta = {
        "format": _FORMAT,
        "watermark": str(base.watermark),
        "words": words,
        "columns": sorted(base.columns),
        "squares": [base.west, base.south, base.width, base.height],
    }
    (made / "meta.json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
    pointer = directory / f"current.{os.getpid()}.tmp"
    pointer.write_text(name, encoding="utf-8")
    pointer.replace(directory / "current")
    for old in directory.iterdir():
        # Processes that still map the old files keep them: a mapped file lives on until it is let go.
        if old.is_dir() and old != made:
            shutil.rmtree(old, ignore_errors=True)
    return made


def load_base(directory: Path) -> Base | None:
    """Map the current columns into memory; None when there are none, or they are of another format.

    Pages of the files are shared between processes; what a process changes stays its own (copy on write).
    """
    try:
        made = directory / (directory / "current").read_text(encoding="utf-8").strip()
        meta = json.loads((made / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != _FORMAT:
            return None
        columns: dict[str, Array] = {
            name: np.load(made / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in meta["columns"]
        }
        rest = {
            name: np.load(made / f"of_{name}.npy", allow_pickle=False)
            for name in ("starts", "due_rows", "due_at", "ledger_sets")
        }
        searched = {
            name: np.load(made / f"of_{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("keys", "rows")
        }
        words = meta["words"]
        words["cells"] = tuple(
            CellPath(id=cell["id"], version_id=cell["version_id"], path=tuple(cell["path"])) for cell in words["cells"]
        )
        for name in ("categories", "parents", "channels", "ledgers"):
            words[name] = tuple(words[name])
        txid, event_id = meta["watermark"].split("-")
        west, south, width, height = meta["squares"]
        return Base(
            words=Dictionaries(**words),
            watermark=Cursor(int(txid), int(event_id)),
            columns=columns,
            west=west,
            south=south,
            width=width,
            height=height,
            **rest,
            **searched,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""Cases that came, or changed their place, after the columns were made: a short list beside the long ones."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Tail"]

Array = npt.NDArray[Any]

#: All numbers wide: nothing that comes later can fail to fit.
_COLUMNS: Final = (
    "day",
    "hour",
    "cell",
    "category",
    "channel",
    "ledgers",
    "state",
    "outcome",
    "due",
    "minutes",
    "column",
    "row",
)


class Tail:
    """Growing columns, in order of arrival. Row k belongs to the k-th key that was ever put."""

    def __init__(self) -> None:
        self._room = 1024
        self._length = 0
        self._data: dict[str, Array] = {name: np.zeros(self._room, dtype=np.int64) for name in _COLUMNS}
        self._row_of: dict[int, int] = {}

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: int) -> bool:
        return key in self._row_of

    def __getitem__(self, name: str) -> Array:
        """Return a column."""
        return self._data[name][: self._length]

    def add_column(self, name: str, like: str) -> None:
        """Begin a further column as a copy of another one."""
        self._data[name] = self._data[like].copy()

    def put_one(self, key: int, name: str, value: int) -> None:
        """Write one number of a case that is here."""
        self._data[name][self._row_of[key]] = value

    def put_new(self, keys: list[int], values: dict[str, Array]) -> None:
        """Write cases that have no row yet, all at once: what an office writes most of."""
        first, last = self._length, self._length + len(keys)
        while self._room < last:
            self._room *= 2
        if len(self._data["day"]) < self._room:
            self._data = {name: np.resize(column, self._room) for name, column in self._data.items()}
        for name, column in values.items():
            self._data[name][first:last] = column
        self._row_of.update(zip(keys, range(first, last), strict=True))
        self._length = last

    def put(self, key: int, values: dict[str, int]) -> None:
        """Write a case, over its earlier row if it has one."""
        row = self._row_of.get(key)
        if row is None:
            if self._length == self._room:
                self._room *= 2
                self._data = {name: np.resize(column, self._room) for name, column in self._data.items()}
            row = self._row_of[key] = self._length
            self._length += 1
        for name, value in values.items():
            self._data[name][row] = value

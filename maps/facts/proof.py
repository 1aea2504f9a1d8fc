"""Proof that the columns say what the database says: both count every case by everything that a fact holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from dispatch.facts import STATES, Dictionaries
from maps.facts.asking import day_of
from maps.facts.columns import FIRST_CELL, OUT_OF_GRID, Base
from maps.facts.rows import STRUCK
from maps.facts.tail import Tail

__all__ = ["differences", "tally_rows"]

_ON_TIME = {1: True, 2: False}


def tally_rows(base: Base, tail: Tail, words: Dictionaries) -> dict[tuple[Any, ...], int]:
    """Count every case by day, hour, place, category, channel, ledgers, state and on time."""
    struck = base.columns["state"] == STRUCK
    category = np.repeat(np.arange(len(base.starts) - 1), np.diff(base.starts))
    columns = [
        np.concatenate((long[~struck].astype(np.int64), tail[name]))
        for name, long in (
            ("day", base.columns["day"]),
            ("hour", base.columns["hour"]),
            ("cell", base.columns["cell"]),
            ("category", category),
            ("channel", base.columns["channel"]),
            ("ledgers", base.ledger_sets[base.columns["ledger_set"]]),
            ("state", base.columns["state"]),
            ("outcome", base.columns["outcome"]),
        )
    ]
    rows, counts = np.unique(np.column_stack(columns), axis=0, return_counts=True)
    tally: Counter[tuple[Any, ...]] = Counter()
    for (day, hour, cell, kind, channel, ledgers, state, outcome), cases in zip(
        rows.tolist(), counts.tolist(), strict=True
    ):
        if cell >= FIRST_CELL:
            place = str(words.cells[cell - FIRST_CELL].id)
        else:
            place = "out_of_grid" if cell == OUT_OF_GRID else "no_position"
        names = tuple(sorted(code for k, code in enumerate(words.ledgers) if ledgers >> k & 1))
        key = (
            day_of(day),
            hour,
            place,
            words.categories[kind],
            words.channels[channel],
            names,
            STATES[state - 1].value,
            _ON_TIME.get(outcome),
        )
        tally[key] += cases
    return dict(tally)


def differences(ours: dict[tuple[Any, ...], int], theirs: dict[tuple[Any, ...], int]) -> list[tuple[Any, ...]]:
    """Return (key, ours, theirs) wherever the two differ."""
    keys = ours.keys() | theirs.keys()
    apart = [(key, ours.get(key, 0), theirs.get(key, 0)) for key in keys if ours.get(key, 0) != theirs.get(key, 0)]
    return sorted(apart, key=str)

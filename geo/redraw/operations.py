"""What can be done to a draft: split, merge, move a boundary, reassign, retire, edit, add. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Position = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCell:
    """A cell that an operation makes. ``children`` only when a cell with children is split."""

    code: str
    name_zh: str = ""
    name_en: str = ""
    kind: str = "ordinary"
    population: int | None = None
    households: int | None = None
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Cut a cell in two.

    Parameters
    ----------
    line
        Through the whole cell, for one without children. SRID: 4326. Its left side, looking from its first point to its
        last, becomes ``into[0]``, its right side ``into[1]``.
    into
        One of the two may keep the old code. Without a line both name the children they take.
    """

    cell: str
    into: tuple[NewCell, NewCell]
    line: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Make one cell of several neighbours with one parent; ``into.code`` may be the code of one of them."""

    cells: tuple[str, ...]
    into: NewCell


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveBoundary:
    """Draw the boundary between two neighbours anew, through both of them together. SRID: 4326."""

    cells: tuple[str, str]
    line: tuple[Position, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassign:
    """Give a cell, with all below it, to another parent that it touches."""

    cell: str
    parent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """End a cell; its area, and its children if it has any, go to a neighbour of the same level."""

    cell: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Change what is written about a cell: code, names, kind, population, households."""

    cell: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Add a cell: at level 1 with a boundary (rings of positions), below as the first child, on its parent's area."""

    into: NewCell
    parent: str | None = None
    rings: tuple[tuple[Position, ...], ...] = ()


Operation = Split | Merge | MoveBoundary | Reassign | Retire | Edit | Add


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """One cell became (a part of) another. ``share`` is the part of the old cell's area, above 0, at most 1."""

    from_code: str
    to_code: str
    share: float


def named_codes(operation: Operation) -> list[str]:
    """Codes of the cells that an operation is about afterwards, the ones it makes first."""
    match operation:
        case Split():
            return [part.code for part in operation.into]
        case Merge() | Add():
            return [operation.into.code]
        case MoveBoundary():
            return list(operation.cells)
        case Reassign():
            return [operation.cell, operation.parent]
        case Retire():
            return [operation.to]
        case Edit():
            return [str(operation.changes.get("code", operation.cell))]

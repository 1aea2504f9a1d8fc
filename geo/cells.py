"""Cells as plain values: kinds, levels, the chain, and the written tie rule.

Boundary: a point on a shared edge or corner is covered by several cells. It belongs to exactly one by the rule
`TIE_RULE`: of all cells of the version whose boundary covers the point (`ST_Covers`), the deepest level first, then
the smallest code in code-point order. The chain is that cell and its ancestors, so the levels never contradict
each other. The SQL form of the rule is the function ``geo.covering_cell``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

CellId = NewType("CellId", int)
GridVersionId = NewType("GridVersionId", int)

TIE_RULE = "edge-1"


class CellKind(StrEnum):
    """Ordinary block, exclusive cell (a mall, a campus) or micro cell."""

    ORDINARY = "ordinary"
    EXCLUSIVE = "exclusive"
    MICRO = "micro"


class VersionStatus(StrEnum):
    """Life of a grid version: a draft may change, an active one never, a retired one answers for its time.

    Only draft or published is stored; the other three follow from the validity and the clock (decision 0019).
    """

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    RETIRED = "retired"


class LocatedHow(StrEnum):
    """How a report found its cell."""

    COVERS = "covers"
    OUT_OF_GRID = "out_of_grid"
    NO_POSITION = "no_position"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRef:
    """A cell as callers see it."""

    id: CellId
    level: int
    code: str
    name_zh: str
    name_en: str
    kind: CellKind

    def name(self, locale: str) -> str:
        """Name in the caller's language, falling back to the other one: a nameless cell helps nobody."""
        first, second = (self.name_en, self.name_zh) if locale == "en" else (self.name_zh, self.name_en)
        return first or second or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class NearCell:
    """A cell near a point that no cell covers. Units: ``distance_m`` metres, geodesic."""

    code: str
    name_zh: str
    name_en: str
    distance_m: float

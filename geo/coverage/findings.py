"""What a coverage proof says: findings with their class, severity and place, and the report that holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shapely.geometry.base import BaseGeometry

DEFAULT_TOLERANCE_M2 = 0.01
"""Smaller findings are counted, not listed: snapping to 1e-7° (11 mm) can open slivers of that size beside a vertex
that the neighbour does not have. Units: m²."""
DEFAULT_SLIVER_WIDTH_M = 0.5
"""A gap or overlap thinner than this on average is a sliver: a drawing slip, no piece of land. Units: m."""


class FindingKind(StrEnum):
    """What breaks the tiling, or stands beside it and should be known."""

    GAP = "gap"
    OVERLAP = "overlap"
    OUTSIDE = "outside"
    UNMATCHED = "unmatched"
    INVALID_RING = "invalid_ring"
    DUPLICATE_CODE = "duplicate_code"
    ORPHAN = "orphan"
    OPEN_SLIT = "open_slit"
    HOLE = "hole"
    UNDIVIDED = "undivided"


class Severity(StrEnum):
    """How bad: an error breaks the tiling by more than a slip, a warning is a sliver, a notice is only told."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTICE: 2}
_NOTICES = frozenset({FindingKind.HOLE, FindingKind.UNDIVIDED})
AREAL = frozenset({FindingKind.GAP, FindingKind.OVERLAP, FindingKind.OUTSIDE, FindingKind.OPEN_SLIT, FindingKind.HOLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCell:
    """A cell as the proof needs it. SRID: any one system for all cells."""

    code: str
    level: int
    parent: str | None
    boundary: BaseGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where the tiling breaks, or something to know about it.

    Parameters
    ----------
    kind
        ``gap`` (in the parent, in no child), ``overlap`` (in two siblings),
        ``outside`` (in the child, beyond the parent),
        ``unmatched`` (edges that do not cancel, enclosing less area than floating point can show),
        ``invalid_ring``, ``duplicate_code``, ``orphan`` (no such parent, or not one level above),
        ``open_slit`` (between cells, thinner than a sliver, in none of them and open to the outside of the grid),
        ``hole`` (enclosed by level-1 cells and in none of them: may well belong to somebody else),
        ``undivided`` (has no children although its siblings have).
    parent
        Code of the parent cell, ``None`` above level 1.
    cells
        Codes of the cells concerned; empty for a gap; those on either side of an open slit.
    area_m2
        Units: m². The area itself for the areal kinds, of the cell for the others, 0 for ``unmatched``.
    width_m
        Units: m. Mean width, twice the area by the perimeter; None for kinds without an area of their own.
    is_sliver
        Thinner than the tolerance.
    where
        The area itself, in the cells' own system; lines for ``unmatched``, a point for ``invalid_ring``.
    reason
        GEOS' reason of an invalid ring.
    """

    kind: FindingKind
    parent: str | None
    cells: tuple[str, ...]
    area_m2: float
    where: BaseGeometry
    width_m: float | None = None
    is_sliver: bool = False
    reason: str = ""

    @property
    def severity(self) -> Severity:
        """Error, warning or notice."""
        if self.kind in _NOTICES:
            return Severity.NOTICE
        return Severity.WARNING if self.is_sliver or self.kind is FindingKind.UNMATCHED else Severity.ERROR

    @property
    def breaks_tiling(self) -> bool:
        """Whether this finding refutes the tiling, however small it is."""
        return self.kind not in _NOTICES

    @property
    def rank(self) -> tuple[object, ...]:
        """Sort key: worst first, then by name, so that two runs list alike."""
        return (_RANK[self.severity], -self.area_m2, self.kind.value, self.parent or "", self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """Findings, worst first, and how many were too small to list.

    Parameters
    ----------
    families
        Parents with their children, and the level-1 cells among themselves.
    proven_by_edges
        Families settled in integers alone; the rest was looked at with areas.
    rewound
        Codes of cells with rings wound the other way: accepted, and wound alike for the proof.
    """

    findings: tuple[Finding, ...]
    below_tolerance: int
    families: int
    tolerance_m2: float
    proven_by_edges: int = 0
    sliver_width_m: float = DEFAULT_SLIVER_WIDTH_M
    rewound: tuple[str, ...] = ()
    counts: Mapping[FindingKind, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", Counter(finding.kind for finding in self.findings))

    @property
    def is_proven(self) -> bool:
        """No gap, slit, overlap or child outside at all, however small. Holes above level 1 do not count against it."""
        return not self.below_tolerance and not any(finding.breaks_tiling for finding in self.findings)

    @property
    def slivers(self) -> int:
        """How many listed findings are slivers."""
        return sum(finding.is_sliver for finding in self.findings)

    def area_of(self, kind: FindingKind) -> float:
        """Sum of the listed areas of a kind. Units: m²."""
        return sum(finding.area_m2 for finding in self.findings if finding.kind is kind)

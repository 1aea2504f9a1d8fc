"""Coverage proof of a grid: every level tiles its parent, or it is said where it does not."""

from geo.coverage.check import check_coverage
from geo.coverage.features import coverage_geojson, coverage_item, coverage_summary
from geo.coverage.findings import (
    DEFAULT_SLIVER_WIDTH_M,
    DEFAULT_TOLERANCE_M2,
    CoverageCell,
    CoverageReport,
    Finding,
    FindingKind,
    Severity,
)
from geo.coverage.repairs import DEFAULT_SNAP_M, Repair, RepairKind, RepairProposal, propose_repairs

__all__ = [
    "DEFAULT_SLIVER_WIDTH_M",
    "DEFAULT_SNAP_M",
    "DEFAULT_TOLERANCE_M2",
    "CoverageCell",
    "CoverageReport",
    "Finding",
    "FindingKind",
    "Repair",
    "RepairKind",
    "RepairProposal",
    "Severity",
    "check_coverage",
    "coverage_geojson",
    "coverage_item",
    "coverage_summary",
    "propose_repairs",
]

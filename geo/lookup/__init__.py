"""Exact point-to-cell lookup in memory: the same answer as ``ST_Covers`` in PostGIS with the tie rule, much faster."""

from geo.lookup.edges import CellBoundary
from geo.lookup.index import CellIndex, Kernel

__all__ = ["CellBoundary", "CellIndex", "Kernel"]

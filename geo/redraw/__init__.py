"""Redrawing the cells of a draft on the 1e-7° integer grid, so that shared edges stay shared and every level tiles."""

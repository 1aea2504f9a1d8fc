"""A coverage report as GeoJSON (RFC 7946): one feature per finding, worst first, for a map of the problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import shapely

from geo.coverage.findings import CoverageReport, Finding

Say = Callable[[Finding], str]


def coverage_geojson(report: CoverageReport, say: Say | None = None) -> dict[str, Any]:
    """FeatureCollection of the findings; the report's figures stand beside the features.

    SRID: that of the cells; EPSG:4326 for stored cells, as RFC 7946 demands.

    Parameters
    ----------
    say
        Makes the sentence of a finding; without it the features carry none.

    Examples
    --------
    >>> coverage_geojson(CoverageReport(findings=(), below_tolerance=0, families=3, tolerance_m2=0.01))["features"]
    []
    """
    return {
        "type": "FeatureCollection",
        "features": [_feature(number, finding, say) for number, finding in enumerate(report.findings, 1)],
        "coverage": coverage_summary(report),
    }


def coverage_summary(report: CoverageReport) -> dict[str, Any]:
    """Return the figures of a report as plain values. Units: ``area_m2`` m²."""
    return {
        "is_proven": report.is_proven,
        "families": report.families,
        "proven_by_edges": report.proven_by_edges,
        "findings": len(report.findings),
        "slivers": report.slivers,
        "below_tolerance": report.below_tolerance,
        "tolerance_m2": report.tolerance_m2,
        "sliver_width_m": report.sliver_width_m,
        "rewound": list(report.rewound),
        "by_class": {
            kind.value: {"count": count, "area_m2": round(report.area_of(kind), 4)}
            for kind, count in sorted(report.counts.items())
        },
    }


def coverage_item(number: int, finding: Finding, say: Say | None = None) -> dict[str, Any]:
    """Return one finding as plain values, without its geometry."""
    where = finding.where if not finding.where.is_empty else shapely.Point(0, 0)
    inside = where.representative_point()
    item: dict[str, Any] = {
        "number": number,
        "class": finding.kind.value,
        "severity": finding.severity.value,
        "is_sliver": finding.is_sliver,
        "area_m2": round(finding.area_m2, 4),
        "width_m": None if finding.width_m is None else round(finding.width_m, 4),
        "parent": finding.parent,
        "cells": list(finding.cells),
        "position": [round(inside.x, 7), round(inside.y, 7)],
        "bbox": [round(each, 7) for each in where.bounds],
    }
    if finding.reason:
        item["reason"] = finding.reason
    if say is not None:
        item["sentence"] = say(finding)
    return item


def _feature(number: int, finding: Finding, say: Say | None) -> dict[str, Any]:
    item = coverage_item(number, finding, say)
    return {
        "type": "Feature",
        "id": number,
        "bbox": item["bbox"],
        "geometry": shapely.geometry.mapping(finding.where),
        "properties": item,
    }

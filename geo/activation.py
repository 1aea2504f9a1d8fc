"""Activating a draft: the proof first, then the instant; errors are accepted by class and with a reason only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text

from geo.codes import find_problem, get_code_system, problem_facts
from geo.coverage import CoverageCell, CoverageReport, Finding, Severity, check_coverage
from geo.coverage.findings import DEFAULT_SLIVER_WIDTH_M, DEFAULT_TOLERANCE_M2
from geo.errors import BadInputError, ConflictError, Fault
from geo.importing.measures import area_m2
from geo.storage.coverage_cells import read_coverage_cells
from geo.storage.drafts import lock_draft
from geo.storage.grid_versions import GridVersion, activate
from geo.storage.uow import WriteUnit

#: The class under which codes are accepted that break the version's code system.
CODES: Final = "code"
_MOST_TOLD: Final = 20
_REWRITES = """
SELECT min(number) FROM geo.grid_version
 WHERE jurisdiction = :jurisdiction AND status = 'published' AND :at < now() AND valid_from < now()
   AND (valid_until IS NULL OR valid_until > :at)
"""
_ACCEPT = """
INSERT INTO geo.accepted_finding (version_id, kind, findings, area_m2, reason, actor)
VALUES (:version, :kind, :findings, :area_m2, :reason, :actor)
"""


class CoverageRefusedError(ConflictError):
    """The proof stands in the way: which classes, and the worst findings one by one with their place."""

    def __init__(
        self, number: int, report: CoverageReport, classes: Sequence[str], codes: Sequence[Fault] = ()
    ) -> None:
        found = [each for each in report.findings if each.severity is Severity.ERROR and each.kind.value in classes]
        super().__init__(
            "geo.coverage_errors",
            pointer="/accept",
            number=number,
            classes=list(classes),
            count=len(found) + len(codes),
        )
        self.causes = (*(_fault(each) for each in found[:_MOST_TOLD]), *codes[:_MOST_TOLD])


def _fault(finding: Finding) -> Fault:
    inside = finding.where.representative_point() if not finding.where.is_empty else None
    named = list(finding.cells[:_MOST_TOLD])
    return Fault(
        code=f"coverage.{finding.kind.value}",
        pointer=f"/accept/{finding.kind.value}",
        params={
            "parent": finding.parent or "–",
            "cells": [*named, "…"] if len(finding.cells) > len(named) else named,
            "area": f"{finding.area_m2:,.2f}",
            "reason": finding.reason,
            "position": f"{inside.x:.7f}, {inside.y:.7f}" if inside is not None else "–",
        },
    )


async def activate_checked(
    unit: WriteUnit,
    jurisdiction: str,
    number: int,
    *,
    at: datetime | None = None,
    accepted: Mapping[str, str] | None = None,
    reason: str = "",
    actor: str = "",
    seen: int | None = None,
    tolerance_m2: float = DEFAULT_TOLERANCE_M2,
    sliver_width_m: float = DEFAULT_SLIVER_WIDTH_M,
) -> GridVersion:
    """Prove a draft's coverage and make it valid from an instant on.

    Parameters
    ----------
    at
        From when; now if left out. A later instant schedules it.
    accepted
        Class of findings → why the version is activated with errors of that class. Recorded.
    reason
        The same for every class of errors that there is.
    seen
        The revision the caller looked at.

    Raises
    ------
    ConflictError
        ``geo.coverage_errors`` with the classes not accepted and their worst findings, ``geo.version_empty``,
        ``geo.version_rewrites`` when another version answers for that past instant, and those of
        `geo.storage.grid_versions.activate`.
    BadInputError
        ``geo.unknown_finding_class``.
    """
    version = await lock_draft(unit, jurisdiction, number, seen=seen)
    if at is not None:
        other = await unit.connection.scalar(text(_REWRITES), {"jurisdiction": jurisdiction, "at": at})
        if other is not None:
            raise ConflictError("geo.version_rewrites", pointer="/from", number=number, other=other)
    cells = await read_coverage_cells(unit, version.id)
    if not cells:
        raise ConflictError("geo.version_empty", number=number)
    report = await asyncio.to_thread(
        check_coverage, cells, area_m2, tolerance_m2=tolerance_m2, sliver_width_m=sliver_width_m
    )
    wrong, codes = error_classes(report), code_faults(cells, version.code_system)
    if codes:
        wrong[CODES] = (len(codes), 0.0)
    reasons = {kind: why for kind in wrong if (why := ((accepted or {}).get(kind) or reason).strip())}
    unknown = sorted(set(accepted or {}) - set(wrong))
    if unknown:
        raise BadInputError("geo.unknown_finding_class", pointer=f"/accept/{unknown[0]}", kind=unknown[0][:40])
    left = sorted(set(wrong) - set(reasons))
    if left:
        raise CoverageRefusedError(number, report, left, codes if CODES in left else ())
    for kind, why in reasons.items():
        count, area = wrong[kind]
        await unit.connection.execute(
            text(_ACCEPT),
            {
                "version": version.id,
                "kind": kind,
                "findings": count,
                "area_m2": area,
                "reason": why,
                "actor": actor,
            },
        )
    return await activate(unit, version.id, at=at)


def code_faults(cells: Sequence[CoverageCell], code_system: str) -> list[Fault]:
    """Return the cells whose codes break the version's code system, such as one that was given to another parent."""
    system = get_code_system(code_system)
    return [
        Fault(
            code=problem.value,
            pointer=f"/accept/{CODES}",
            params=problem_facts(system, cell.code, cell.level, cell.parent),
        )
        for cell in cells
        if (problem := find_problem(system, cell.code, cell.level, cell.parent)) is not None
    ]


def error_classes(report: CoverageReport) -> dict[str, tuple[int, float]]:
    """Return the classes of findings that stand in the way: how many there are, and their area in m²."""
    found: dict[str, tuple[int, float]] = {}
    for finding in report.findings:
        if finding.severity is Severity.ERROR:
            count, area = found.get(finding.kind.value, (0, 0.0))
            found[finding.kind.value] = (count + 1, area + finding.area_m2)
    return found

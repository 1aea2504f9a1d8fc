"""What an import says at its end: summaries, notes and faults, in the user's language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.speech import t
from dispatch.importing.reports import ReportImport
from dispatch.importing.rows import Rejection
from geo.coverage import CoverageReport, RepairProposal
from geo.importing.cells import CellImport
from geo.importing.faults import Fault

_MOST_LISTED = 20


def describe(rejection: Rejection) -> str:
    """Sentence of a rejected row, for the reject file."""
    return t(f"error.{rejection.code}", **rejection.params)


def show_faults(file: str, faults: Sequence[Fault]) -> None:
    """List every fault with its feature and position, on the error stream."""
    table = _table(t("error.import.rejected", file=file, count=len(faults)))
    for fault in faults:
        where = t("imports.faults.file") if fault.feature is None else t("imports.faults.feature", number=fault.feature)
        text = t(f"error.{fault.code}", **fault.params)
        if fault.position is not None:
            x, y = fault.position
            text += " " + t("imports.faults.position", x=f"{x:.10g}", y=f"{y:.10g}")
        table.add_row(where, fault.code.value, Text(text))
    Console(stderr=True).print(table)


def show_cells(found: CellImport) -> None:
    """Summarise imported cells: levels, notes, coverage, version."""
    plan = found.plan
    console = Console()
    table = _table(t("imports.cells.title"))
    table.add_row(t("imports.cells.file"), Text(f"{plan.file} ({plan.driver})"))
    table.add_row(t("imports.cells.frame"), plan.frame)
    sizes: Mapping[int, list[float]] = defaultdict(list)
    for cell in plan.cells:
        sizes[cell.attributes.level].append(cell.area_m2)
    for level, areas in sorted(sizes.items()):
        value = t("imports.cells.count", count=f"{len(areas):,}", area=f"{sum(areas) / 1e6:,.3f}")
        table.add_row(t("imports.cells.level", level=level), value)
    if found.version is None:
        table.add_row(t("imports.cells.version"), t("imports.cells.dry_run"))
    else:
        status = t(f"imports.status.{found.version.status}")
        table.add_row(
            t("imports.cells.version"), t("imports.cells.version_value", number=found.version.number, status=status)
        )
    for note in plan.notes:
        table.add_row(t("imports.notes.title"), t(f"error.{note.code}", **{"count": note.count, **note.params}))
    if plan.coverage is not None:
        for line in _coverage(plan.coverage):
            table.add_row(t("imports.coverage.title"), Text(line))
    console.print(table)
    if plan.repairs is not None:
        _show_repairs(console, plan.repairs, is_accepted=found.version is not None)


def _show_repairs(console: Console, proposal: RepairProposal, *, is_accepted: bool) -> None:
    table = _table(t("imports.repairs.title"))
    for repair in proposal.repairs[:_MOST_LISTED]:
        kind = t(f"imports.repairs.{repair.kind}")
        point = repair.after.representative_point()
        row = t("imports.repairs.row", kind=kind, code=repair.code, area=f"{repair.moved_m2:,.2f}")
        table.add_row(Text(row), f"{point.x:.6f}, {point.y:.6f}")
    if not proposal.repairs:
        table.add_row(t("imports.repairs.none"), "")
    if len(proposal.repairs) > _MOST_LISTED:
        table.add_row(t("imports.repairs.more", count=len(proposal.repairs) - _MOST_LISTED), "")
    before, after = (len(report.findings) + report.below_tolerance for report in (proposal.before, proposal.after))
    table.add_row(t("imports.repairs.summary", before=before, after=after), "")
    if proposal.repairs and not is_accepted:
        table.add_row(t("imports.repairs.accept"), "")
    console.print(table)


def _coverage(report: CoverageReport) -> list[str]:
    if not report.findings and not report.below_tolerance:
        return [t("imports.coverage.proven", families=report.families)]
    lines = [
        t(
            "imports.coverage.findings",
            count=len(report.findings),
            small=report.below_tolerance,
            tolerance=report.tolerance_m2,
        )
    ]
    for finding in report.findings[:_MOST_LISTED]:
        point = finding.where.representative_point()
        severity = t(f"coverage.severity.{finding.severity}")
        lines.append(
            t(
                "imports.coverage.row",
                kind=f"{severity}, {t(f'coverage.class.{finding.kind}')}",
                area=f"{finding.area_m2:,.2f}",
                cells=", ".join(finding.cells) or finding.parent or "–",
                lon=f"{point.x:.6f}",
                lat=f"{point.y:.6f}",
            )
        )
    if len(report.findings) > _MOST_LISTED:
        lines.append(t("imports.coverage.more", count=len(report.findings) - _MOST_LISTED))
    return lines


def show_reports(found: ReportImport, *, elapsed_s: float) -> None:
    """Summarise imported reports: counts, where they lie, what was rejected and why."""
    table = _table(t("imports.reports.title"))
    for key in ("rows", "added", "already_there"):
        table.add_row(t(f"imports.reports.{key}"), f"{getattr(found, key):,}")
    for how, count in sorted(found.located.items()):
        table.add_row(t(f"imports.reports.{how}"), f"{count:,}")
    if found.categories_added:
        table.add_row(t("imports.reports.categories"), f"{found.categories_added:,}")
    table.add_row(t("imports.reports.rejected"), f"{sum(found.rejected.values()):,}")
    for code, count in found.rejected.most_common():
        table.add_row("", f"{code}: {count:,}")
    if found.rejects is not None:
        table.add_row(t("imports.reports.rejects"), str(found.rejects))
    rate = f"{found.rows / elapsed_s:,.0f}" if elapsed_s > 0 else "–"
    table.add_row("", t("imports.reports.speed", seconds=f"{elapsed_s:.1f}", rate=rate))
    Console().print(table)


def _table(title: str) -> Table:
    return Table(title=Text(title), show_header=False, title_justify="left")

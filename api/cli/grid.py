"""`gridward grid`: versions of the grid, their proof, their effect on open cases, their activation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

import typer

from api.audit.trail import Kind, record
from api.cli.context import engine_for_command
from api.cli.effects import show_effect
from api.cli.grid_codes import check_codes, show_next
from api.cli.speech import fail, language, say, t
from api.routes.coverage import sentence
from api.settings import Settings
from dispatch.handover import Effect, read_effect
from geo.activation import activate_checked, code_faults
from geo.coverage import CoverageCell, check_coverage, coverage_item
from geo.importing.measures import area_m2
from geo.storage.coverage_cells import read_coverage_cells
from geo.storage.draft_undo import Undone, undo_last
from geo.storage.drafts import count_cells, discard_draft, lock_draft
from geo.storage.grid_versions import GridVersion, get_version, list_versions, withdraw
from geo.storage.taking_effect import await_effect
from geo.storage.uow import ReadUnit, WriteUnit, read_unit, write_unit

app = typer.Typer(no_args_is_help=True)
app.command("code", help=t("grid.help.code"))(check_codes)
app.command("next-code", help=t("grid.help.next_code"))(show_next)
Got = TypeVar("Got")
_MOST_TOLD = 20

Number = Annotated[int, typer.Argument(min=1, help=t("grid.help.number"), show_default=False)]
Jurisdiction = Annotated[
    str | None, typer.Option("--jurisdiction", help=t("grid.help.jurisdiction"), show_default=False)
]


@app.command("list", help=t("grid.help.list"))
def list_all(jurisdiction: Jurisdiction = None) -> None:
    """List the versions, newest first."""
    code = _code(jurisdiction)

    async def read(unit: ReadUnit) -> tuple[list[GridVersion], dict[int, dict[int, int]]]:
        return await list_versions(unit, code), await count_cells(unit, code)

    versions, cells = _reading(read)
    if not versions:
        say(t("grid.none"))
    for version in versions:
        say(_line(version, cells.get(version.id, {})))


@app.command("show", help=t("grid.help.show"))
def show(number: Number, jurisdiction: Jurisdiction = None) -> None:
    """Show one version."""
    code = _code(jurisdiction)

    async def read(unit: ReadUnit) -> tuple[GridVersion, dict[int, dict[int, int]]]:
        return await get_version(unit, code, number), await count_cells(unit, code)

    version, cells = _reading(read)
    say(_line(version, cells.get(version.id, {})))
    say(
        t(
            "grid.source",
            source=version.source or "–",
            code_system=version.code_system,
            revision=version.revision,
        )
    )


@app.command("check", help=t("grid.help.check"))
def check(number: Number, jurisdiction: Jurisdiction = None) -> None:
    """Prove the coverage; exit code 1 when there are errors."""
    code, settings = _code(jurisdiction), Settings()

    async def read(unit: ReadUnit) -> tuple[str, list[CoverageCell]]:
        version = await get_version(unit, code, number)
        return version.code_system, await read_coverage_cells(unit, version.id)

    system, cells = _reading(read)
    report = check_coverage(
        cells,
        area_m2,
        tolerance_m2=settings.coverage_tolerance_m2,
        sliver_width_m=settings.coverage_sliver_width_m,
    )
    if report.is_proven:
        say(t("grid.check.proven", families=report.families))
    totals: dict[tuple[str, str], tuple[int, float]] = {}
    for finding in report.findings:
        key = (finding.severity.value, finding.kind.value)
        count, area = totals.get(key, (0, 0.0))
        totals[key] = (count + 1, area + finding.area_m2)
    for (severity, kind), (count, area) in totals.items():
        named = t(f"grid.severity.{severity}")
        say(t("grid.check.line", severity=named, kind=t(f"coverage.class.{kind}"), count=count, area=f"{area:,.2f}"))
    for finding in report.findings[:_MOST_TOLD]:
        named = t(f"grid.severity.{finding.severity.value}")
        lon, lat = coverage_item(0, finding)["position"]
        say(t("grid.check.finding", severity=named, sentence=sentence(finding, language()), position=f"{lon}, {lat}"))
    if len(report.findings) > _MOST_TOLD:
        say(t("grid.check.more", count=len(report.findings) - _MOST_TOLD))
    if report.below_tolerance:
        say(t("grid.check.below", count=report.below_tolerance, tolerance=f"{report.tolerance_m2:g}"))
    codes = code_faults(cells, system)
    for fault in codes:
        say(t(f"error.{fault.code}", **fault.params))
    if codes or any(severity == "error" for severity, _ in totals):
        raise typer.Exit(1)


@app.command("effect", help=t("grid.help.effect"))
def effect(number: Number, jurisdiction: Jurisdiction = None) -> None:
    """List the open cases that a version would concern."""
    code = _code(jurisdiction)

    async def read(unit: ReadUnit) -> list[Effect]:
        version = await get_version(unit, code, number)
        return await read_effect(unit, code, version.id, version.valid_from)

    show_effect(_reading(read))


@app.command("activate", help=t("grid.help.activate"))
def activate(
    number: Number,
    since: Annotated[str | None, typer.Option("--from", help=t("grid.help.from"), show_default=False)] = None,
    accept: Annotated[list[str] | None, typer.Option("--accept", help=t("grid.help.accept"))] = None,
    jurisdiction: Jurisdiction = None,
) -> None:
    """Make a draft valid; open cases are handed over by the worker."""
    code, settings = _code(jurisdiction), Settings()
    accepted = {kind.strip(): reason.strip() for kind, _, reason in (one.partition("=") for one in accept or ())}

    async def run() -> GridVersion:
        async with engine_for_command() as engine:
            async with write_unit(engine) as unit:
                version = await activate_checked(
                    unit,
                    code,
                    number,
                    at=_instant(since),
                    accepted=accepted,
                    actor="command",
                    tolerance_m2=settings.coverage_tolerance_m2,
                    sliver_width_m=settings.coverage_sliver_width_m,
                )
                since_when = version.valid_from.isoformat() if version.valid_from else ""
                await record(unit, Kind.GRID_ACTIVATED, f"grid activate {number}", accepted=accepted, since=since_when)
            if since is None:
                await await_effect(engine, version.valid_from)
            async with read_unit(engine) as unit:
                return await get_version(unit, code, number)

    version = asyncio.run(run())
    say(t("grid.activated", number=number, status=t(f"grid.status.{version.status}"), since=version.valid_from))


@app.command("undo", help=t("grid.help.undo"))
def undo(number: Number, jurisdiction: Jurisdiction = None) -> None:
    """Take back the last change of a draft."""
    code = _code(jurisdiction)

    async def write(unit: WriteUnit) -> Undone:
        return await undo_last(unit, await lock_draft(unit, code, number))

    undone = _writing(write)
    say(t("grid.undone", number=number, change=t(f"grid_page.tool.{undone.kind}"), seq=undone.seq))


@app.command("withdraw", help=t("grid.help.withdraw"))
def take_back(number: Number, jurisdiction: Jurisdiction = None) -> None:
    """Make a scheduled version a draft again."""
    code = _code(jurisdiction)

    async def write(unit: WriteUnit) -> GridVersion:
        version = await withdraw(unit, code, number)
        await record(unit, Kind.GRID_CHANGED, f"grid withdraw {number}")
        return version

    _writing(write)
    say(t("grid.withdrawn", number=number))


@app.command("discard", help=t("grid.help.discard"))
def discard(number: Number, jurisdiction: Jurisdiction = None) -> None:
    """Delete a draft."""
    code = _code(jurisdiction)

    async def write(unit: WriteUnit) -> None:
        await discard_draft(unit, code, number)
        await record(unit, Kind.GRID_CHANGED, f"grid discard {number}")

    _writing(write)
    say(t("grid.discarded", number=number))


def _instant(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        fail(f"--from {value!r}: {t('grid.help.from')}", code=2)
    if instant.tzinfo is None:
        fail(f"--from {value!r}: {t('grid.help.from')}", code=2)
    return instant


def _code(jurisdiction: str | None) -> str:
    return jurisdiction or Settings().jurisdiction


def _line(version: GridVersion, cells: dict[int, int]) -> str:
    return t(
        "grid.line",
        number=version.number,
        name=version.name or "–",
        status=t(f"grid.status.{version.status}"),
        since=version.valid_from or "–",
        until=version.valid_until or "–",
        cells="/".join(str(count) for count in cells.values()) or "0",
    )


def _reading(work: Callable[[ReadUnit], Awaitable[Got]]) -> Got:
    async def run() -> Got:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await work(unit)

    return asyncio.run(run())


def _writing(work: Callable[[WriteUnit], Awaitable[Got]]) -> Got:
    async def run() -> Got:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            return await work(unit)

    return asyncio.run(run())

"""`gridward import`: cells as a grid version, historic reports as cases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from api.audit.trail import Kind
from api.cli import importing_posts
from api.cli.context import engine_for_command
from api.cli.effects import show_effect
from api.cli.importing_categories import categories
from api.cli.importing_cells import run_import
from api.cli.importing_tables import describe, show_cells, show_faults, show_reports
from api.cli.records import note
from api.cli.speech import say, sentence, t
from api.settings import Settings
from dispatch.importing.instants import AmbiguousTime
from dispatch.importing.reports import DEFAULT_BATCH, ReportImport, ReportImportOptions, import_reports
from geo.codes import get_code_system
from geo.coordinates import CoordSys
from geo.importing.attributes import LevelRule, parse_lengths, parse_mapping
from geo.importing.cells import ImportRejectedError, VersionTarget
from geo.importing.faults import FileRefusedError
from geo.importing.plan import CellImportOptions, RepairWish
from geo.importing.tree import ParentRule

app = typer.Typer(no_args_is_help=True)
app.command("categories", help=t("categories.help.command"))(categories)
app.command("departments", help=t("posts.help.departments"))(importing_posts.departments)
app.command("people", help=t("posts.help.people"))(importing_posts.people)
app.command("posts", help=t("posts.help.posts"))(importing_posts.posts)
app.command("matrix", help=t("posts.help.matrix"))(importing_posts.matrix)

_FileArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]
_CoordSysOption = Annotated[
    CoordSys | None, typer.Option("--coord-sys", help=t("imports.help.coord_sys"), show_default=False)
]
_CrsOption = Annotated[str | None, typer.Option("--crs", help=t("imports.help.crs"), show_default=False)]


@app.command("cells", help=t("imports.help.cells"))
def cells(
    file: _FileArgument,
    mapping: Annotated[
        str,
        typer.Option("--map", help=t("imports.help.map_cells")),
    ],
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", help=t("imports.help.jurisdiction_new"))],
    coord_sys: _CoordSysOption = None,
    crs: _CrsOption = None,
    level: Annotated[int | None, typer.Option("--level", min=1, max=9, help=t("imports.help.level"))] = None,
    level_by_code_length: Annotated[
        str | None, typer.Option("--level-by-code-length", help=t("imports.help.level_by_length"))
    ] = None,
    parent_by_code: Annotated[bool, typer.Option("--parent-by-code", help=t("imports.help.parent_by_code"))] = False,
    dissolve: Annotated[str | None, typer.Option("--dissolve", help=t("imports.help.dissolve"))] = None,
    layer: Annotated[str | None, typer.Option("--layer", help=t("imports.help.layer"))] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help=t("imports.help.encoding_cells"))] = None,
    version_name: Annotated[str, typer.Option("--version-name", help=t("imports.help.version_name"))] = "",
    code_system: Annotated[str, typer.Option("--code-system", help=t("imports.help.code_system"))] = "free",
    time_zone: Annotated[str, typer.Option("--time-zone", help=t("imports.help.time_zone_new"))] = "Asia/Shanghai",
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("imports.help.dry_run"))] = False,
    activate: Annotated[bool, typer.Option("--activate", help=t("imports.help.activate"))] = False,
    new_jurisdiction: Annotated[
        bool, typer.Option("--new-jurisdiction", help=t("imports.help.new_jurisdiction"))
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help=t("imports.help.repair"))] = False,
    accept_repairs: Annotated[bool, typer.Option("--accept-repairs", help=t("imports.help.accept_repairs"))] = False,
) -> None:
    """Import cells (GeoJSON, GeoPackage, Shapefile, KML) as a draft grid version: all of them, or none."""
    settings = Settings()
    wish = RepairWish.ACCEPT if accept_repairs else RepairWish.SHOW if repair else RepairWish.NONE
    try:
        options = CellImportOptions(
            mapping=parse_mapping(mapping),
            coord_sys=coord_sys,
            crs=crs,
            levels=LevelRule(
                constant=level, by_length=parse_lengths(level_by_code_length) if level_by_code_length else {}
            ),
            parents=ParentRule.CODE if parent_by_code else ParentRule.NONE,
            dissolve=parse_lengths(dissolve) if dissolve else {},
            layer=layer,
            encoding=encoding,
            code_system=get_code_system(code_system).name,
            tolerance_m2=settings.coverage_tolerance_m2,
            sliver_width_m=settings.coverage_sliver_width_m,
            snap_m=settings.coverage_snap_m,
            repairs=wish,
        )
    except FileRefusedError as refused:
        show_faults(file.name, [refused.fault])
        raise typer.Exit(2) from None
    target = VersionTarget(
        jurisdiction=jurisdiction,
        version_name=version_name,
        time_zone=time_zone,
        activate=activate,
    )
    try:
        with _stages() as tell:
            found, effects = asyncio.run(
                run_import(
                    file, options, target, tell, dry_run=dry_run or wish is RepairWish.SHOW, is_new=new_jurisdiction
                )
            )
    except ImportRejectedError as rejected:
        show_faults(file.name, rejected.plan.faults)
        raise typer.Exit(1) from None
    show_cells(found)
    if effects is not None:
        show_effect(effects)
    if found.refused is not None and found.version is not None:
        say(sentence(found.refused), to_error=True)
        accept = " ".join(f"--accept {kind}=…" for kind in found.refused.params["classes"])
        say(t("imports.left_as_draft", number=found.version.number, accept=accept), to_error=True)
        raise typer.Exit(1)


@app.command("reports", help=t("imports.help.reports"))
def reports(
    file: _FileArgument,
    columns: Annotated[
        str,
        typer.Option(
            "--map",
            help=t("imports.help.map_reports"),
        ),
    ],
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", help=t("imports.help.jurisdiction"))],
    channel: Annotated[str, typer.Option("--channel", help=t("imports.help.channel"))],
    coord_sys: _CoordSysOption = None,
    crs: _CrsOption = None,
    category_map: Annotated[str, typer.Option("--category-map", help=t("imports.help.category_map"))] = "codes",
    status_map: Annotated[str, typer.Option("--status-map", help=t("imports.help.status_map"))] = "",
    time_zone: Annotated[str | None, typer.Option("--time-zone", help=t("imports.help.time_zone"))] = None,
    time_format: Annotated[str | None, typer.Option("--time-format", help=t("imports.help.time_format"))] = None,
    ambiguous: Annotated[
        AmbiguousTime, typer.Option("--ambiguous-time", help=t("imports.help.ambiguous"))
    ] = AmbiguousTime.EARLIER,
    keep_without_position: Annotated[
        bool, typer.Option("--keep-without-position", help=t("imports.help.keep_without_position"))
    ] = False,
    version: Annotated[int | None, typer.Option("--grid-version", help=t("imports.help.grid_version"))] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help=t("imports.help.encoding"))] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help=t("imports.help.delimiter"))] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=100_000, help=t("imports.help.batch"))] = DEFAULT_BATCH,
    rejects: Annotated[Path | None, typer.Option("--rejects", help=t("imports.help.rejects"))] = None,
) -> None:
    """Import historic reports from a CSV (also .gz); safe to run again."""
    options = ReportImportOptions(
        columns=columns,
        jurisdiction=jurisdiction,
        channel=channel,
        coord_sys=coord_sys,
        crs=crs,
        categories=category_map,
        statuses=status_map,
        time_zone=time_zone,
        time_format=time_format,
        ambiguous=ambiguous,
        keep_without_position=keep_without_position,
        version_number=version,
        encoding=encoding,
        delimiter=delimiter,
        batch=batch,
        rejects=rejects,
    )
    started = time.monotonic()

    async def run() -> ReportImport:
        with _stages() as tell:
            async with engine_for_command() as engine:
                found = await import_reports(
                    engine, file, options, describe, progress=lambda so_far: tell("reports", so_far.rows, 0)
                )
                await note(engine, Kind.IMPORTED, "import reports", file=file.name, rows=found.rows, channel=channel)
                return found

    show_reports(asyncio.run(run()), elapsed_s=time.monotonic() - started)


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars, one per stage; a total of 0 means that nobody knows it yet."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), transient=True
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(t(f"imports.stage.{stage}"), total=total or None)
            bar.update(tasks[stage], completed=done, total=total or None)

        yield tell

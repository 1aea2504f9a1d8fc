"""`gridward export`: the cells of a grid version as GeoJSON or GeoPackage."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.audit.trail import Kind
from api.cli.context import engine_for_command
from api.cli.importing_posts import matrix_out
from api.cli.records import note
from api.cli.speech import say, t
from api.settings import Settings
from geo.coordinates import CoordSys
from geo.errors import NotFoundError
from geo.exporting import ExportTarget, write_cells
from geo.storage.exported_cells import read_exported_cells
from geo.storage.grid_versions import find_active, get_version
from geo.storage.uow import read_unit

app = typer.Typer(no_args_is_help=True)


app.command("matrix", help=t("posts.help.matrix_out"))(matrix_out)


@app.callback()
def _group() -> None:
    """Hold the group together: with one command alone it would lose its name."""


@app.command("cells", help=t("exports.help.cells"))
def cells(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", help=t("exports.help.jurisdiction"), show_default=False)
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help=t("exports.help.version"), show_default=False)
    ] = None,
    level: Annotated[
        int | None, typer.Option("--level", min=1, max=9, help=t("exports.help.level"), show_default=False)
    ] = None,
    coord_sys: Annotated[
        CoordSys | None, typer.Option("--coord-sys", help=t("exports.help.coord_sys"), show_default=False)
    ] = None,
    crs: Annotated[str | None, typer.Option("--crs", help=t("exports.help.crs"), show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=t("exports.help.overwrite"))] = False,
) -> None:
    """Write the cells of a grid version to a file."""
    target = ExportTarget(path=file, coord_sys=coord_sys, crs=crs, overwrite=overwrite)
    target.format()  # what is wrong with the file is told before a database is started
    count, number, size = asyncio.run(_export(target, jurisdiction or Settings().jurisdiction, version, level))
    say(t("exports.done", count=count, number=number, file=str(file), kilobytes=-(-size // 1000)))


async def _export(
    target: ExportTarget, jurisdiction: str, number: int | None, level: int | None
) -> tuple[int, int, int]:
    async with engine_for_command() as engine:
        async with read_unit(engine) as unit:
            if number is None:
                version = await find_active(unit, jurisdiction)
                if version is None:
                    raise NotFoundError("export.no_active_version", jurisdiction=jurisdiction)
            else:
                version = await get_version(unit, jurisdiction, number)
            found = await read_exported_cells(unit, version.id, level=level)
        if not found:
            raise NotFoundError("export.nothing", number=version.number)
        facts = {"version": version.number, "level": level, "cells": len(found)}
        await note(engine, Kind.EXPORTED, "export cells", file=target.path.name, **facts)
    size = await asyncio.to_thread(write_cells, found, target, version=version.number)
    return len(found), version.number, size

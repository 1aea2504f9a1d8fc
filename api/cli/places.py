"""`gridward places`: bring a file of places in, and see what words find."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.audit.trail import Kind, record
from api.cli.context import engine_for_command
from api.cli.speech import fail, language, say, t
from api.errors import message_of
from api.settings import Settings
from geo.coordinates import CoordSys
from geo.errors import BadInputError, InvalidRequestError
from geo.gazetteer.importing import read_places
from geo.gazetteer.places import Candidate, choose
from geo.storage.gazetteer import count_places, search_places, store_places
from geo.storage.uow import read_unit, write_unit

app = typer.Typer(no_args_is_help=True)


@app.command("import", help=t("places.cli.import"))
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    coord_sys: Annotated[
        CoordSys | None, typer.Option("--coord-sys", help=t("places.cli.coord_sys"), show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help=t("places.cli.replace"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("places.cli.dry_run"))] = False,
) -> None:
    """Bring in a CSV or GeoJSON of places: all of it, or every wrong row named."""
    if not file.is_file():
        raise BadInputError("import.file_missing", file=file.name)
    try:
        records = read_places(file.read_bytes(), coord_sys=coord_sys)
    except InvalidRequestError as refused:
        for fault in refused.faults:
            say(f"{fault.pointer}  {message_of(language(), fault.code, fault.params)}", to_error=True)
        fail(t("places.cli.refused", count=len(refused.faults)))
    if dry_run:
        say(t("places.cli.checked", count=len(records)))
        return
    jurisdiction = Settings().jurisdiction

    async def run() -> tuple[int, int, int]:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            stored, removed = await store_places(unit, jurisdiction, records, replace=replace)
            total = await count_places(unit, jurisdiction)
            await record(unit, Kind.IMPORTED, "places import", file=file.name, stored=stored, removed=removed)
            return stored, removed, total

    stored, removed, total = asyncio.run(run())
    say(t("places.cli.stored", stored=stored, removed=removed, total=total))


@app.command("search", help=t("places.cli.search"))
def search(words: Annotated[str, typer.Argument(show_default=False)]) -> None:
    """Show what an address finds, and whether a report with it would be dispatched by itself."""

    async def run() -> list[Candidate]:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await search_places(unit, Settings().jurisdiction, words)

    found = asyncio.run(run())
    for one in found:
        place = one.place
        facts = f"{one.score:.2f}  {one.precision.value:<8} {place.kind.value:<10}"
        say(f"{facts} {place.name_zh}  {place.lon}, {place.lat}")
    say(t("places.cli.none") if not found else t("places.cli.sure") if choose(found) else t("places.cli.unsure"))

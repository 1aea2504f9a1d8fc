"""`gridward map`: planners' maps as files, from the same code as the pages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from api.audit.trail import Kind
from api.cli.context import engine_for_command
from api.cli.records import note
from api.cli.speech import language, say, t
from api.planner_files import make_file
from api.planner_opening import open_desk
from api.planner_query import Given
from api.planner_reading import KINDS
from api.planning import keep_facts
from api.settings import Settings
from dispatch.queries import load_reference
from geo.errors import BadInputError, NotFoundError
from geo.storage.uow import EVERYBODY, read_unit

app = typer.Typer(no_args_is_help=True)

_FORMS: Final = {".htm": "html", ".html": "html", ".json": "geojson"}

Out = Annotated[Path, typer.Option("--out", "-o", help=t("planner.cli.out"))]
First = Annotated[str, typer.Option("--from", help=t("planner.cli.from"))]
Last = Annotated[str, typer.Option("--to", help=t("planner.cli.to"))]
Categories = Annotated[list[str] | None, typer.Option("--category", help=t("planner.cli.category"))]
Level = Annotated[str, typer.Option("--level", help=t("planner.cli.level"))]
Where = Annotated[list[str] | None, typer.Option("--where", help=t("planner.cli.where"))]
Coarse = Annotated[bool, typer.Option("--coarse", help=t("planner.cli.coarse"))]


def _add(kind: str) -> None:
    @app.command(kind, help=t(f"planner.cli.{kind}"))
    def write(
        out: Out,
        first: First = "",
        last: Last = "",
        category: Categories = None,
        level: Level = "",
        where: Where = None,
        coarse: Coarse = False,
    ) -> None:
        given: dict[str, list[str]] = {"from": [first], "to": [last], "category": category or [], "level": [level]}
        for word in where or ():
            name, sign, value = word.partition("=")
            if not sign or not name:
                raise BadInputError("maps.bad_where", pointer="/where", where=word[:80])
            given.setdefault(name, []).append(value)
        title, body = asyncio.run(_make(kind, given, _form_of(out), coarse=coarse))
        try:
            out.write_bytes(body)
        except OSError as error:
            raise BadInputError("maps.cannot_write", file=str(out), reason=error.strerror or str(error)) from error
        say(t("planner.cli.written", title=title, file=out, size=f"{len(body):,}"))


def _form_of(out: Path) -> str:
    if out.name.endswith(".bins.geojson"):
        return "bins"
    return _FORMS.get(out.suffix.lower(), out.suffix.lower().removeprefix("."))


async def _make(kind: str, given: Given, form: str, *, coarse: bool) -> tuple[str, bytes]:
    settings = Settings()
    async with engine_for_command() as engine, read_unit(engine, viewer=EVERYBODY) as unit:
        facts = keep_facts(engine, settings)
        desk = await open_desk(
            unit,
            engine,
            facts,
            await load_reference(unit),
            settings.jurisdiction,
            viewer=EVERYBODY,
            sees_cases=not coarse,
            locale=language(),
            given=given,
        )
        view = KINDS[kind].parse(given, desk.reference, desk.today, desk.whole)
        if desk.version is None:
            raise NotFoundError("maps.no_grid")
        page = await KINDS[kind].read(desk, view)
        body = (await make_file(desk, page, form, kind)).body
        await note(engine, Kind.EXPORTED, f"map {kind}", form=form)
        return page.title, body


for _kind in KINDS:
    _add(_kind)

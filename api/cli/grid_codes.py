"""`gridward grid code` and `gridward grid next-code`: is a code right, which comes next."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from api.cli.context import engine_for_command
from api.cli.speech import say, sentence, t
from api.settings import Settings
from geo.codes import CODE_SYSTEMS, Place, find_problem, get_code_system, level_of, next_codes, problem_facts
from geo.errors import BadInputError
from geo.storage.cells import codes_ever_used
from geo.storage.grid_versions import get_version
from geo.storage.uow import read_unit


def check_codes(
    codes: Annotated[list[str], typer.Argument(help=t("grid.help.codes"), show_default=False)],
    system: Annotated[str, typer.Option("--system", help=t("grid.help.system"))] = "cn15",
    level: Annotated[int | None, typer.Option("--level", min=1, max=9, help=t("grid.help.level"))] = None,
    parent: Annotated[str | None, typer.Option("--parent", help=t("grid.help.parent"))] = None,
) -> None:
    """Check codes; exit code 1 when one is wrong."""
    chosen = get_code_system(system)
    wrong = 0
    for code in codes:
        # Left out, the level is the one that the length says; a length of no level is told as that of the deepest.
        at = level or level_of(chosen, code) or max(chosen.lengths, default=1)
        problem = find_problem(chosen, code, at, parent)
        if problem is None:
            say(t("grid.code.right", code=code, level=at, system=chosen.name))
        else:
            wrong += 1
            say(sentence(BadInputError(problem.value, **problem_facts(chosen, code, at, parent))))
    if wrong:
        raise typer.Exit(1)


def show_next(
    number: Annotated[int, typer.Argument(min=1, help=t("grid.help.number"), show_default=False)],
    parent: Annotated[str, typer.Argument(help=t("grid.help.parent"), show_default=False)],
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, help=t("grid.help.count"))] = 1,
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", help=t("grid.help.jurisdiction"), show_default=False)
    ] = None,
) -> None:
    """Show the next free codes under a cell; a code that was ever used is not used again."""

    async def read() -> tuple[str, set[str]]:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            version = await get_version(unit, jurisdiction or Settings().jurisdiction, number)
            return version.code_system, await codes_ever_used(unit, version.jurisdiction, parent)

    name, taken = asyncio.run(read())
    places = [Place(key=f"{index:05d}", lon=0.0, lat=0.0) for index in range(count)]
    for _, code in next_codes(CODE_SYSTEMS[name], parent, places, taken=taken):
        say(code)

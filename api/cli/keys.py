"""`gridward keys`: make and list the keys of channels."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from api.accounts.keys import DEFAULT_SCOPES, create_key, parse_scopes
from api.cli.context import engine_for_command
from api.cli.speech import t
from geo.storage.uow import write_unit

app = typer.Typer(no_args_is_help=True)


@app.command("create", help=t("keys.help.create"))
def create(
    channel: Annotated[str, typer.Option("--channel", help=t("keys.help.channel"))],
    scope: Annotated[list[str] | None, typer.Option("--scope", help=t("keys.help.scope"))] = None,
) -> None:
    """Make a key and print it once; only its digest is kept."""
    scopes = parse_scopes(scope) if scope else DEFAULT_SCOPES

    async def run() -> str:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            return await create_key(unit, channel, scopes)

    typer.echo(asyncio.run(run()))

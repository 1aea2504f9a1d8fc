"""`gridward keys`: make, list, rotate and revoke the keys of channels."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import (
    DEFAULT_SCOPES,
    OVERLAP_S,
    NewKey,
    issue_key,
    list_keys,
    parse_scopes,
    revoke_key,
    rotate_key,
)
from api.cli.context import engine_for_command, open_database
from api.cli.speech import say, t
from api.sandbox.database import refresh, url_of
from api.sandbox.keys import as_sandbox_key, issue_sandbox_key, sandbox_engine
from api.settings import Settings
from geo.storage.uow import WriteUnit, write_unit

app = typer.Typer(no_args_is_help=True)
Prefix = Annotated[str, typer.Argument(help=t("keys.help.prefix"))]


Sandbox = Annotated[bool, typer.Option("--sandbox", help=t("keys.help.sandbox"))]


def _in_unit(work: Callable[[WriteUnit], Awaitable[Any]], *, sandbox: bool = False) -> Any:
    async def in_unit(engine: AsyncEngine) -> Any:
        async with write_unit(engine) as unit:
            return await work(unit)

    return _with_engine(in_unit, sandbox=sandbox)


def _with_engine(work: Callable[[AsyncEngine], Awaitable[Any]], *, sandbox: bool, make: bool = False) -> Any:
    async def run() -> Any:
        async with engine_for_command() as engine:
            if not sandbox:
                return await work(engine)
            url = engine.url.render_as_string(hide_password=False)
            async with sandbox_engine(url, Settings().sandbox_database_url, make=make) as inside:
                return await work(inside)

    return asyncio.run(run())


@app.command("create", help=t("keys.help.create"))
def create(
    channel: Annotated[str, typer.Option("--channel", help=t("keys.help.channel"))],
    scope: Annotated[list[str] | None, typer.Option("--scope", help=t("keys.help.scope"))] = None,
    label: Annotated[str, typer.Option("--label", help=t("keys.help.label"))] = "",
    cell: Annotated[list[str] | None, typer.Option("--cell", help=t("keys.help.cell"))] = None,
    department: Annotated[list[str] | None, typer.Option("--department", help=t("keys.help.department"))] = None,
    rate: Annotated[str | None, typer.Option("--rate", help=t("keys.help.rate"))] = None,
    sandbox: Sandbox = False,
) -> None:
    """Make a key and print it once; only its digest is kept."""
    new = NewKey(
        channel=channel,
        scopes=parse_scopes(scope) if scope else DEFAULT_SCOPES,
        label=label,
        cells=tuple(cell or ()),
        departments=tuple(department or ()),
        rate=rate,
    )
    if sandbox:
        made = _with_engine(lambda engine: issue_sandbox_key(engine, new, by="cli"), sandbox=True, make=True)
    else:
        made = _in_unit(lambda unit: issue_key(unit, new, by="cli"))
    typer.echo(made)


@app.command("list", help=t("keys.help.list"))
def show(
    channel: Annotated[str | None, typer.Option("--channel", help=t("keys.help.channel"))] = None,
    sandbox: Sandbox = False,
) -> None:
    """List keys; never the keys themselves."""
    table = Table(box=None, pad_edge=False)
    for column in ("prefix", "channel", "label", "scopes", "used", "state"):
        table.add_column(t(f"keys.column.{column}"), overflow="fold")
    for row in _in_unit(lambda unit: list_keys(unit, channel), sandbox=sandbox):
        state = "revoked" if row["revoked_at"] else "expired" if row["is_over"] else "live"
        used = row["last_used_at"].strftime("%Y-%m-%d %H:%M") if row["last_used_at"] else "–"
        scopes = " ".join([*row["scopes"], *row["cells"], *row["departments"]])
        table.add_row(row["prefix"], row["channel"], row["label"], scopes, used, t(f"keys.state.{state}"))
    Console(soft_wrap=False).print(table)


@app.command("rotate", help=t("keys.help.rotate"))
def rotate(
    prefix: Prefix,
    overlap: Annotated[int, typer.Option("--overlap-s", min=0, help=t("keys.help.overlap"))] = OVERLAP_S,
    sandbox: Sandbox = False,
) -> None:
    """Make a second key with the same rights and print it; the first one ends after a while."""
    text = _in_unit(lambda unit: rotate_key(unit, prefix, overlap_s=overlap, by="cli"), sandbox=sandbox)
    typer.echo(as_sandbox_key(text) if sandbox else text)


@app.command("revoke", help=t("keys.help.revoke"))
def revoke(prefix: Prefix, sandbox: Sandbox = False) -> None:
    """End a key, at once."""
    _in_unit(lambda unit: revoke_key(unit, prefix), sandbox=sandbox)
    say(t("keys.revoked", prefix=prefix))


@app.command("refresh-sandbox", help=t("keys.help.refresh_sandbox"))
def refresh_sandbox() -> None:
    """Make the sandbox anew from the office of today; its cases go, its keys stay."""
    with open_database() as url:
        refresh(url, url_of(url, Settings().sandbox_database_url))
    say(t("keys.sandbox_refreshed"))

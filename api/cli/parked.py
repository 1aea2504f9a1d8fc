"""`gridward parked`: what the worker could not do, and trying it again."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from api.audit.trail import Kind, record
from api.cli.context import engine_for_command
from api.cli.speech import fail, say, t
from dispatch.storage.worker import PARKED_KINDS, list_parked, retry_parked
from geo.storage.uow import read_unit, write_unit

app = typer.Typer(no_args_is_help=True)


@app.command("list", help=t("worker.cli.list"))
def list_() -> None:
    """List parked rows, oldest first."""

    async def run() -> list[dict[str, Any]]:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await list_parked(unit, limit=1000)

    rows = asyncio.run(run())
    for row in rows:
        shown = {name: row[name] or "–" for name in ("kind", "id", "case", "medium", "attempts", "error")}
        say(t("worker.cli.row", **shown))
    if not rows:
        say(t("worker.cli.none"))


@app.command("retry", help=t("worker.cli.retry"))
def retry(
    kind: Annotated[str, typer.Argument(help=t("worker.cli.kind"))],
    id_: Annotated[str | None, typer.Argument(metavar="ID", help=t("worker.cli.id"))] = None,
) -> None:
    """Try one parked row again, or all of a kind."""
    if kind not in PARKED_KINDS:
        fail(t("error.ladder.unknown_kind", kind=kind, known=", ".join(PARKED_KINDS)))

    async def run() -> int:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            count = await retry_parked(unit, kind, id_)
            await record(unit, Kind.SETTINGS_CHANGED, f"parked retry {kind}", id=id_, count=count)
            return count

    say(t("worker.cli.retried", count=asyncio.run(run())))

"""`gridward rates`: freeze a month's rates, list what is frozen."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from api.audit.trail import Kind, record
from api.cli.context import engine_for_command
from api.cli.speech import say, t
from api.settings import Settings
from dispatch.freezing import FrozenMonth, freeze_month, list_frozen, parse_month
from dispatch.queries import load_reference
from geo.storage.uow import read_unit, write_unit

app = typer.Typer(no_args_is_help=True)


@app.command("freeze", help=t("rates.cli.freeze"))
def freeze(month: Annotated[str, typer.Argument(help=t("rates.cli.month"))]) -> None:
    """Write down a month that is over."""
    first, code = parse_month(month), Settings().jurisdiction

    async def run() -> int:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            found = (await load_reference(unit)).jurisdictions.get(code)
            count = await freeze_month(unit, code, found.time_zone if found else "Asia/Shanghai", first)
            await record(unit, Kind.SETTINGS_CHANGED, f"rates freeze {month}", rows=count)
            return count

    say(t("rates.cli.frozen", month=month, count=f"{asyncio.run(run()):,}"))


@app.command("frozen", help=t("rates.cli.list"))
def frozen() -> None:
    """List frozen months."""

    async def run() -> list[FrozenMonth]:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await list_frozen(unit, Settings().jurisdiction)

    for each in asyncio.run(run()):
        say(t("rates.cli.line", month=each.month.strftime("%Y-%m"), at=each.frozen_at.isoformat(timespec="seconds")))

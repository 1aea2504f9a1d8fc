"""`gridward channels`: do the channels send positions in the system that they declare?"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Annotated

import typer

from api.cli.context import engine_for_command
from api.cli.speech import language, say, t
from api.routes.channels import advice, channel_json, system_words
from api.settings import Settings
from dispatch.datum import MOST_REPORTS, ChannelDatum, check_channel, list_channels_reporting, reading_name
from dispatch.queries import database_now
from geo.storage.uow import read_unit

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep this a group of commands while it has one."""


@app.command("check", help=t("datum.cli.check"))
def check(
    channel: Annotated[str | None, typer.Argument(help=t("datum.cli.channel"), show_default=False)] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help=t("datum.cli.days"))] = 30,
    as_json: Annotated[bool, typer.Option("--json", help=t("datum.cli.json"))] = False,
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", help=t("grid.help.jurisdiction"), show_default=False)
    ] = None,
) -> None:
    """Judge one channel or all; exit code 1 when one is suspect."""
    code = jurisdiction or Settings().jurisdiction

    async def run() -> list[ChannelDatum]:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            until = await database_now(unit)
            since = until - timedelta(days=days)
            names = [channel] if channel else await list_channels_reporting(unit, code, since, until)
            return [await check_channel(unit, code, name, since, until, most=MOST_REPORTS) for name in names]

    found = asyncio.run(run())
    if as_json:
        say(json.dumps([channel_json(each, language()) for each in found], ensure_ascii=False, indent=2))
    else:
        for each in found:
            _print(each)
        if not found:
            say(t("datum.advice.nothing"))
    if any(each.is_suspect for each in found):
        raise typer.Exit(1)


def _print(found: ChannelDatum) -> None:
    if not found.reports:
        say(f"{found.channel}: {t('datum.advice.nothing')}")
    for report in found.reports:
        say(
            t(
                "datum.cli.line",
                channel=found.channel,
                declared=system_words(report.declared.value, language()),
                points=report.points,
                places=report.places,
                named=report.named,
                verdict=t(f"datum.verdict.{report.verdict.value}"),
                confidence=t(f"datum.confidence.{report.confidence.value}"),
            )
        )
        counts = [(report.declared.value, report.fitting, 0, 0)]
        counts += [
            (reading_name(count.reading), count.fitting, count.only_here, count.only_declared)
            for count in report.counts
        ]
        for name, fitting, better, worse in counts:
            reading = system_words(name, language())
            say(t("datum.cli.count", reading=reading, fitting=fitting, better=better, worse=worse))
        say(f"  {advice(report, language())}")

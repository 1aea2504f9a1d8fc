"""`gridward facts`: make the columns that planners' maps are counted from anew, and prove that they are right."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import engine_for_command
from api.cli.data_dir import resolve_data_dir
from api.cli.speech import fail, say, t
from api.planning import keep_facts
from api.settings import Settings

app = typer.Typer(no_args_is_help=True)

_SHOWN = 10


def _directory(settings: Settings) -> Path:
    return resolve_data_dir() / "facts" / settings.jurisdiction


@app.command("rebuild", help=t("facts.cli.rebuild"))
def rebuild() -> None:
    """Read every case and write the columns."""
    settings = Settings()

    async def run() -> tuple[int, float, float]:
        async with engine_for_command() as engine:
            begun = time.perf_counter()
            base = await keep_facts(engine, settings, _directory(settings)).rebuild()
            return len(base), base.bytes_per_case, time.perf_counter() - begun

    cases, size, took = asyncio.run(run())
    say(
        t("facts.cli.rebuilt", cases=f"{cases:,}", bytes=f"{size:g}", seconds=f"{took:.1f}", place=_directory(settings))
    )


@app.command("verify", help=t("facts.cli.verify"))
def verify(quiet: Annotated[bool, typer.Option("--quiet", help=t("facts.cli.quiet"))] = False) -> None:
    """Count everything twice; exit code 1 when the two differ."""
    settings = Settings()

    async def run() -> tuple[int, list[tuple[object, ...]]]:
        async with engine_for_command() as engine:
            return await keep_facts(engine, settings, _directory(settings)).verify()

    cases, apart = asyncio.run(run())
    if not apart:
        if not quiet:
            say(t("facts.cli.equal", cases=f"{cases:,}"))
        return
    for key, ours, theirs in apart[:_SHOWN]:
        say(t("facts.cli.apart", key=key, ours=ours, theirs=theirs), to_error=True)
    fail(t("facts.cli.unequal", count=f"{len(apart):,}"))

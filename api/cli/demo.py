"""`gridward demo`: load the demo district, and keep reporting new cases to a running server."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy import update

from api.accounts.keys import create_key
from api.accounts.tables import ApiKeyRow
from api.cli.context import engine_for_command
from api.cli.speech import say, t
from api.demo.cases import CHANNELS
from api.demo.geometry import DEFAULT_SEED
from api.demo.load import load_demo
from api.demo.streaming import Answer, new_reports, parse_rate, send_reports
from geo.storage.uow import write_unit

app = typer.Typer(no_args_is_help=True)


@app.command("load", help=t("demo.command.load"))
def load(
    seed: Annotated[int, typer.Option("--seed", help=t("demo.option.seed"))] = DEFAULT_SEED,
) -> None:
    """Load the demo district with a year of cases; a complete demo is left as it is."""

    async def run() -> None:
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), transient=True
        ) as bar:
            tasks: dict[str, TaskID] = {}

            def tell(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    tasks[step] = bar.add_task(t(f"demo.step.{step}"), total=total)
                bar.update(tasks[step], completed=done, total=total)

            async with engine_for_command() as engine:
                found = await load_demo(engine, seed=seed, progress=tell)
        say(
            t(
                "demo.loaded" if found.is_new else "demo.already_there",
                cells=f"{found.cells:,}",
                cases=f"{found.cases:,}",
                open=f"{found.open_cases:,}",
                seconds=f"{found.took_s:.1f}",
            )
        )

    asyncio.run(run())


@app.command("stream", help=t("demo.command.stream"))
def stream(
    rate: Annotated[str, typer.Option("--rate", help=t("demo.option.rate"))] = "30/min",
    url: Annotated[str, typer.Option("--url", help=t("demo.option.url"))] = "http://127.0.0.1:8311",
    key: Annotated[str, typer.Option("--key", help=t("demo.option.key"))] = "",
    count: Annotated[int | None, typer.Option("--count", min=1, help=t("demo.option.count"))] = None,
) -> None:
    """Keep reporting believable new cases until Ctrl-C."""
    per_minute = parse_rate(rate)
    try:
        refused = asyncio.run(_stream(url=url, key=key, per_minute=per_minute, count=count))
    except KeyboardInterrupt:
        # Ctrl-C is how one ends it; the keys were revoked on the way out.
        say(t("demo.stream.stopped"))
        return
    if refused:
        raise typer.Exit(1)


async def _stream(*, url: str, key: str, per_minute: float, count: int | None) -> int:
    reports = new_reports(seed=secrets.randbelow(1 << 31), at=datetime.now(UTC))
    refused = 0
    async with _keys(key) as keys:
        say(t("demo.stream.started", url=url, rate=f"{per_minute:g}"))
        async for answer in send_reports(reports, url=url, keys=keys, per_minute=per_minute, count=count):
            refused += answer.status not in (200, 201)
            say(_line(answer))
    return refused


@contextlib.asynccontextmanager
async def _keys(key: str) -> AsyncIterator[dict[str, str]]:
    """Give the keys to report with: the one given, or one for each demo channel, revoked afterwards."""
    if key:
        yield {"*": key}
        return
    async with engine_for_command() as engine:
        async with write_unit(engine) as unit:
            keys: dict[str, str] = {c[0]: await create_key(unit, c[0]) for c in CHANNELS}
        try:
            yield keys
        finally:
            async with write_unit(engine) as unit:
                await unit.connection.execute(
                    update(ApiKeyRow)
                    .where(ApiKeyRow.prefix.in_([text.split("_")[1] for text in keys.values()]))
                    .values(revoked_at=datetime.now(UTC))
                )


def _line(answer: Answer) -> str:
    body, reply = answer.report.body, answer.reply
    if answer.status not in (200, 201):
        return t(
            "demo.stream.refused",
            ticket=body["ticket"],
            status=answer.status or "–",
            detail=reply.get("detail", ""),
        )
    chain = reply.get("chain") or []
    place = chain[-1]["name"] if chain else t("demo.stream.out_of_grid")
    return t("demo.stream.sent", case=reply.get("case", ""), place=place, text=body["text"])

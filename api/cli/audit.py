"""`gridward audit`: check the trail, write its head down, read it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from api.audit.trail import Finding, Head, find_head, list_records, verify
from api.cli.context import engine_for_command
from api.cli.data_dir import resolve_data_dir
from api.cli.speech import fail, say, t
from api.retention import parse_head, read_heads
from dispatch.storage.references import Dangling, find_dangling
from geo.storage.uow import read_unit

app = typer.Typer(no_args_is_help=True)


@app.command("verify", help=t("audit.cli.verify"))
def check(
    head: Annotated[list[str] | None, typer.Option("--head", help=t("audit.cli.head_option"))] = None,
) -> None:
    """Check every record; exit code 1 and the first broken place when the trail is not whole."""
    known = read_heads(resolve_data_dir())
    for text in head or []:
        given = parse_head(text)
        if given is None:
            fail(t("audit.cli.bad_head", head=text[:100]))
        else:
            known.append(given)

    async def run() -> tuple[int, Finding | None, Head | None]:
        async with engine_for_command() as engine, read_unit(engine, snapshot=True) as unit:
            return *await verify(unit, known), await find_head(unit)

    sound, finding, newest = asyncio.run(run())
    if finding is not None:
        fail(t(f"audit.broken.{finding.code}", number=finding.number))
    say(t("audit.cli.whole", count=sound, head=str(newest) if newest else "0"))


@app.command("head", help=t("audit.cli.head"))
def head_() -> None:
    """Print the head, for keeping elsewhere."""

    async def run() -> Head | None:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await find_head(unit)

    newest = asyncio.run(run())
    typer.echo(str(newest) if newest else f"0:{'0' * 64}")


@app.command("list", help=t("audit.cli.list"))
def list_(
    kind: Annotated[str | None, typer.Option("--kind", help=t("audit.cli.kind"))] = None,
    actor: Annotated[str | None, typer.Option("--actor", help=t("audit.cli.actor"))] = None,
    subject: Annotated[str | None, typer.Option("--subject", help=t("audit.cli.subject"))] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help=t("audit.cli.limit"))] = 50,
) -> None:
    """Print records, the newest first; one JSON-like line each, the detail last."""

    async def run() -> Any:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await list_records(unit, kind=kind, actor=actor, subject=subject, limit=limit)

    for row in asyncio.run(run()):
        typer.echo(f"{row['content']}  {bytes(row['digest']).hex()[:16]}")


@app.command("references", help=t("audit.cli.references"))
def references() -> None:
    """Prove that every case, event and outbox row refers to what is there; exit code 1 when one does not."""

    async def run() -> tuple[int, list[Dangling]]:
        async with engine_for_command() as engine, read_unit(engine, snapshot=True) as unit:
            return await find_dangling(unit)

    keys, broken = asyncio.run(run())
    if not broken:
        say(t("audit.cli.referring", count=keys))
        return
    for each in broken:
        say(t("audit.cli.dangling", key=each.key, count=f"{each.rows:,}"), to_error=True)
    fail(t("audit.cli.not_referring", count=len(broken)))

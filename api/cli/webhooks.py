"""`gridward webhooks`: make, list and test webhooks."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from api.audit.trail import Kind, record
from api.cli.context import engine_for_command
from api.cli.speech import fail, say, t
from api.settings import Settings
from api.webhooks import store
from api.webhooks.addresses import parse_networks
from api.webhooks.messages import TEST_TYPE
from api.webhooks.targets import parse_target
from dispatch.feed import feed_end
from geo.errors import BadInputError
from geo.storage.uow import read_unit, write_unit

app = typer.Typer(no_args_is_help=True)

_WAIT_S = 30


@app.command("create", help=t("webhook.cli.create"))
def create(
    url: Annotated[str, typer.Argument(help=t("webhook.cli.url"))],
    kinds: Annotated[list[str] | None, typer.Option("--type", help=t("webhook.cli.type"))] = None,
    channel: Annotated[str | None, typer.Option("--channel", help=t("webhook.cli.channel"))] = None,
) -> None:
    """Make a webhook and print its secret once."""
    parse_target(url, parse_networks(Settings().webhook_networks))

    async def run() -> tuple[int, str]:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            if channel is not None and not await store.has_channel(unit, channel):
                raise BadInputError("webhook.unknown_channel", channel=channel)
            after = await feed_end(unit)
            made = await store.create_webhook(
                unit, url=url, channel=channel, types=kinds or [], description="", after=after
            )
            # The address may have a secret in it; the host tells enough.
            await record(unit, Kind.SETTINGS_CHANGED, f"webhooks create {made[0]}", host=urlsplit(url).hostname or "")
            return made

    number, secret = asyncio.run(run())
    say(t("webhook.cli.made", id=number, url=url), to_error=True)
    say(secret)


@app.command("list", help=t("webhook.cli.list"))
def list_() -> None:
    """List webhooks with their state."""

    async def run() -> list[dict[str, Any]]:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await store.list_webhooks(unit)

    rows = asyncio.run(run())
    for row in rows:
        shown = {name: row[name] for name in ("id", "state", "url", "failures")}
        say(t("webhook.cli.row", **shown, channel=row["channel"] or "*"))
    if not rows:
        say(t("webhook.cli.none"))


@app.command("test", help=t("webhook.cli.test"))
def test(webhook: Annotated[int, typer.Argument(min=1, help=t("webhook.cli.id"))]) -> None:
    """Send a test through the worker and print what came of it."""

    async def run() -> dict[str, Any] | None:
        async with engine_for_command() as engine:
            async with write_unit(engine) as unit:
                await store.get_webhook(unit, webhook)
                number = await store.queue_by_hand(unit, webhook, kind="test", type_=TEST_TYPE, event_id=None)
                await record(unit, Kind.SETTINGS_CHANGED, f"webhooks test {webhook}")
            until = time.monotonic() + _WAIT_S
            while time.monotonic() < until:
                async with read_unit(engine) as reading:
                    row = await store.get_delivery(reading, webhook, number)
                if row["state"] != "waiting":
                    return row
                await asyncio.sleep(0.3)
        return None

    row = asyncio.run(run())
    if row is None:
        fail(t("webhook.cli.no_worker", seconds=_WAIT_S))
    if row["state"] == "failed":
        fail(t("webhook.cli.failed", why=row["error"] or row["status"], ms=row["duration_ms"]))
    say(t("webhook.cli.delivered", status=row["status"], ms=row["duration_ms"]))

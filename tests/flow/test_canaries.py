"""A thousand reporters with names and numbers of their own, looked for in everything that leaves the service."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.cli.logs import configure_logs
from api.settings import Settings
from api.webhooks.store import create_webhook
from bench.canaries import COUNT, canary, hits, hostile_reports, listening, sweep
from dispatch.feed import parse_cursor
from geo.storage.uow import write_unit
from tests.builders import INSIDE
from tests.flow.conftest import Client
from tests.flow.test_stream import serving
from tests.flow.webhook_receiver import work

WHERE: Final = {"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84"}


async def first(lines: AsyncIterator[str], most: int) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        most -= 1
        if most == 0:
            return


@pytest.fixture
def logged() -> Any:
    """Catch what the service would write to its log, through the log's own configuration."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logs(Settings(log_format="json", log_level="debug"))
    said = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(said)
    # A server that another test ran in this process may have given it a voice of its own; ours never does.
    servers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")]
    for server in servers:
        server.handlers.clear()
        server.propagate = True
    yield said
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


# All cases in one cell: statistics of a single value are not what is looked at here.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
async def test_a_thousand_reporters_are_nowhere_to_be_found(
    client: Client, engine: AsyncEngine, database: str, logged: io.StringIO
) -> None:
    answer = await client.post(
        "/v1/reports:batch", json={"reports": [canary(number) | WHERE for number in range(COUNT)]}
    )
    assert answer.json()["taken"] == COUNT, answer.text[:500]
    assert hits(answer.content) == []
    async with engine.connect() as connection:
        kept = (await connection.execute(text("SELECT count(*) FROM reporter.identity"))).scalar_one()
        ref = (await connection.execute(text("SELECT min(ref) FROM dispatch.dispatch_case"))).scalar_one()
    assert kept == COUNT

    logging.getLogger("uvicorn.error").error("failed for %s", canary(7)["text"])
    structlog.get_logger("test").warning("odd", phone="13975310007", words=canary(8)["text"], reporter=canary(9))
    for name, sent in hostile_reports(canary(1) | WHERE):
        refused = await client.post("/v1/reports", **sent)
        assert refused.status_code == 422, name
        assert hits(refused.content) == [], name
    asked, told = await sweep(client, ref)
    assert told == []
    assert asked > 180

    # What goes out by itself: the live stream from the first event on, and webhooks as their receiver gets them.
    late = (await client.get(f"/v1/events?limit={COUNT - 40}")).json()["next"]
    async with listening() as heard, serving(database) as url:
        async with write_unit(engine) as unit:
            after = parse_cursor(late)
            await create_webhook(unit, url=heard.url, channel=None, types=[], description="", after=after)
        await work(engine, turns=80)
        headers = dict(client.headers) | {"Last-Event-ID": "0-0"}
        async with (
            httpx.AsyncClient(base_url=url, timeout=30) as watching,
            watching.stream("GET", "/v1/stream", headers=headers) as stream,
        ):
            streamed = [line async for line in first(stream.aiter_lines(), 3 * COUNT)]
    assert len(heard.messages) >= 40
    assert [hits(message) for message in heard.messages if hits(message)] == []
    assert sum(line.startswith("data") for line in streamed) > COUNT / 2
    assert hits("\n".join(streamed)) == []

    assert hits(logged.getvalue()) == []
    assert "139****0007" in logged.getvalue()
    async with engine.connect() as connection:
        for table in ("dispatch.case_event", "dispatch.outbox", "audit.record", "api.idempotency_key"):
            rows = await connection.execute(text(f"SELECT t::text FROM {table} AS t"))
            assert [row[0] for row in rows if hits(row[0])] == [], table
        sealed = await connection.execute(text("SELECT t::text FROM reporter.identity AS t"))
        assert [row[0] for row in sealed if hits(row[0])] == []

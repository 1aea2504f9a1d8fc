"""A thousand reporters with names and numbers of their own, looked for in everything that leaves the service."""

from __future__ import annotations

import io
import logging
import re
from typing import Any, Final
from urllib.parse import quote

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.cli.logs import configure_logs
from api.settings import Settings
from tests.builders import report
from tests.flow.conftest import Client

COUNT: Final = 1000
#: A character and digits that nothing else in the tests has. Masks show the first character and the ends of a number.
SECRET: Final = re.compile(r"龘|1975310|(?:%E9%BE%98)|\\u9f98", re.IGNORECASE)
NAME: Final = "麤龘{:04d}"
PHONE: Final = "139 7531 {:04d}"
_FILLED: Final = {"level": "3", "tms": "WebMercatorQuad", "z": "0", "x": "0", "y": "0", "collection": "cases"}


def canary(number: int) -> dict[str, Any]:
    name, phone = NAME.format(number), f"1397531{number:04d}"
    # Callers say their number in the middle of a sentence as well, and hotlines write it down.
    return report(
        ticket=f"C-{number}",
        text=f"井盖缺失，联系电话{phone}",
        address=f"桐柏路{number}号 {phone[:3]}-{phone[3:7]}-{phone[7:]}",
        reporter={"name": name, "phone": PHONE.format(number), "email": f"a龘{number}@mail.example", "follow_up": True},
    )


def hits(words: str | bytes) -> list[str]:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    # The number in groups is the number all the same.
    return SECRET.findall(said) + SECRET.findall(re.sub(r"(?<=\d)[ -](?=\d)", "", said))


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
    client: Client, engine: AsyncEngine, logged: io.StringIO
) -> None:
    answer = await client.post("/v1/reports:batch", json={"reports": [canary(number) for number in range(COUNT)]})
    assert answer.json()["taken"] == COUNT, answer.text[:500]
    assert hits(answer.content) == []
    async with engine.connect() as connection:
        kept = (await connection.execute(text("SELECT count(*) FROM reporter.identity"))).scalar_one()
        ref = (await connection.execute(text("SELECT min(ref) FROM dispatch.dispatch_case"))).scalar_one()
    assert kept == COUNT

    logging.getLogger("uvicorn.error").error("failed for %s", canary(7)["text"])
    structlog.get_logger("test").warning("odd", phone="13975310007", words=canary(8)["text"], reporter=canary(9))
    refused = [
        await client.post("/v1/reports", json=canary(1) | {"category": "nope", "lon": 999.0}),
        await client.post("/v1/reports", json=canary(1) | {"reporter": {"phone": "x13975310001", "email": "龘"}}),
        await client.post("/v1/reports", json=canary(1) | {"reporter": {"name": ["麤龘"], "other": "13975310001"}}),
        await client.post("/v1/reports", content=b'{"reporter": {"phone": "13975310001", '),
    ]
    assert [one.status_code for one in refused] == [422] * 4
    assert [hits(one.content) for one in refused] == [[], [], [], []]

    leaks, asked = [], 0
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        # A case's own panel shows its words as they were said; everything else masks what is in them.
        if "get" not in operations or path in {"/v1/cases/{ref}", "/v1/stream"} or "reveal" in path:
            continue
        filled = re.sub(
            r"\{(\w+)\}",
            lambda m: (
                ref if m.group(1) in {"ref", "id", "feature", "service_request_id"} else _FILLED.get(m.group(1), "1")
            ),
            path,
        )
        found = await client.get(filled + "?limit=200")
        asked += 1
        if hits(found.content) or hits(str(found.headers)):
            leaks.append((filled, hits(found.content)[:1]))
    for path in (
        f"/v1/cases?q={quote('井盖')}&limit=200",
        "/v1/cases.csv",
        "/v1/cases.xlsx",
        "/v1/cases.geojson",
        "/v1/events?limit=500",
        "/v1/audit?limit=500",
        "/open311/v2/requests.xml",
        "/open311/v2/requests.json?extensions=true",
        "/",
        f"/cases/{ref}/brief",
        "/metrics",
    ):
        found = await client.get(path)
        asked += 1
        if hits(found.content):
            leaks.append((path, hits(found.content)[:1]))
    assert leaks == []
    assert asked > 90

    assert hits(logged.getvalue()) == []
    assert "139****0007" in logged.getvalue()
    async with engine.connect() as connection:
        for table in ("dispatch.case_event", "dispatch.outbox", "audit.record", "api.idempotency_key"):
            rows = await connection.execute(text(f"SELECT t::text FROM {table} AS t"))
            assert [row[0] for row in rows if hits(row[0])] == [], table
        sealed = await connection.execute(text("SELECT t::text FROM reporter.identity AS t"))
        assert [row[0] for row in sealed if hits(row[0])] == []

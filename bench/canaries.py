"""Reporters whose names and numbers nothing else has, looked for in everything that leaves a running service.

A server and a worker in processes of their own, at their most talkative log level; a live stream, a webhook that is
delivered to a real receiver, every address that is read as a document, page, file, tile or error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import psycopg

from api.accounts.keys import create_key
from api.accounts.roles import Scope
from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench._raw_http import Stream
from bench.fuzz import serving
from bench.profile import Profile
from bench.report import Result
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit

__all__ = ["COUNT", "canary", "hits", "hostile_reports", "listening", "sweep"]

COUNT: Final = 1000
#: A character and digits that nothing else has. Masks show the first character of a name and the ends of a number.
_SECRET: Final = re.compile(r"龘|1975310|%E9%BE%98|\\u9f98|&#(?:40856|x9f98);", re.IGNORECASE)
_GAP: Final = re.compile(r"(?<=\d)[ -](?=\d)")
_ROOT: Final = Path(__file__).resolve().parents[1]
_FILLED: Final = {"level": "3", "tms": "WebMercatorQuad", "z": "0", "x": "0", "y": "0", "collection": "cases"}
_DAYS: Final = "from=2020-01-01&to=2029-01-01"
_KINDS: Final = ("heat", "cells", "time", "compare", "places")
#: Beside the operations of the document: pages, files, frames of maps, tiles, and errors as a browser gets them.
_MORE: Final = (
    "/",
    "/field",
    "/wall",
    "/grid",
    "/worker",
    "/account",
    "/sign-in",
    "/metrics",
    "/v1/cases.csv",
    "/v1/cases.xlsx",
    "/v1/cases.geojson",
    f"/v1/cases?q={quote('井盖')}&limit=200",
    "/v1/events?limit=500",
    "/v1/audit?limit=500",
    "/open311/v2/requests.xml",
    "/open311/v2/requests.json?extensions=true",
    "/open311/discovery.xml",
    "/tiles/cells.json",
    *(f"/tiles/cells/{z}/{x}/{y}" for z, x, y in ((0, 0, 0), (8, 208, 101), (12, 3341, 1626), (15, 26729, 13011))),
    *(f"/maps/{kind}{what}?{_DAYS}" for kind in _KINDS for what in ("", "/frame")),
    *(f"/maps/{kind}/file?form={form}&{_DAYS}" for kind in _KINDS for form in ("csv", "geojson", "xlsx")),
    f"/maps/heat/file?form=bins&{_DAYS}",
    f"/maps/cases?{_DAYS}",
    f"/maps/rates?{_DAYS}",
    f"/maps/rates/cases?rate=solved&{_DAYS}",
    f"/maps/rates/file?form=csv&{_DAYS}",
    "/maps/rates/printed",
    "/maps/bulletin",
    "/maps/heat?from=nonsense",
    "/maps/nonsense",
    "/nowhere",
    "/v1/cases/20200101-0000001",
    "/v1/cases?status=nonsense&limit=-1",
)


def canary(number: int) -> dict[str, Any]:
    """A report whose reporter can be told from everything else; its words hold the number as well."""
    phone = f"1397531{number:04d}"
    # Callers say their number in the middle of a sentence as well, and hotlines write it down.
    return {
        "ticket": f"C-{number}",
        "category": "E0110",
        "text": f"井盖缺失，联系电话{phone}",
        "address": f"桐柏路{number}号 {phone[:3]}-{phone[3:7]}-{phone[7:]}",
        "reporter": {
            "name": f"麤龘{number:04d}",
            "phone": f"139 7531 {number:04d}",
            "email": f"a龘{number}@mail.example",
            "follow_up": True,
        },
    }


def hits(words: str | bytes) -> list[str]:
    """What of a canary is in an answer; a number in groups is the number all the same."""
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return _SECRET.findall(said) + _SECRET.findall(_GAP.sub("", said))


def hostile_reports(good: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Requests that are refused and would like to be quoted in the refusal: name of the fault, how to send it."""
    return [
        ("position", {"json": {**good, "category": "nope", "lon": 999.0}}),
        ("reporter", {"json": {**good, "reporter": {"phone": "x13975310001", "email": "龘"}}}),
        ("shape", {"json": {**good, "reporter": {"name": ["麤龘"], "other": "13975310001"}}}),
        ("cut off", {"content": b'{"reporter": {"phone": "13975310001", '}),
        ("number", {"content": b'{"reporter": {"phone": 13975310001, "name": "\xe9\xbe\x98"}, "lon": NaN}'}),
    ]


async def sweep(client: httpx.AsyncClient, ref: str) -> tuple[int, list[tuple[str, list[str]]]]:
    """Ask for everything that can be read, as a program and as a browser; how much was asked, and what told.

    A case's own panel shows its words as they were said, and unmasking is what it is for: these two are left out.
    """
    paths = [*_MORE, f"/cases/{ref}/brief", f"/v1/cases/{ref}/brief", f"/open311/v2/requests/{ref}.xml"]
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        if "get" not in operations or path in {"/v1/cases/{ref}", "/v1/stream"} or "reveal" in path:
            continue
        filled = re.sub(
            r"\{(\w+)\}",
            lambda m: ref if m[1] in {"ref", "id", "feature", "service_request_id"} else _FILLED.get(m[1], "1"),
            path,
        )
        paths.append(f"{filled}?limit=200")
    asked, told = 0, []
    for path in paths:
        for accept in ("application/json", "text/html") if path in _MORE else ("*/*",):
            answer = await client.get(path, headers={"Accept": accept})
            asked += 1
            if found := hits(answer.content) + hits(str(answer.headers)):
                told.append((path, found[:1]))
            if answer.status_code >= 500 and answer.status_code != 503:
                told.append((path, [str(answer.status_code)]))
    return asked, told


@dataclass(slots=True)
class Heard:
    """Everything that a receiver of webhooks was sent, headers and all."""

    url: str = ""
    messages: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def listening() -> AsyncIterator[Heard]:
    """Receive webhooks on loopback and take every one."""
    heard = Heard()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            heard.messages.append(head + await reader.readexactly(int(length[1]) if length else 0))
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    heard.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield heard
    finally:
        server.close()


@benchmark
def canaries(profile: Profile) -> Iterator[Result]:
    """0 of 1,000 seeded names and numbers in streams, webhooks, answers, pages, tiles, files, errors and logs."""
    count = COUNT if profile.full else 150
    with profile.cluster() as cluster, tempfile.TemporaryDirectory() as logs:
        cluster.create_database("bench")
        url = cluster.url("bench")
        key = asyncio.run(_prepare(url, profile))
        said = Path(logs)
        more = {"GRIDWARD_WEBHOOK_NETWORKS": "127.0.0.0/8", "GRIDWARD_LOG_LEVEL": "debug"}
        with serving(url, log=said / "server.log", **more) as address, _working(url, said / "worker.log", more):
            asked, told, heard = asyncio.run(_listen_and_look(address, key, count, url))
        for log in sorted(said.iterdir()):
            found = hits(log.read_bytes())
            told += [(log.name, found[:1])] * bool(found)
        lines = sum(len(log.read_bytes().splitlines()) for log in said.iterdir())
        with psycopg.connect(dsn(url)) as connection:
            kept = connection.execute("SELECT count(*) FROM reporter.identity WHERE sealed IS NOT NULL").fetchone()
    for place, words in told[:20]:
        print("   ", place, *words)
    note = f"{asked} answers, {heard[0]} events on the stream, {heard[1]} deliveries, {lines} lines of log"
    yield Result.none_of("canaries-told", len(told), count, note=note)
    yield Result.none_of("canaries-not-kept", count - (kept[0] if kept else 0), count, note="sealed in their store")
    yield Result.none_of("canaries-not-heard", 2 * count - min(heard[0], count) - min(heard[1], count), 2 * count)


async def _prepare(url: str, profile: Profile) -> str:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    try:
        await load_demo(engine, seed=profile.seed, scale=0.01)
        async with write_unit(engine) as unit:
            return await create_key(unit, "canaries", tuple(Scope))
    finally:
        await engine.dispose()


@contextmanager
def _working(url: str, log: Path, more: Mapping[str, str]) -> Iterator[None]:
    """The worker in a process of its own; what `gridward worker` runs, but for the look at the cluster."""
    start = (
        "import asyncio; from api.cli.logs import configure_logs; from api.cli.serving import _work;"
        "from api.settings import Settings; settings = Settings(); configure_logs(settings);"
        "asyncio.run(_work(settings.database_url, settings))"
    )
    environment = os.environ | {"GRIDWARD_DATABASE_URL": url} | dict(more)
    with log.open("wb") as out:
        worker = subprocess.Popen([sys.executable, "-c", start], cwd=_ROOT, env=environment, stderr=out, stdout=out)
        try:
            yield
        finally:
            worker.terminate()
            worker.wait(timeout=30)


async def _listen_and_look(
    address: str, key: str, count: int, url: str
) -> tuple[int, list[tuple[str, list[str]]], tuple[int, int]]:
    headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}
    stream = await Stream.open(int(address.rpartition(":")[2]), key)
    streamed = bytearray()

    async def follow() -> None:
        while piece := await stream.reader.read(65536):
            streamed.extend(piece)

    following = asyncio.create_task(follow())
    told: list[tuple[str, list[str]]] = []
    async with listening() as heard, httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
        await client.post("/v1/webhooks", json={"url": heard.url})
        place = (await client.get("/v1/cases?limit=1")).json()["cases"][0]
        where = {"lon": place["location"]["lon"], "lat": place["location"]["lat"], "coord_sys": "wgs84"}
        ref = ""
        for first in range(0, count, 50):
            batch = [canary(number) | where for number in range(first, min(first + 50, count))]
            answer = await client.post("/v1/reports:batch", json={"reports": batch})
            if answer.status_code != 200 or answer.json()["taken"] != len(batch):
                raise RuntimeError(answer.text[:500])
            told += [("batch", hits(answer.content))] * bool(hits(answer.content))
            ref = ref or answer.json()["results"][0]["receipt"]["case"]
        for name, sent in hostile_reports(canary(1) | where):
            refused = await client.post("/v1/reports", **sent)
            told += [(name, [str(refused.status_code)])] * bool(refused.status_code != 422 or hits(refused.content))
        # Whoever looks for a person by a word has it in the address; no log may keep it.
        for words in (canary(3)["reporter"]["name"], "13975310003"):
            await client.get("/v1/cases", params={"q": words})
            await client.get(f"/v1/cases/{quote(words)}")
        asked, found = await sweep(client, ref)
        told += found
        for _ in range(300):
            if len(heard.messages) >= count and streamed.count(b"\nid: ") >= count:
                break
            await asyncio.sleep(0.2)
        told += [("a delivery", hits(message)[:1]) for message in heard.messages if hits(message)]
    told += [("the stream", hits(bytes(streamed))[:1])] * bool(hits(bytes(streamed)))
    following.cancel()
    stream.close()
    return asked, told, (streamed.count(b"\nid: "), len(heard.messages))

"""What is sent without being asked for: live streams and webhooks of every asker, while reports and moves happen."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from fastapi import FastAPI

from api.settings import Settings
from api.webhooks.duty import webhook_lanes
from bench._access_world import Asker, Case, read_cases
from bench.canaries import listening
from geo.storage.engine import create_engine
from geo.storage.uow import read_unit

__all__ = ["NETWORKS", "Followed", "follow_all"]

NETWORKS: Final = "127.0.0.0/8"
_REF: Final = re.compile(rb"\b\d{8}-\d{7}\b")
_CASE: Final = re.compile(rb'"case":"(\d{8}-\d{7})"')
_PATIENCE_S: Final = 20.0


@dataclass(slots=True)
class Followed:
    """What was told, judged. ``missed``: events in sight that did not come."""

    told: int = 0
    leaks: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


class _Stream:
    """A live stream of the application in this process."""

    def __init__(self, app: FastAPI, asker: Asker) -> None:
        self.asker = asker
        self.status = 0
        self.asked = False
        self.heard = bytearray()
        self.began = asyncio.Event()
        headers = [(name.lower().encode(), value.encode()) for name, value in asker.headers.items()]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/v1/stream", "raw_path": b"/v1/stream", "query_string": b"", "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.heard += message.get("body", b"")
        if message.get("body"):
            self.began.set()


async def follow_all(
    app: FastAPI, client: httpx.AsyncClient, url: str, askers: Sequence[Asker], desk: Asker, *, acts: int, seed: int
) -> Followed:
    """Open everybody's stream and webhook, let things happen, and judge what they were told.

    Parameters
    ----------
    desk
        A key that reports and moves everywhere.
    """
    result, rng = Followed(), random.Random(seed)
    streams = [_Stream(app, asker) for asker in askers]
    engine = create_engine(url, pool_size=3, statement_timeout_s=0, name="bench")
    try:
        await asyncio.gather(*(asyncio.wait_for(stream.began.wait(), _PATIENCE_S) for stream in streams))
        async with listening() as heard:
            hooks: dict[str, Asker] = {}
            for asker in askers:
                body = {"url": f"{heard.url}/{len(hooks)}"}
                made = await client.post("/v1/webhooks", json=body, headers=asker.headers)
                if made.status_code == 201:
                    hooks[f"/hook/{len(hooks)}"] = asker
            happened = await _act(client, desk, rng, acts)
            async with read_unit(engine) as unit:
                cases = {case.ref: case for case in await read_cases(unit)}
            await _settled(streams, cases, happened)
            lanes = webhook_lanes(engine, Settings(database_url=url, webhook_networks=NETWORKS))
            while await lanes[0].run_once(asyncio.Event()):
                pass
            sent: dict[str, set[str]] = {path: set() for path in hooks}
            for message in heard.messages:
                path = message.split(b" ", 2)[1].decode()
                sent[path] |= {ref.decode() for ref in _REF.findall(message)}
    finally:
        for stream in streams:
            stream.task.cancel()
        await asyncio.gather(*(stream.task for stream in streams), return_exceptions=True)
        await engine.dispose()
    for stream in streams:
        refs = {ref.decode() for ref in _REF.findall(bytes(stream.heard))}
        _judge(result, stream.asker, refs, cases, happened if stream.status == 200 else set(), "stream")
    for path, asker in hooks.items():
        _judge(result, asker, sent[path], cases, happened, "webhook")
    return result


async def _act(client: httpx.AsyncClient, desk: Asker, rng: random.Random, acts: int) -> set[str]:
    """Half reports, half urging: of cases that departments and legs own already."""
    page = await client.get("/v1/cases?status=open&limit=1000", headers=desk.headers)
    shown = [case for case in page.json()["cases"] if case["location"]]
    happened = set()
    for number in range(acts):
        case = rng.choice(shown)
        if number % 2:
            at = {"lon": case["location"]["lon"], "lat": case["location"]["lat"], "coord_sys": "wgs84"}
            report = {"ticket": f"follow-{number}", "text": "x", "category": case["category"]["code"], **at}
            answer = await client.post("/v1/reports", json=report, headers=desk.headers)
        else:
            path = f"/v1/cases/{case['case']}"
            tag = (await client.get(path, headers=desk.headers)).headers["etag"]
            urge = {"move": "urge", "note": "x"}
            answer = await client.post(f"{path}/moves", json=urge, headers=desk.headers | {"If-Match": tag})
        if answer.status_code >= 500:
            raise RuntimeError(answer.text)
        if answer.status_code in (200, 201):
            happened.add(answer.json()["case"])
    return happened


async def _settled(streams: Sequence[_Stream], cases: dict[str, Case], happened: set[str]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            for stream in streams:
                due = {ref.encode() for ref in happened if stream.asker.sees(cases[ref])}
                while stream.status == 200 and not due <= set(_CASE.findall(bytes(stream.heard))):
                    await asyncio.sleep(0.1)


def _judge(
    result: Followed, asker: Asker, refs: set[str], cases: dict[str, Case], happened: set[str], what: str
) -> None:
    result.told += len(refs)
    result.leaks += [f"{asker.name}: a {what} tells of {ref}" for ref in refs if not asker.sees(cases[ref])]
    due = {ref for ref in happened if asker.sees(cases[ref])}
    result.missed += [f"{asker.name}: a {what} does not tell of {ref}" for ref in due - refs]

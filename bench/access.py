"""Nobody sees or moves what is not theirs: random (user, object, verb) over every exit, judged by an oracle."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import orjson
from fastapi import FastAPI

from api.app import create_app
from api.demo.load import load_demo
from api.migrations import upgrade
from api.settings import Settings
from bench import benchmark
from bench._access_following import NETWORKS, Followed, follow_all
from bench._access_world import Asker, Case, World, build_world
from bench.profile import Profile
from bench.report import Result
from dispatch.workflow import Move
from geo.storage.engine import create_engine

__all__ = ["AccessFigures", "ask_everything"]

_REF: Final = re.compile(r"\b\d{8}-\d{7}\b")
_HOST: Final = "http://127.0.0.1:8311"
_AT_ONCE: Final = 6
_PATIENCE: Final = 5
#: Never asked: one waits for ever, the others tell of the service's health to anybody.
_NOT_ASKED: Final = frozenset({"/v1/stream", "/openapi.json", "/healthz", "/healthz/worker", "/readyz"})
_DAYS: Final = "from=2020-01-01&to=2029-01-01"
_KINDS: Final = ("heat", "cells", "time", "compare", "places")
#: Beside what the document names: pages, maps and their files.
_MORE: Final = (
    "/",
    "/field",
    "/wall",
    "/worker",
    "/ogc/collections/cases/items",
    f"/maps/cases?{_DAYS}",
    f"/maps/rates/cases?rate=solved&{_DAYS}",
    f"/v1/rates/solved/cases?{_DAYS}",
    *(f"/maps/{kind}{what}?{_DAYS}" for kind in _KINDS for what in ("", "/frame")),
    *(f"/maps/{kind}/file?form={form}&{_DAYS}" for kind in _KINDS for form in ("csv", "geojson")),
    *(f"/tiles/cells/{z}/{x}/{y}.mvt" for z, x, y in ((0, 0, 0), (12, 3341, 1626))),
)
#: Parameters that every list understands or ignores.
_QUERIES: Final = (
    "",
    "?limit=1000",
    "?status=open&limit=200",
    "?cell={cell}&limit=300",
    "?channel=12345&limit=100",
    "?format=csv",
    "?bbox=113.5,34.6,113.8,34.9&limit=400",
)


@dataclass(slots=True)
class AccessFigures:
    """What came of it. ``leaks`` and ``faults`` name the first of each kind."""

    asked: int = 0
    exits: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)
    refused_wrongly: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    followed: Followed = field(default_factory=Followed)


@dataclass(slots=True)
class _Asking:
    client: httpx.AsyncClient
    world: World
    by_ref: dict[str, Case]
    of_case: list[str]
    lists: list[str]
    figures: AccessFigures
    files: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def one(self, rng: random.Random) -> None:
        """Ask one random question."""
        asker, case = rng.choice(self.world.askers), rng.choice(self.world.cases)
        # Half of the objects are theirs: otherwise nearly all answers would be the easy one.
        if rng.random() < 0.5:
            case = next((rng_case for rng_case in rng.sample(self.world.cases, 60) if asker.sees(rng_case)), case)
        kind = rng.random()
        if kind < 0.35:
            await self._read(asker, case, rng.choice(self.of_case))
        elif kind < 0.6:
            await self._move(asker, case, rng.choice(list(Move)))
        elif kind < 0.65:
            await self._bulk(asker, rng.sample(self.world.cases, 5), rng.choice(list(Move)))
        elif kind < 0.68:
            await self._counts(asker)
        elif kind < 0.71:
            await self._totals(asker)
        elif kind < 0.74:
            await self._photo(asker, rng)
        elif kind < 0.77:
            await self._words(asker, case, rng)
        else:
            await self._list(asker, case, rng.choice(self.lists), rng)

    async def _ask(self, asker: Asker, method: str, url: str, **more: Any) -> httpx.Response:
        headers = asker.headers | {"Accept-Language": "en"} | more.pop("headers", {})
        answer = await self.client.request(method, url, headers=headers, **more)
        for _ in range(_PATIENCE):
            if answer.status_code != 503:
                break
            # A machine with too much to do says so, and to ask again is what it asks for.
            await asyncio.sleep(float(answer.headers["retry-after"]))
            answer = await self.client.request(method, url, headers=headers, **more)
        self.figures.asked += 1
        if answer.status_code >= 500:
            self.figures.faults.append(f"{answer.status_code} {method} {url}")
        return answer

    def _search(self, asker: Asker, answer: httpx.Response, what: str, *, but: set[str]) -> None:
        """Every case number in an answer must be of a case in sight."""
        for ref in set(_REF.findall(_unpacked(answer))) - but:
            case = self.by_ref.get(ref)
            if case is not None and not asker.sees(case):
                self.figures.leaks.append(f"{asker.name}: {what} tells of {ref}")

    async def _read(self, asker: Asker, case: Case, path: str) -> None:
        answer = await self._ask(asker, "GET", _filled(path, case))
        self.figures.exits.add(path)
        sees = asker.sees(case)
        if not sees and answer.status_code < 400:
            self.figures.leaks.append(f"{asker.name}: GET {path} of {case.ref}: {answer.status_code}")
        if not sees and "cases:read_all" in asker.scopes and answer.status_code not in {404, 405, 422}:
            self.figures.leaks.append(f"{asker.name}: GET {path} of {case.ref} is not 404: {answer.status_code}")
        if sees and "cases:read" in asker.scopes and path == "/v1/cases/{ref}" and answer.status_code != 200:
            self.figures.refused_wrongly.append(f"{asker.name}: GET {path} of {case.ref}: {answer.status_code}")
        self._search(asker, answer, path, but=set() if sees else {case.ref})

    async def _move(self, asker: Asker, case: Case, move: Move) -> None:
        answer = await self._ask(
            asker, "POST", f"/v1/cases/{case.ref}/moves", json={"move": move.value}, headers={"If-Match": '"999999"'}
        )
        self.figures.exits.add("POST /v1/cases/{ref}/moves")
        self._judge_move(asker, case, move, answer.status_code)
        self._search(asker, answer, "a move", but={case.ref})

    def _judge_move(self, asker: Asker, case: Case, move: Move, status: int) -> None:
        if "cases:move" not in asker.scopes:
            right = status == 403
        elif not asker.sees(case):
            right = status == 404
        elif not asker.may(case, move):
            right = status == 403
        else:
            if status in {401, 403, 404}:
                self.figures.refused_wrongly.append(f"{asker.name}: {move} of {case.ref}: {status}")
            return
        if not right:
            self.figures.leaks.append(f"{asker.name}: {move} of {case.ref}: {status}")

    async def _bulk(self, asker: Asker, cases: list[Case], move: Move) -> None:
        body = {"move": move.value, "cases": [{"case": case.ref, "version": 999999} for case in cases]}
        answer = await self._ask(asker, "POST", "/v1/cases/moves:bulk", json=body)
        self.figures.exits.add("POST /v1/cases/moves:bulk")
        if answer.status_code != 200:
            if answer.status_code == 403 and "cases:move" not in asker.scopes:
                return
            if answer.status_code < 500 and "cases:move" in asker.scopes:
                self.figures.refused_wrongly.append(f"{asker.name}: bulk {move}: {answer.status_code}")
            return
        for case, result in zip(cases, answer.json()["results"], strict=True):
            self._judge_move(asker, case, move, result["status"])

    async def _counts(self, asker: Asker) -> None:
        answer = await self._ask(asker, "GET", "/v1/inboxes")
        self.figures.exits.add("/v1/inboxes")
        if answer.status_code == 200:
            told, most = (
                answer.json()["counts"]["all"],
                sum(case.is_open for case in self.world.cases if asker.sees(case)),
            )
            if told > most:
                self.figures.leaks.append(f"{asker.name}: inboxes count {told} of {most}")
        elif "cases:read_all" in asker.scopes:
            self.figures.refused_wrongly.append(f"{asker.name}: inboxes: {answer.status_code}")

    async def _totals(self, asker: Asker) -> None:
        path = f"/v1/rates?by=total&rate=solved&{_DAYS}"
        answer = await self._ask(asker, "GET", path)
        self.figures.exits.add("/v1/rates")
        if answer.status_code == 200:
            told = answer.json()["total"]["rates"]["solved"]["denominator"] or 0
            # Whoever does not see the cases gets steps of five.
            most = sum(map(asker.counts, self.world.cases)) + 4
            if told > most:
                self.figures.leaks.append(f"{asker.name}: {path} counts {told} of {most}")
        elif "maps:read" in asker.scopes:
            self.figures.refused_wrongly.append(f"{asker.name}: {path}: {answer.status_code}")

    async def _photo(self, asker: Asker, rng: random.Random) -> None:
        photo, case = rng.choice(list(self.world.photos.items()))
        path = rng.choice(["/v1/photos/{photo}", "/open311/v2/media/{photo}.jpg"])
        answer = await self._ask(asker, "GET", path.format(photo=photo))
        self.figures.exits.add(path)
        if answer.status_code == 200 and not asker.sees(case):
            self.figures.leaks.append(f"{asker.name}: {path} of {case.ref}")
        if answer.status_code != 200 and asker.sees(case) and "cases:read" in asker.scopes:
            self.figures.refused_wrongly.append(f"{asker.name}: {path} of {case.ref}: {answer.status_code}")

    async def _words(self, asker: Asker, case: Case, rng: random.Random) -> None:
        """Search for a case, and ask the public door for it: its words are for those who see it."""
        if rng.random() < 0.5:
            answer = await self._ask(asker, "GET", f"/v1/cases?q={case.ref}")
            self.figures.exits.add("/v1/cases?q=")
            if answer.status_code == 200 and bool(answer.json()["cases"]) > asker.sees(case):
                self.figures.leaks.append(f"{asker.name}: a search finds {case.ref}")
            return
        path = "/open311/v2/requests/{ref}.json"
        answer = await self._ask(asker, "GET", _filled(path, case))
        self.figures.exits.add(path)
        if answer.status_code == 200 and answer.json()[0]["description"] and not asker.sees(case):
            self.figures.leaks.append(f"{asker.name}: {path} tells the words of {case.ref}")

    async def _list(self, asker: Asker, case: Case, path: str, rng: random.Random) -> None:
        cell = rng.choice(sorted(case.cells) or ["410102001"])
        query = "" if "?" in path else rng.choice(_QUERIES).format(cell=cell)
        accept = rng.choice(["application/json", "application/geo+json", "text/html", "text/csv"])
        # A process writes two whole lists as files at a time and sends others away.
        async with self.files if path.endswith((".csv", ".xlsx", ".geojson")) else contextlib.nullcontext():
            answer = await self._ask(asker, "GET", path + query, headers={"Accept": accept})
        self.figures.exits.add(path)
        self._search(asker, answer, path + query, but=set())
        if path.endswith("/collections/cases/items") and answer.status_code == 200:
            matched = orjson.loads(answer.content).get("numberMatched")
            if matched is not None and matched > sum(map(asker.sees, self.world.cases)):
                self.figures.leaks.append(f"{asker.name}: {path}{query} counts {matched}")


def _unpacked(answer: httpx.Response) -> str:
    """The words of an answer; those of a workbook lie in a zip."""
    if not answer.content.startswith(b"PK"):
        return answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        return "\n".join(book.read(name).decode("utf-8", "replace") for name in book.namelist())


def _filled(path: str, case: Case) -> str:
    return re.sub(r"\{(?:number|photo|leg)\}", "1", re.sub(r"\{(?:ref|case|feature)\}", case.ref, path))


def _exits(app: FastAPI, *, has_files: bool) -> tuple[list[str], list[str]]:
    """Every address that is read: those of one case, and those without any parameter."""
    of_case, lists = (
        ["/ogc/collections/cases/items/{feature}", "/cases/{ref}/brief"],
        list(_MORE) if has_files else ["/ogc/collections/cases/items", "/maps/heat", "/maps/heat/frame"],
    )
    for path, operations in app.openapi()["paths"].items():
        if "get" not in operations or path in _NOT_ASKED:
            continue
        names = set(re.findall(r"\{(\w+)\}", path))
        if "form" in names and path.startswith("/v1/"):
            forms = ("csv", "xlsx") if "rates" in path else ("csv", "xlsx", "geojson")
            lists += [path.format(form=form) for form in forms if has_files]
        elif names & {"ref", "case"} and names <= {"ref", "case", "number"}:
            of_case.append(path)
        elif not names:
            lists.append(path)
    return sorted(of_case), sorted(lists)


async def ask_everything(
    url: str, *, count: int, seed: int, people: int = 30, keys: int = 12, acts: int = 40, has_files: bool = True
) -> AccessFigures:
    """Ask random questions of a server over a database with the demo in it.

    Parameters
    ----------
    count
        Questions.
    acts
        Reports and moves that streams and webhooks tell of.
    has_files
        Ask for whole lists as files and for every map as well, which takes its time in a city's worth of cases.
    """
    figures = AccessFigures()
    engine = create_engine(url, pool_size=2, statement_timeout_s=0, name="bench")
    try:
        world = await build_world(engine, people=people, keys=keys, seed=seed)
    finally:
        await engine.dispose()
    # Signed in as people only: what this very machine may do without signing in is not the question.
    app = create_app(Settings(database_url=url, open_on_loopback=False, channel_rate="", webhook_networks=NETWORKS))
    of_case, lists = _exits(app, has_files=has_files)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=_HOST, timeout=60) as client,
    ):
        by_ref = {case.ref: case for case in world.cases}
        asking = _Asking(client, world, by_ref, of_case, lists, figures)
        begun = time.perf_counter()

        async def lane(number: int) -> None:
            rng = random.Random(f"{seed}-{number}")
            while figures.asked < count:
                await asking.one(rng)

        await asyncio.gather(*(lane(number) for number in range(_AT_ONCE)))
        figures.seconds = time.perf_counter() - begun
        figures.followed = await follow_all(app, client, url, world.askers, world.desk, acts=acts, seed=seed)
    return figures


@benchmark
def access(profile: Profile) -> Iterator[Result]:
    """0 leaks in 20,000 questions."""
    os.environ.setdefault("GRIDWARD_LOG_LEVEL", "error")
    with profile.cluster() as cluster:
        cluster.create_database("access")
        url = cluster.url("access")
        upgrade(url)

        async def prepared() -> None:
            engine = create_engine(url, pool_size=2, statement_timeout_s=0, name="bench")
            try:
                await load_demo(engine, scale=0.02)
            finally:
                await engine.dispose()

        asyncio.run(prepared())
        figures = asyncio.run(
            ask_everything(
                url, count=20_000 if profile.full else 1_500, seed=profile.seed, acts=400 if profile.full else 60
            )
        )
    for fault in [
        *figures.leaks,
        *figures.refused_wrongly,
        *figures.faults,
        *figures.followed.leaks,
        *figures.followed.missed,
    ][:20]:
        print("   ", fault)
    note = f"{figures.asked} questions over {len(figures.exits)} exits in {figures.seconds:.0f} s"
    yield Result.at_most("access.leaks", len(figures.leaks), "leaks", 0, note=note)
    told = f"{figures.followed.told} events to streams and webhooks"
    yield Result.at_most("access.told_wrongly", len(figures.followed.leaks), "leaks", 0, note=told)
    yield Result.at_most("access.not_told", len(figures.followed.missed), "events", 0)
    yield Result.at_most("access.refused_wrongly", len(figures.refused_wrongly), "refusals", 0)
    yield Result.at_most("access.faults", len(figures.faults), "answers ≥ 500", 0)

"""`GET /v1/locate?at=`: cell and person of any instant, past or to come, against an oracle that only looks at lists."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.grid_versions import activate, copy_cells, create_draft
from geo.storage.uow import write_unit
from tests.builders import CELLS, EAST, INSIDE, JURISDICTION, L1, LONG_AGO, WEST, cell_records, person_id
from tests.flow.conftest import Client
from tests.flow.test_version_guard import REDRAWN

_POSTS = "SELECT cell_code, rank, id FROM dispatch.post WHERE kind = 'grid_head'"
ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime.now(UTC).replace(microsecond=0)
END = NOW + timedelta(days=60)
WEST_PATH, EAST_PATH = [L1, WEST, f"{WEST}001"], [L1, EAST, f"{EAST}001"]
#: What INSIDE belongs to, version by version: redrawn twice in the past, undivided from next week on.
TIMELINE = [
    (LONG_AGO, 1, WEST_PATH),
    (NOW - timedelta(days=40), 2, EAST_PATH),
    (NOW - timedelta(days=10), 3, WEST_PATH),
    (NOW + timedelta(days=7), 4, [L1]),
]
Span = tuple[datetime, datetime]


@dataclass(slots=True)
class World:
    """Who holds what, who is away, and which posts stand only by day."""

    posts: dict[tuple[str, str], int]
    holders: dict[tuple[str, str], list[tuple[Span, str]]] = field(default_factory=dict)
    away: dict[str, list[Span]] = field(default_factory=dict)
    by_day: dict[tuple[str, str], tuple[time, time]] = field(default_factory=dict)

    def head(self, path: list[str], at: datetime) -> str | None:
        """The first of A, B from the deepest cell up who holds the post, is not away and is on duty."""
        for code in reversed(path):
            for rank in "AB":
                hours = self.by_day.get((code, rank))
                if hours and not hours[0] <= at.astimezone(ZONE).time() < hours[1]:
                    continue
                for (since, until), name in self.holders.get((code, rank), ()):
                    if since <= at < until and not any(a <= at < b for a, b in self.away.get(name, ())):
                        return name
        return None


async def build(engine: AsyncEngine, rng: random.Random) -> World:
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        for (since, number, _), cells in zip(TIMELINE[1:], (REDRAWN, CELLS, {L1: CELLS[L1]}), strict=True):
            draft = await create_draft(unit, JURISDICTION, name="", code_system="cn15", source="")
            assert draft.number == number
            records = cell_records(cells)
            await copy_cells(unit, draft.id, records, count=len(records))
            await activate(unit, draft.id, at=since)
        rows = await unit.connection.execute(text(_POSTS))
        codes = {*WEST_PATH, *EAST_PATH}
        world = World(posts={(row.cell_code, row.rank): row.id for row in rows if row.cell_code in codes})
        await driver.execute("DELETE FROM dispatch.appointment")
        names = [f"{rank}-{code}" for code, rank in world.posts]
        for post, post_id in world.posts.items():
            # Handed over again and again, at times vacant; two heads never at once.
            edges = sorted(NOW + timedelta(hours=rng.uniform(-2000, 1400)) for _ in range(16))
            held = [((a, b), rng.choice(names)) for a, b in pairwise(edges) if rng.random() < 0.75]
            world.holders[post] = held
            for (since, until), name in held:
                await driver.execute(
                    "INSERT INTO dispatch.appointment (post_id, person_id, valid_from, valid_until)"
                    " VALUES (%s, %s, %s, %s)",
                    (post_id, person_id(name), since, until),
                )
            if rng.random() < 0.4:
                world.by_day[post] = (time(8), time(18, 30))
                await driver.execute(
                    "INSERT INTO dispatch.shift (post_id, cycle_days, anchor, on_days, starts, ends, first_day)"
                    " VALUES (%s, 1, '2020-01-01', '{0}', '08:00', '18:30', '2020-01-01')",
                    (post_id,),
                )
        for name in names:
            for _ in range(rng.randrange(4)):
                since = NOW + timedelta(hours=rng.uniform(-2000, 1400))
                span = (since, since + timedelta(hours=rng.uniform(2, 400)))
                world.away.setdefault(name, []).append(span)
                await driver.execute(
                    "INSERT INTO dispatch.leave (person_id, starts_at, ends_at) VALUES (%s, %s, %s)",
                    (person_id(name), *span),
                )
    return world


async def test_cell_and_person_of_any_instant(client: Client, engine: AsyncEngine) -> None:
    """Leave, shifts, hand-over and versions together; also at the very instants at which something begins or ends."""
    rng = random.Random(20261121)
    world = await build(engine, rng)
    edges = [since for since, _, _ in TIMELINE[1:]]
    edges += [edge for held in world.holders.values() for span, _ in held for edge in span]
    edges += [edge for spans in world.away.values() for span in spans for edge in span]
    instants = [NOW + timedelta(hours=rng.uniform(-2000, 1400)) for _ in range(80)]
    instants += [edge - timedelta(microseconds=step) for edge in rng.sample(edges, 40) for step in (0, 1)]
    heads: set[str | None] = set()
    for at in instants:
        answer = await client.get(
            "/v1/locate", params={"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84", "at": at.isoformat()}
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        _, number, path = next(each for each in reversed(TIMELINE) if each[0] <= at)
        assert (body["grid_version"]["number"], [cell["code"] for cell in body["chain"]]) == (number, path), at
        head = body["head"]["name"] if body["head"] else None
        assert head == world.head(path, at), at
        heads.add(head)
    assert None in heads
    assert len(heads) > 4, "the instants meet many people, and nobody"

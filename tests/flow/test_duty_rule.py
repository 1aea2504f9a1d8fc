"""The rule in memory and the SQL functions give one answer on thousands of random rosters and matrices."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import msgspec
import psycopg
from msgspec.structs import replace
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.intake import Report
from dispatch.placing import LivePlacer
from dispatch.posts import Rung, parse_ladder
from dispatch.roster import Roster, department_key
from dispatch.storage.roster import duty_look, posts_reader, routes_reader
from geo.coordinates import CoordSys
from geo.storage.engine import dsn
from tests.builders import CELLS, INSIDE, JURISDICTION
from tests.flow.conftest import Client
from tests.flow.test_locate import container_of

LEAVES = {code for code in CELLS if not any(other != code and other.startswith(code) for other in CELLS)}
PATHS = [tuple(sorted((code for code in CELLS if cell.startswith(code)), key=len)) for cell in CELLS]
DEPARTMENTS = ("d1", "d2", "d3")
CATEGORIES = ("", "P01", "P0102", "E01", "E0110", "unknown")
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
WORLDS = 30
QUESTIONS = 120
_EMPTY: LiteralString = (
    "DELETE FROM dispatch.routing; DELETE FROM dispatch.shift; DELETE FROM dispatch.shift_exception;"
    " DELETE FROM dispatch.leave; DELETE FROM dispatch.appointment; DELETE FROM dispatch.post;"
    " UPDATE dispatch.person SET is_active = true"
)
_ASK: LiteralString = """
SELECT q.number, r.rule_id, r.department_code, r.mode,
       (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.step)
          FROM dispatch.responsible_ladder(%(jurisdiction)s, q.path::text[], q.category, q.at) AS s) AS ladder
  FROM jsonb_to_recordset(%(questions)s::jsonb) AS q (number int, path text[], category text, at timestamptz)
  LEFT JOIN LATERAL dispatch.route(%(jurisdiction)s, q.path::text[], q.category, q.at) AS r ON true
 ORDER BY q.number
"""


class World:
    """Random posts, holders, leave, shifts and lines of the matrix from now on."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.zone = self.rng.choice(ZONES)
        #: Instants at which something begins or ends: there rules differ, if they do.
        self.marks: list[datetime] = []

    def moment(self) -> datetime:
        """Give an instant within the next months, often on the hour."""
        at = self.now + timedelta(seconds=self.rng.uniform(60, 200 * 86400))
        at = at.replace(minute=0, second=0) if self.rng.random() < 0.5 else at
        self.marks.append(at)
        return at

    def span(self) -> tuple[datetime, datetime | None]:
        """Give an interval, sometimes open."""
        since, until = sorted((self.moment(), self.moment()))
        since = self.now - timedelta(days=30) if self.rng.random() < 0.6 else since
        return since, None if self.rng.random() < 0.4 else max(until, since + timedelta(hours=1))

    def wall(self) -> time:
        """Give a wall-clock time, often one of those that zones skip or repeat."""
        return self.rng.choice([time(0), time(2, 30), time(1, 45), time(6), time(8), time(18), time(22), time(23, 59)])

    async def build(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Write it all."""
        rng = self.rng
        await connection.execute(_EMPTY)
        await connection.execute("UPDATE geo.jurisdiction SET time_zone = %s", (self.zone,))
        people = [row[0] for row in await (await connection.execute("SELECT id FROM dispatch.person")).fetchall()]
        for place, code in [(0, code) for code in CELLS] + [(1, code) for code in DEPARTMENTS for _ in range(2)]:
            for rank in "AB":
                if rng.random() < 0.8:
                    await self._post(connection, place, code, rank, people)
        for _ in range(rng.randint(0, 12)):
            since, until = self.span()
            await self._try(
                connection,
                "INSERT INTO dispatch.routing (jurisdiction, cell_code, category_code, department_code, mode,"
                " valid_from, valid_until) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    JURISDICTION,
                    rng.choice(["", *CELLS]),
                    rng.choice(CATEGORIES[:5]),
                    rng.choice(DEPARTMENTS),
                    rng.choice(["lead", "lead", "assist", "fallback"]),
                    since,
                    until,
                ),
            )
        await connection.execute("UPDATE dispatch.department SET is_active = random() < 0.9")
        for person in people:
            if rng.random() < 0.3:
                starts = self.moment()
                await connection.execute(
                    "INSERT INTO dispatch.leave (person_id, starts_at, ends_at) VALUES (%s, %s, %s)",
                    (person, starts, starts + timedelta(hours=rng.randint(1, 900))),
                )
        await connection.execute("UPDATE dispatch.person SET is_active = random() < 0.9")

    async def _post(
        self, connection: psycopg.AsyncConnection[Any], place: int, code: str, rank: str, people: list[UUID]
    ) -> None:
        rng = self.rng
        since, until = self.span()
        is_shared = rng.random() < 0.4
        found = await self._try(
            connection,
            "INSERT INTO dispatch.post (jurisdiction, kind, rank, cell_code, department_code, title_zh, title_en,"
            " is_shared, valid_from, valid_until) VALUES (%s, %s, %s, %s, %s, 'x', 'x', %s, %s, %s) RETURNING id",
            (
                JURISDICTION,
                "department_handler" if place else "grid_head",
                rank,
                rng.choice([None, None, *CELLS]) if place else code,
                code if place else None,
                is_shared,
                since,
                until,
            ),
        )
        if found is None:
            return
        post = found[0]
        for _ in range(rng.randint(0, 4)):
            since, until = self.span()
            await self._try(
                connection,
                "INSERT INTO dispatch.appointment (post_id, person_id, is_shared, valid_from, valid_until)"
                " VALUES (%s, %s, %s, %s, %s)",
                (post, rng.choice(people), is_shared, since, until),
            )
        holders = await (
            await connection.execute("SELECT DISTINCT person_id FROM dispatch.appointment WHERE post_id = %s", (post,))
        ).fetchall()
        whom = [None, *(row[0] for row in holders)]
        for _ in range(rng.choice([0, 0, 1, 2])):
            cycle = rng.choice([1, 2, 7, 8])
            first = self.now.date() + timedelta(days=rng.randint(-2, 150))
            await connection.execute(
                "INSERT INTO dispatch.shift (post_id, person_id, cycle_days, anchor, on_days, starts, ends, first_day,"
                " last_day) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    post,
                    rng.choice(whom),
                    cycle,
                    date(2026, 12, 28) + timedelta(days=rng.randint(-400, 400)),
                    rng.sample(range(cycle), rng.randint(1, cycle)),
                    self.wall(),
                    self.wall(),
                    first,
                    rng.choice([None, first + timedelta(days=rng.randint(0, 60))]),
                ),
            )
        for _ in range(rng.choice([0, 0, 3])):
            times = rng.choice([(None, None), (self.wall(), self.wall())])
            await connection.execute(
                "INSERT INTO dispatch.shift_exception (post_id, person_id, day, starts, ends)"
                " VALUES (%s, %s, %s, %s, %s)",
                (post, rng.choice(whom), self.now.date() + timedelta(days=rng.randint(0, 200)), *times),
            )

    @staticmethod
    async def _try(connection: psycopg.AsyncConnection[Any], statement: LiteralString, values: Any) -> Any:
        """Write it unless a constraint forbids that; that much is left to the database."""
        try:
            async with connection.transaction():
                done = await connection.execute(statement, values)
                return await done.fetchone() if done.description else None
        except psycopg.errors.IntegrityError:
            return None

    def questions(self) -> list[tuple[tuple[str, ...], str, datetime]]:
        """Give paths, categories and instants: where something begins or ends, a hair before, and anywhere."""
        hair = timedelta(microseconds=1)
        day = timedelta(days=1)
        found = []
        for number in range(QUESTIONS):
            at = self.rng.choice(self.marks) + self.rng.choice([timedelta(), -hair, hair])
            if number % 3 == 0:
                at = self.now + day + self.rng.randint(0, 190) * day + self.rng.randint(0, 95) * day / 96
            found.append((self.rng.choice(PATHS), self.rng.choice(CATEGORIES), at))
        return found


async def test_memory_and_sql_agree_on_thousands_of_random_rosters(
    client: Client, engine: AsyncEngine, database: str
) -> None:
    """The roster itself, and places that were kept for one instant and are asked for at others, back and forth."""
    seen: dict[str, int] = {}
    container = container_of(client)
    await container.live.index.ready()
    lon, lat = INSIDE
    said = Report(channel="hotline", ticket="T", text="x", category="E0110", x=lon, y=lat, coord_sys=CoordSys.WGS84)
    prepared = await container.desk.prepare(said)
    async with await psycopg.AsyncConnection.connect(dsn(database), autocommit=True) as connection:
        for code in DEPARTMENTS:
            await connection.execute("INSERT INTO dispatch.department VALUES (%s, %s, %s)", (code, code, code))
            for _ in range(3):
                await connection.execute(
                    "INSERT INTO dispatch.person (id, jurisdiction, name) VALUES (%s, %s, %s)",
                    (uuid4(), JURISDICTION, code),
                )
        for seed in range(WORLDS):
            world = World(seed)
            async with connection.transaction():
                await world.build(connection)
            roster = Roster(posts_reader(engine, JURISDICTION), routes_reader(engine, JURISDICTION), patience_s=3600.0)
            await duty_look(roster)(connection)
            assert await roster.ensure_routes()
            await roster.ensure([*CELLS, *map(department_key, DEPARTMENTS)])
            questions = world.questions()
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(
                    _ASK,
                    {
                        "jurisdiction": JURISDICTION,
                        "questions": msgspec.json.encode(
                            [
                                {"number": number, "path": path, "category": category, "at": at}
                                for number, (path, category, at) in enumerate(questions)
                            ]
                        ).decode(),
                    },
                )
                rows = await cursor.fetchall()
            placer = LivePlacer(index=container.live.index, roster=roster, jurisdiction=JURISDICTION)
            asked = [
                (replace(prepared, id=uuid4(), category=category, reported_at=at, lon=lon, lat=lat), row)
                for (path, category, at), row in zip(questions, rows, strict=True)
                if path[-1] in LEAVES
                for lon, lat in [_middle(path[-1])]
            ]
            for _ in range(2):
                places = (await placer.place([report for report, _ in asked])).places
                for report, row in asked:
                    place = places[report.id]
                    assert (place.route.rule_id if place.route else None) == row["rule_id"], (seed, report)
                    assert place.ladder == parse_ladder(row["ladder"]), (seed, report)
            for (path, category, at), row in zip(questions, rows, strict=True):
                route = roster.route(path, category, at)
                where = (seed, world.zone, path, category, at)
                assert (route.rule_id if route else None) == row["rule_id"], where
                ladder = roster.led_ladder(path, route.leading if route else None, at)
                assert ladder == parse_ladder(row["ladder"]), where
                for fact in _facts(ladder):
                    seen[fact] = seen.get(fact, 0) + 1
    # The worlds hold every kind of thing that the rule speaks of.
    assert (
        min(seen.get(kind, 0) for kind in ("available", "vacant", "on_leave", "off_shift", "department", "shared")) > 99
    )


def _middle(code: str) -> tuple[float, float]:
    west, south, east, north = CELLS[code]
    return (west + east) / 2, (south + north) / 2


def _facts(ladder: tuple[Rung, ...] | None) -> list[str]:
    found = []
    posts = [rung.post_id for rung in ladder or ()]
    for rung in ladder or ():
        found += ["available"] if rung.is_available else []
        found += ["vacant"] if rung.person_id is None else []
        found += ["on_leave"] if rung.leave_until is not None else []
        found += ["off_shift"] if rung.is_off_shift else []
        found += ["department"] if rung.department else []
        found += ["shared"] if posts.count(rung.post_id) > 1 else []
    return found

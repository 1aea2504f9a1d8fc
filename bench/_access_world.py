"""A district with people and keys of every kind, and an oracle that says by plain sets what each may see and do.

The oracle shares nothing with what it judges: it knows the rows as the owner of the tables reads them, and the grants
as they were drawn.
"""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from PIL import Image
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import NewKey, Scope, issue_key
from api.accounts.people import NewGrant, add_grant, add_person
from api.accounts.roles import ROLES, Role
from api.accounts.sessions import start_session
from api.demo.places import JURISDICTION
from dispatch.photos import PhotoKind, clean_photo
from dispatch.storage.photos import store_photos
from dispatch.workflow import TRANSITIONS, Move
from geo.storage.uow import WriteUnit, read_unit, write_unit

__all__ = ["Asker", "Case", "World", "build_world", "read_cases"]

_PHOTOS = 150
#: (cell, department, channel); None asks for nothing.
Area = tuple[str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Case:
    """What decides about a case."""

    id: str
    ref: str
    cells: frozenset[str]
    departments: frozenset[str]
    channel: str
    is_open: bool
    is_short: bool


@dataclass(slots=True)
class Asker:
    """Somebody with a session or a key, and what they were given."""

    name: str
    headers: dict[str, str]
    areas: list[Area]
    roles: list[tuple[str, Area]] = field(default_factory=list)
    scopes: set[str] = field(default_factory=set)
    #: Where cases are counted for them and not shown.
    counted: list[Area] = field(default_factory=list)

    def counts(self, case: Case) -> bool:
        """Whether a case may be in a number that they are told."""
        return any(_is_in(case, area) for area in (*self.areas, *self.counted))

    def sees(self, case: Case) -> bool:
        """Whether a case exists for them."""
        return any(_is_in(case, area) for area in self.areas)

    def may(self, case: Case, move: Move) -> bool:
        """Whether they make a move on it. A key speaks for a whole desk."""
        if self.headers.get("Authorization"):
            return self.sees(case)
        posts = {post for role, area in self.roles if _is_in(case, area) for post in _POSTS.get(role, ())}
        if case.is_short and "dispatcher" in posts and move in _DELEGATED:
            return True
        return any(who.value in posts for row in TRANSITIONS if row.move is move for who in row.who)


#: On the short line.
_DELEGATED = (Move.ACCEPT, Move.FILE, Move.APPROVE_SUSPEND)
_POSTS = {
    **{role.value: {role.value} for role in ROLES if role not in (Role.ADMINISTRATOR, Role.PLANNER)},
    "grid_worker": {"grid_head", "assistant"},
}


def _is_in(case: Case, area: Area) -> bool:
    cell, department, channel = area
    return (
        (cell is None or cell in case.cells)
        and (department is None or department in case.departments)
        and (channel is None or channel == case.channel)
    )


@dataclass(frozen=True, slots=True)
class World:
    """Cases and askers. ``desk`` may do everything everywhere; ``photos``: id → case."""

    cases: Sequence[Case]
    askers: Sequence[Asker]
    desk: Asker
    photos: Mapping[str, Case]


_SPREAD = (
    # Departments own some of the cases, have a part in others, and a redraw has handed some over.
    "UPDATE dispatch.dispatch_case AS c SET department_code = d.code FROM (SELECT code,"
    " row_number() OVER (ORDER BY code) AS n FROM dispatch.department) AS d WHERE abs(hashtext(c.ref)) % 40 = d.n",
    "INSERT INTO dispatch.case_leg (case_id, number, clock_epoch, department_code, state, limit_value, limit_unit,"
    " started_at, due_at) SELECT c.id, 1, 1, d.code,"
    " CASE WHEN abs(hashtext(c.ref)) % 3 = 0 THEN 'withdrawn' ELSE 'handling' END, 2, 'working_hour', now(), now()"
    " FROM dispatch.dispatch_case AS c"
    " JOIN (SELECT code, row_number() OVER (ORDER BY code) AS n FROM dispatch.department) AS d"
    " ON abs(hashtext(c.ref || 'leg')) % 150 = d.n ON CONFLICT DO NOTHING",
    "UPDATE dispatch.dispatch_case AS c SET owner_path = o.path FROM (SELECT path,"
    " row_number() OVER (ORDER BY code) AS n FROM geo.cell WHERE level = 3) AS o"
    " WHERE cardinality(c.cell_path) > 0 AND abs(hashtext(c.ref || 'o')) % 4000 = o.n",
)


async def build_world(engine: AsyncEngine, *, people: int, keys: int, seed: int) -> World:
    """Spread the demo's cases over departments and cells, and draw people and keys."""
    rng = random.Random(seed)
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        for statement in _SPREAD:
            await driver.execute(statement.encode())
    async with read_unit(engine) as unit:
        cases = await read_cases(unit)
        driver = await unit.driver()
        cells = [row[0] for row in await (await driver.execute("SELECT code FROM geo.cell ORDER BY 1")).fetchall()]
        rows = await (await driver.execute("SELECT code FROM dispatch.department ORDER BY 1")).fetchall()
        departments = [row[0] for row in rows]
    # Small areas are drawn as often as large ones, or nearly everybody would see next to nothing.
    by_level = [[code for code in cells if len(code) == length] for length in (9, 12, 15)]
    askers = []
    for number in range(people):
        async with write_unit(engine) as unit:
            askers.append(await _person(unit, number, rng, by_level, departments))
    for number in range(keys):
        async with write_unit(engine) as unit:
            askers.append(await _key(unit, number, rng, by_level, departments))
    async with write_unit(engine) as unit:
        scopes = tuple(Scope)
        text = await issue_key(unit, NewKey(channel="desk", scopes=scopes), by="bench")
        photos = await _photos(unit, rng.sample(cases, min(len(cases), _PHOTOS)))
    desk = Asker(name="desk", headers={"Authorization": f"Bearer {text}"}, areas=[(None, None, None)])
    return World(cases=cases, askers=askers, desk=desk, photos=photos)


async def _photos(unit: WriteUnit, cases: Sequence[Case]) -> dict[str, Case]:
    found = {}
    for number, case in enumerate(cases):
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (number % 256, 0, 0)).save(file, "JPEG")
        photo = clean_photo(file.getvalue())
        await store_photos(unit, UUID(case.id), [photo], PhotoKind.REPORT, "bench")
        found[str(photo.id)] = case
    return found


async def read_cases(unit: Any) -> list[Case]:
    """All cases as the owner of the tables reads them."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT case_id, department_code FROM dispatch.case_leg WHERE state <> 'withdrawn'")
        legs: dict[Any, set[str]] = {}
        async for row in cursor:
            legs.setdefault(row["case_id"], set()).add(row["department_code"])
        await cursor.execute("SELECT cell_code FROM dispatch.profile WHERE line = 'full'")
        full = {row["cell_code"] for row in await cursor.fetchall()}
        await cursor.execute(
            "SELECT id, ref, cell_path, owner_path, department_code, channel_code, state FROM dispatch.dispatch_case"
        )
        return [
            Case(
                id=str(row["id"]),
                ref=row["ref"],
                cells=frozenset([*row["cell_path"], *(row["owner_path"] or [])]),
                departments=frozenset({row["department_code"]} - {None}) | legs.get(row["id"], set()),
                channel=row["channel_code"],
                is_open=row["state"] not in {"closed", "declined", "merged", "voided"},
                is_short=not full & {"", *row["cell_path"][:1]},
            )
            for row in await cursor.fetchall()
        ]


def _draw_area(rng: random.Random, by_level: list[list[str]], departments: list[str]) -> tuple[str | None, str | None]:
    kind = rng.random()
    cell = rng.choice(rng.choice(by_level)) if kind < 0.75 else None
    department = rng.choice(departments) if 0.6 < kind < 0.95 else None
    return cell, department


async def _person(
    unit: WriteUnit, number: int, rng: random.Random, by_level: list[list[str]], departments: list[str]
) -> Asker:
    account = await add_person(
        unit, jurisdiction=JURISDICTION, login=f"asker-{rng.getrandbits(40):x}", name=f"Asker {number}", password=None
    )
    asker = Asker(name=f"person {number}", headers={}, areas=[])
    now = datetime.now(UTC)
    for _ in range(rng.randint(0, 3)):
        role = rng.choice(ROLES)
        cell, department = (None, None) if role is Role.ADMINISTRATOR else _draw_area(rng, by_level, departments)
        valid_from, valid_until = rng.choice(
            [
                (None, None),
                (None, None),
                (None, now + timedelta(days=9)),
                (now + timedelta(days=1), None),
                (now - timedelta(days=9), now - timedelta(minutes=1)),
            ]
        )
        grant = NewGrant(role=role, cell=cell, department=department, valid_from=valid_from, valid_until=valid_until)
        await add_grant(unit, account, grant, jurisdiction=JURISDICTION, by="bench")
        if (valid_from is None or valid_from <= now) and (valid_until is None or valid_until > now):
            area = (cell, department, None)
            asker.roles.append((role.value, area))
            # A planner's areas are counted, and no case of them is opened, whatever other roles open elsewhere.
            asker.scopes.add("maps:read")
            (asker.counted if role is Role.PLANNER else asker.areas).append(area)
            if role is not Role.PLANNER:
                asker.scopes |= {"cases:read", "cases:read_all"}
            if role not in (Role.ADMINISTRATOR, Role.PLANNER):
                asker.scopes.add("cases:move")
    token = await start_session(unit, account, method="password", is_full=True, browser="bench", hours=12)
    asker.headers["Cookie"] = f"gridward_session={token}"
    return asker


async def _key(
    unit: WriteUnit, number: int, rng: random.Random, by_level: list[list[str]], departments: list[str]
) -> Asker:
    channel = rng.choice(["12345", "city_app", "patrol", f"new-{number}"])
    scopes = [Scope.CASES_READ, Scope.CASES_MOVE, Scope.LOCATE, Scope.WEBHOOKS_MANAGE]
    if rng.random() < 0.5:
        scopes.append(Scope.CASES_READ_ALL)
    cell, department = _draw_area(rng, by_level, departments) if rng.random() < 0.6 else (None, None)
    new = NewKey(
        channel=channel,
        scopes=tuple(scopes),
        cells=(cell,) if cell else (),
        departments=(department,) if department else (),
    )
    text = await issue_key(unit, new, by="bench")
    bound = None if Scope.CASES_READ_ALL in scopes else channel
    areas: list[Area] = []
    if cell:
        areas.append((cell, None, bound))
    if department:
        areas.append((None, department, bound))
    return Asker(
        name=f"key {number}",
        headers={"Authorization": f"Bearer {text}"},
        areas=areas or [(None, None, bound)],
        scopes={scope.value for scope in scopes},
    )

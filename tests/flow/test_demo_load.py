"""The demo in a real database: whole or absent, recognised, consistent with PostGIS, and alive for the API."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.demo.load import load_demo
from api.demo.streaming import new_reports, send_reports
from dispatch.posts import find_head, parse_ladder
from dispatch.routing import route_json
from dispatch.storage.routing import responsible_for
from dispatch.workflow import replay
from geo.errors import ConflictError
from geo.storage.uow import read_unit, write_unit

NOW = datetime(2026, 11, 19, 2, 30, tzinfo=UTC)
SCALE = 0.01


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with read_unit(engine) as unit:
        return await (await (await unit.driver()).execute(query)).fetchall()


async def test_demo_is_loaded_once_and_agrees_with_the_database(engine: AsyncEngine) -> None:
    steps: list[tuple[str, int, int]] = []
    first = await load_demo(engine, now=NOW, scale=SCALE, progress=lambda *step: steps.append(step))
    assert first.is_new
    assert (first.grid_version, first.cells, first.open_cases) == (1, 294, 301)
    assert [s for s, done, total in steps if done == total][-1] == "finish"
    assert {s for s, _, _ in steps} == {"map", "draw", "cases", "events", "finish"}

    again = await load_demo(engine, now=NOW, scale=SCALE)
    assert not again.is_new
    assert (again.cases, again.events) == (first.cases, first.events)

    # Every case lies in the very cell that PostGIS finds for it.
    assert await rows(
        engine,
        "SELECT count(*) FROM dispatch.dispatch_case AS c"
        " LEFT JOIN LATERAL geo.covering_cell(c.grid_version_id, c.location) AS g ON true"
        " WHERE c.cell_id IS DISTINCT FROM g.id OR c.cell_path <> coalesce(g.path, '{}')",
    ) == [(0,)]
    # The areas are the database's own, and 南关 prints its published density.
    assert await rows(
        engine,
        "SELECT round((population / (ST_Area(boundary::geography) / 1e6))::numeric)::int,"
        " abs(area_m2 - ST_Area(boundary::geography)) < 1 FROM geo.cell WHERE code = '410104003'",
    ) == [(46_724, True)]
    # Children tile their parents for PostGIS as well.
    assert await rows(
        engine,
        "SELECT count(*) FROM geo.cell AS p JOIN LATERAL (SELECT ST_Union(c.boundary) AS together FROM geo.cell AS c"
        " WHERE c.parent_id = p.id) AS k ON true WHERE p.level < 3 AND NOT ST_Equals(p.boundary, k.together)",
    ) == [(0,)]
    assert await rows(
        engine,
        "SELECT count(*) FROM dispatch.dispatch_case AS c WHERE version <>"
        " (SELECT count(*) FROM dispatch.case_event AS e WHERE e.case_id = c.id) OR state <>"
        " (SELECT to_state FROM dispatch.case_event AS e WHERE e.case_id = c.id ORDER BY seq DESC LIMIT 1)",
    ) == [(0,)]
    assert await rows(
        engine,
        "SELECT count(*), bool_and(jsonb_array_length(nearest) = 3) FROM dispatch.dispatch_case"
        " WHERE located_how = 'out_of_grid'",
    ) == [(5, True)]
    # A live report gets a number after the demo's.
    assert await rows(
        engine,
        "SELECT max(split_part(ref, '-', 2)::int) = (SELECT last_value FROM dispatch.case_number)"
        " FROM dispatch.dispatch_case",
    ) == [(True,)]


async def test_heads_of_open_cases_are_those_the_database_names(engine: AsyncEngine) -> None:
    await load_demo(engine, now=NOW, scale=SCALE)
    found = await rows(
        engine,
        "SELECT c.jurisdiction, c.cell_path, c.category_code, c.dispatched_at, c.owner_post_id, c.owner_ladder,"
        " e.payload FROM dispatch.dispatch_case AS c JOIN LATERAL (SELECT payload FROM dispatch.case_event"
        " WHERE case_id = c.id AND type = 'case.dispatched.v1' ORDER BY seq LIMIT 1) AS e ON true"
        " WHERE c.owner_post_id IS NOT NULL AND c.origin = 'demo'"
        " AND (c.state IN ('dispatched', 'handling', 'returned', 'handled', 'checked') OR c.ref LIKE '%%5')",
    )
    assert len(found) > 400
    whys = set()
    async with read_unit(engine) as unit:
        for jurisdiction, path, category, at, owner, ladder, payload in found:
            answering = tuple(payload["path"])
            assert answering == tuple(path)[: len(answering)]
            asked = await responsible_for(unit, jurisdiction, answering, category, at)
            assert asked.head is not None
            # The row, the event and the database's own rule name the same person for the same reason …
            for kept in (ladder, payload["ladder"]):
                told = find_head(parse_ladder(kept))
                assert told is not None
                assert asked.head.rung.post_id == told.rung.post_id == owner
                assert asked.head.why is told.why
            # … and the same line of the matrix.
            assert payload["route"] == route_json(asked.route)
            whys.add(asked.head.why.value)
    assert whys == {"primary_on_duty", "primary_on_leave", "department", "department_backup"}


async def test_moves_recorded_are_moves_of_the_workflow(engine: AsyncEngine) -> None:
    await load_demo(engine, now=NOW, scale=SCALE)
    histories = await rows(
        engine,
        "SELECT c.state, array_agg(array_to_string(e.moves, ',') ORDER BY e.seq) FROM dispatch.dispatch_case AS c"
        " JOIN dispatch.case_event AS e ON e.case_id = c.id WHERE c.state <> 'suspended' GROUP BY c.id",
    )
    assert all(replay(act.split(",") for act in acts).value == state for state, acts in histories)


async def test_the_demo_has_joint_work_plans_and_ladders_to_look_at(engine: AsyncEngine) -> None:
    await load_demo(engine, now=NOW, scale=SCALE)
    legs = await rows(
        engine,
        "SELECT c.ref, c.open_legs, count(*), count(*) FILTER (WHERE l.state NOT IN ('signed', 'withdrawn')),"
        " bool_and(l.due_at <= c.due_at), bool_and(l.started_at BETWEEN c.acknowledged_at AND %s)"
        " FROM dispatch.case_leg AS l JOIN dispatch.dispatch_case AS c ON c.id = l.case_id GROUP BY c.id".replace(
            "%s", f"'{NOW.isoformat()}'"
        ),
    )
    assert len(legs) >= 4
    assert all(waiting == still_open and total >= 2 and past for _, waiting, total, still_open, _, past in legs)
    states = await rows(engine, "SELECT DISTINCT state FROM dispatch.case_leg")
    assert {state for (state,) in states} >= {"dispatched", "handling", "handled", "signed", "returned"}
    assert await rows(
        engine,
        "SELECT count(DISTINCT p.id), bool_and(next_at > now()) FROM dispatch.operation_plan AS p WHERE is_active",
    ) == [(3, True)]
    assert await rows(engine, "SELECT count(*) FROM dispatch.ladder WHERE jurisdiction <> '' AND made_by = 'demo'") == [
        (2,)
    ]
    # Every case that came back shows its point against the polygon.
    assert await rows(
        engine,
        "SELECT count(*) FROM dispatch.dispatch_case AS c WHERE c.state = 'returned' AND NOT EXISTS"
        " (SELECT FROM dispatch.case_return AS r WHERE r.case_id = c.id AND r.relation IN ('inside', 'edge'))",
    ) == [(0,)]
    assert await rows(engine, "SELECT count(*) FROM dispatch.post_hand_over WHERE acknowledged_at IS NOT NULL") == [
        (1,)
    ]


async def test_interrupted_load_leaves_nothing(engine: AsyncEngine) -> None:
    class StopHereError(Exception):
        pass

    def interrupt(step: str, done: int, _total: int) -> None:
        if step == "events" and done:
            raise StopHereError

    with pytest.raises(StopHereError):
        await load_demo(engine, now=NOW, scale=SCALE, progress=interrupt)
    assert await rows(engine, "SELECT count(*) FROM geo.grid_version") == [(0,)]
    assert (await load_demo(engine, now=NOW, scale=SCALE)).is_new


async def test_two_loads_at_once_make_one_demo(engine: AsyncEngine) -> None:
    found = await asyncio.gather(*(load_demo(engine, now=NOW, scale=SCALE) for _ in range(2)))
    assert sorted(f.is_new for f in found) == [False, True]
    assert found[0].cases == found[1].cases


async def test_somebody_elses_grid_is_not_touched(engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute("INSERT INTO geo.jurisdiction (code) VALUES ('410100')")
        await driver.execute(
            "INSERT INTO geo.grid_version (jurisdiction, number, status, valid_from)"
            " VALUES ('410100', 1, 'published', now())"
        )
    with pytest.raises(ConflictError, match="grid_in_use"):
        await load_demo(engine, now=NOW, scale=SCALE)
    assert await rows(engine, "SELECT count(*) FROM dispatch.dispatch_case") == [(0,)]


@pytest.fixture
def listener() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Stand in for the server: takes two reports and refuses the third."""
    taken: list[tuple[str, dict[str, Any]]] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            taken.append((self.headers["Authorization"], body))
            status, reply = (201, {"case": "20261119-0000001"}) if len(taken) < 3 else (422, {"detail": "no"})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


async def test_stream_sends_what_was_asked_and_survives_a_refusal(
    listener: tuple[str, list[tuple[str, dict[str, Any]]]],
) -> None:
    url, taken = listener
    answers = [
        answer
        async for answer in send_reports(
            new_reports(seed=1, at=NOW), url=url, keys={"*": "gw_k"}, per_minute=6000, count=3
        )
    ]
    assert [a.status for a in answers] == [201, 201, 422]
    assert [header for header, _ in taken] == ["Bearer gw_k"] * 3
    assert [body for _, body in taken] == [a.report.body for a in answers]


async def test_stream_says_when_nobody_listens() -> None:
    answers = [
        a
        async for a in send_reports(
            new_reports(seed=1, at=NOW), url="http://127.0.0.1:9", keys={"*": "k"}, per_minute=6000, count=1
        )
    ]
    assert answers[0].status == 0
    assert answers[0].reply["detail"]

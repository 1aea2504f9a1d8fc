"""Who answers is asked for every report: with a city's posts and lines of the matrix, indexes answer it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from dispatch.states import OPEN_STATES
from geo.storage.grid_versions import ensure_jurisdiction
from geo.storage.uow import WriteUnit

CELLS = 4_800
_FILL = """
INSERT INTO dispatch.department SELECT 'd' || n, 'd', 'd' FROM generate_series(1, 40) AS n;
INSERT INTO dispatch.person (id, jurisdiction, name) SELECT gen_random_uuid(), '990000', 'p'
  FROM generate_series(1, 2000);
INSERT INTO dispatch.post (jurisdiction, kind, rank, cell_code, title_zh, title_en, valid_from)
  SELECT '990000', 'grid_head', r, 'c' || n, 'x', 'x', '2020-01-01' FROM generate_series(1, {cells}) AS n,
         unnest(ARRAY['A', 'B']) AS r;
INSERT INTO dispatch.post (jurisdiction, kind, rank, department_code, title_zh, title_en, valid_from)
  SELECT '990000', 'department_handler', r, 'd' || n, 'x', 'x', '2020-01-01' FROM generate_series(1, 40) AS n,
         unnest(ARRAY['A', 'B']) AS r;
INSERT INTO dispatch.appointment (post_id, person_id, valid_from)
  SELECT p.id, q.id, '2020-01-01' FROM (SELECT id, row_number() OVER () % 2000 AS n FROM dispatch.post
                                         WHERE jurisdiction = '990000') AS p
    JOIN (SELECT id, row_number() OVER () - 1 AS n FROM dispatch.person WHERE jurisdiction = '990000') AS q USING (n);
INSERT INTO dispatch.leave (person_id, starts_at, ends_at)
  SELECT id, '2026-01-01', '2026-02-01' FROM dispatch.person WHERE jurisdiction = '990000';
INSERT INTO dispatch.shift (post_id, cycle_days, anchor, on_days, starts, ends, first_day)
  SELECT id, 7, '2026-01-05', '{{0,1,2,3,4}}', '08:00', '18:00', '2026-01-01' FROM dispatch.post
   WHERE jurisdiction = '990000' AND rank = 'A';
INSERT INTO dispatch.shift_exception (post_id, day) SELECT id, '2026-03-01' FROM dispatch.post
 WHERE jurisdiction = '990000';
INSERT INTO dispatch.category (code, kind, name_zh, name_en) VALUES ('Z', 'part', 'z', 'z');
INSERT INTO dispatch.category (code, kind, parent, name_zh, name_en)
  SELECT 'Z' || n, 'part', 'Z', 'z', 'z' FROM generate_series(1, 200) AS n;
INSERT INTO dispatch.routing (jurisdiction, cell_code, category_code, department_code, mode, valid_from)
  SELECT '990000', 'c' || n, 'Z' || (n % 200 + 1), 'd' || (n % 40 + 1), 'lead', '2020-01-01'
    FROM generate_series(1, {cells}) AS n;
ANALYZE dispatch.post; ANALYZE dispatch.appointment; ANALYZE dispatch.leave; ANALYZE dispatch.shift;
ANALYZE dispatch.shift_exception; ANALYZE dispatch.routing; ANALYZE dispatch.category; ANALYZE dispatch.person;
"""
_LARGE = {"post", "appointment", "leave", "shift", "shift_exception", "routing", "person"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Walk a plan."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def plan_of(uow: WriteUnit, query: str) -> list[dict[str, Any]]:
    """Explain a query."""
    found = (await uow.connection.execute(text(f"EXPLAIN (FORMAT JSON) {query}"))).scalar_one()
    return list(nodes((json.loads(found) if isinstance(found, str) else found)[0]["Plan"]))


async def test_ladder_route_and_open_cases_of_a_post_are_found_by_indexes(uow: WriteUnit) -> None:
    await ensure_jurisdiction(uow, "990000", time_zone="Asia/Shanghai", metric_srid=4547)
    driver = await uow.driver()
    await driver.execute(_FILL.format(cells=CELLS))  # type: ignore[arg-type]
    path = "ARRAY['c1', 'c17', 'c4711']"
    for query in (
        f"SELECT * FROM dispatch.responsible_ladder('990000', {path}, now())",
        f"SELECT * FROM dispatch.responsible_ladder('990000', {path}, 'Z112', now())",
        f"SELECT * FROM dispatch.duty_ladder('990000', {path}, 'd7', now())",
        f"SELECT * FROM dispatch.route('990000', {path}, 'Z112', now())",
    ):
        plan = await plan_of(uow, query)
        assert any(node.get("Relation Name") in {"post", "routing"} for node in plan), "the function was inlined"
        walked = [node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"]
        assert not _LARGE & set(walked), (query, walked)
    found = (
        await uow.connection.execute(
            text(f"SELECT department FROM dispatch.responsible_ladder('990000', {path}, 'Z112', now()) ORDER BY step")
        )
    ).scalars()
    assert list(found) == ["d32", "d32", "", "", "", "", "", ""]
    states = ", ".join(f"'{state}'" for state in sorted(OPEN_STATES))
    plan = await plan_of(uow, f"SELECT ref FROM dispatch.dispatch_case WHERE owner_post_id = 1 AND state IN ({states})")
    assert {node.get("Index Name") for node in plan} & {"ix_dispatch_case_owner_post"}

"""The demo's cases reproduce the published figures and never break the rules that live cases follow."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pytest
from shapely import STRtree
from shapely.geometry import Point

from api.demo.cases import CHANNELS, LEDGERS, STATES, SYSTEMS, CaseTable, groups, make_cases
from api.demo.geometry import District, build_district
from api.demo.histories import ACTS, History, make_history
from api.demo.people import People, make_people
from api.demo.places import SUBDISTRICTS
from api.demo.streaming import new_reports, parse_rate
from api.demo.timing import NEVER
from dispatch.calendars import WorkingCalendar, seed_calendar
from dispatch.catalogue import load_default
from dispatch.clocks import set_clocks
from dispatch.lights import light
from dispatch.reference import Jurisdiction
from dispatch.segments import from_micros
from dispatch.states import FINAL_STATES, CaseState, Light
from dispatch.workflow import replay
from geo.coordinates import CoordSys, snap_to_grid, to_wgs84
from geo.errors import BadInputError

NOW = datetime(2026, 11, 19, 2, 30, tzinfo=UTC)  # a Thursday, half past ten in the morning
CALENDAR = WorkingCalendar(days=seed_calendar([2025, 2026]))
CATALOGUE = load_default()
YEAR = timedelta(days=366)


@pytest.fixture(scope="module")
def district() -> District:
    return build_district()


@pytest.fixture(scope="module")
def table(district: District) -> CaseTable:
    return make_cases(district, CATALOGUE, CALENDAR, now=NOW, seed=5, scale=0.03)


@pytest.fixture(scope="module")
def history(table: CaseTable) -> History:
    return make_history(table)


@pytest.fixture(scope="module")
def people(district: District) -> People:
    return make_people(district, now=NOW, rng=random.Random(1))


def state_of(table: CaseTable, row: int) -> CaseState:
    return STATES[table.state[row]]


def test_totals_are_the_published_figures() -> None:
    made = groups()
    totals: Counter[tuple[str, str]] = Counter()
    closed: Counter[tuple[str, str]] = Counter()
    for group in made:
        name = SUBDISTRICTS[group.subdistrict].name_zh
        for key in ((name, LEDGERS[group.ledger]), (name, "all")):
            totals[key] += group.closed + group.open + group.suspended
            closed[key] += group.closed
    assert (closed["林山寨街道", "all"], totals["林山寨街道", "all"]) == (15_758, 15_882)
    assert (closed["秦岭路街道", "ledger_issue"], totals["秦岭路街道", "ledger_issue"]) == (1_592, 1_609)
    assert (closed["秦岭路街道", "social_information"], totals["秦岭路街道", "social_information"]) == (4_084, 4_167)
    assert (closed["文化路街道", "all"], totals["文化路街道", "all"]) == (133_669, 135_298)
    assert (closed["文化路街道", "three_illegals"], totals["文化路街道", "three_illegals"]) == (943, 1_271)
    assert totals["建设路街道", "all"] == 12_115
    assert 11_934 <= closed["建设路街道", "all"] <= 12_054
    assert 200 < totals["南关街道", "all"] < 1_000
    assert sum(g.open for g in made) == 296
    assert all(g.open >= 0 and g.suspended >= 0 for g in made)


def test_scale_thins_closed_cases_only(table: CaseTable) -> None:
    states = Counter(STATES[s] for s in table.state.tolist())
    assert states[CaseState.CLOSED] == sum(g.closed for g in groups(scale=0.03))
    assert states[CaseState.SUSPENDED] == sum(g.suspended for g in groups())
    still_open = sum(n for s, n in states.items() if s not in FINAL_STATES and s is not CaseState.SUSPENDED)
    assert still_open == 301


def test_open_cases_show_every_state_and_light(table: CaseTable) -> None:
    lights: Counter[Light] = Counter()
    for row in range(len(table)):
        due, warn = (None if v[row] == NEVER else from_micros(int(v[row])) for v in (table.due, table.warn))
        lights[light(state_of(table, row), due_at=due, warn_at=warn, as_of=NOW)] += 1
    assert lights[Light.GREEN] > 80
    assert lights[Light.YELLOW] > 20
    assert lights[Light.RED] > 20
    states = Counter(STATES[s] for s in table.state.tolist())
    for state in ("reported", "accepted", "filed", "dispatched", "returned", "handling", "handled", "checked"):
        assert states[CaseState(state)] >= 3, state


def test_instants_follow_the_state_machine(table: CaseTable) -> None:
    order = [
        "reported", "accepted", "filed", "dispatched", "returned", "redispatched", "acknowledged", "first_handled",
        "reworked", "handled", "checked", "closed",
    ]  # fmt: skip
    latest = table.reported.copy()
    for name in order:
        at = getattr(table, name)
        happened = at != NEVER
        assert (at[happened] >= latest[happened]).all(), name
        latest = np.where(happened, at, latest)
    assert (latest <= NOW.timestamp() * 1e6).all()
    assert (table.reported > (NOW - YEAR).timestamp() * 1e6).all()


def test_every_history_walks_through_the_workflow(table: CaseTable, history: History) -> None:
    """Every history is legal and ends in the row's state."""
    acts: list[list[tuple[str, ...]]] = [[] for _ in range(len(table))]
    for case, act in zip(history.case.tolist(), history.act.tolist(), strict=True):
        acts[case].append(ACTS[act].moves)
    for row, walked in enumerate(acts):
        assert replay(walked) is state_of(table, row)


def test_history_is_numbered_and_chained(history: History) -> None:
    first = np.r_[True, history.case[1:] != history.case[:-1]]
    assert (history.seq[first] == 1).all()
    assert (history.before[first] == -1).all()
    later = np.flatnonzero(~first)
    assert (history.seq[later] == history.seq[later - 1] + 1).all()
    assert (history.before[later] == history.after[later - 1]).all()
    assert (history.at[later] >= history.at[later - 1]).all()


def test_deadlines_are_those_of_a_live_report(table: CaseTable) -> None:
    """Row by row the same answer as the intake would give."""
    jurisdiction = Jurisdiction(code="410100", name_zh="", name_en="", time_zone="Asia/Shanghai", calendar=CALENDAR)
    checked = 0
    for row in range(0, len(table), 7):
        if table.dispatched[row] == NEVER:
            continue
        clocks = set_clocks(
            jurisdiction,
            CHANNELS[table.channel[row]][3],
            CATALOGUE.conditions[table.condition[row]].limit,
            from_micros(int(table.dispatched[row])),
        )
        assert from_micros(int(table.due[row])) == clocks.due_at
        assert from_micros(int(table.warn[row])) == clocks.warn_at
        assert bool(table.provisional[row]) == clocks.is_provisional
        checked += 1
    assert checked > 500


def test_conditions_belong_to_their_category(table: CaseTable) -> None:
    minor = [c.code for c in CATALOGUE.categories if c.parent]
    for category, condition in zip(table.category.tolist(), table.condition.tolist(), strict=True):
        assert condition < 0 or CATALOGUE.conditions[condition].category == minor[category]


def test_on_time_share_is_believable(table: CaseTable) -> None:
    closed = table.closed != NEVER
    assert 0.93 <= (table.handled[closed] <= table.due[closed]).mean() <= 0.975


def test_escalated_exactly_where_the_deadline_passed_unhandled(table: CaseTable) -> None:
    stopped = np.where(table.handled != NEVER, table.handled, np.int64(NOW.timestamp() * 1e6))
    stopped = np.where(table.suspended != NEVER, table.suspended, stopped)
    overdue = (table.due != NEVER) & (stopped > table.due)
    assert ((table.escalated != NEVER) == overdue).all()
    assert (table.escalated[overdue] > table.due[overdue] - 2).all()


def test_suspended_cases_resume_within_a_year(table: CaseTable) -> None:
    parked = table.suspended != NEVER
    assert (table.suspended[parked] < table.due[parked]).all()
    assert (table.suspended_until[parked] > NOW.timestamp() * 1e6).all()
    assert (table.suspended_until[parked] - table.suspended[parked] <= 365 * 86_400_000_000).all()


def test_positions_convert_from_what_was_declared(table: CaseTable) -> None:
    systems = np.array([SYSTEMS.index(c[4]) for c in CHANNELS])[table.channel]
    inside = table.cell >= 0
    for k, system in enumerate(SYSTEMS):
        rows = (systems == k) & inside
        assert rows.any()
        lon, lat = to_wgs84(table.raw_x[rows], table.raw_y[rows], CoordSys(system))
        assert (snap_to_grid(lon) == table.lon[rows]).all()
        assert (snap_to_grid(lat) == table.lat[rows]).all()


def test_cells_agree_with_shapely(table: CaseTable, district: District) -> None:
    leaves = district.of_level(3)
    tree = STRtree([c.polygon() for c in leaves])
    for row in range(0, len(table), 5):
        covering = tree.query(Point(table.lon[row], table.lat[row]), predicate="intersects")
        assert (min(covering) if len(covering) else -1) == table.cell[row]


def test_out_of_grid_reports_belong_to_nobody(table: CaseTable) -> None:
    assert 3 <= (table.cell < 0).sum() <= 9
    assert ((table.cell < 0) == (table.subdistrict < 0)).all()


def test_problems_cluster(table: CaseTable) -> None:
    """The busiest tenth of 文化路's 30 m squares holds far more than a tenth of its cases, and classes follow Zipf."""
    mine = (table.subdistrict == 4) & (table.cell >= 0)
    squares = Counter(zip((table.lon[mine] * 3000).astype(int), (table.lat[mine] * 3600).astype(int), strict=True))
    busiest = sorted(squares.values(), reverse=True)
    assert sum(busiest[: len(busiest) // 10]) > 0.33 * sum(busiest)
    classes = sorted(Counter(table.category[mine].tolist()).values(), reverse=True)
    assert sum(classes[:10]) > 0.42 * sum(classes)


def test_hours_follow_the_day(table: CaseTable) -> None:
    hours = np.bincount(((table.reported + 8 * 3_600_000_000) // 3_600_000_000) % 24, minlength=24)
    assert hours[8] > 4 * hours[3]
    assert hours[17] > 4 * hours[3]


def test_same_seed_same_cases(district: District, table: CaseTable) -> None:
    again = make_cases(district, CATALOGUE, CALENDAR, now=NOW, seed=5, scale=0.03)
    assert (again.lon == table.lon).all()
    assert (again.closed == table.closed).all()
    assert (again.salt == table.salt).all()


def test_every_cell_has_two_heads_and_some_are_away(people: People, district: District) -> None:
    for cell in district.cells:
        assert {(cell.code, "A"), (cell.code, "B")} <= set(people.head_of)
    assert sum(p.kind == "grid_head" and p.rank == "B" and len(p.cell or "") == 15 and (p.cell or "")[:9] == "410105008"
               for p in people.posts) == 66  # fmt: skip
    assert len({p.name for p in people.persons}) == len(people.persons)
    assert 3 <= len(people.leaves) <= 12
    assert all(leave.starts_at < NOW < leave.ends_at for leave in people.leaves)


def test_streamed_reports_are_complete_and_repeatable(district: District) -> None:
    first = list(islice(new_reports(seed=3, at=NOW, district=district), 85))
    again = list(islice(new_reports(seed=3, at=NOW, district=district), 85))
    assert [r.body for r in first] == [r.body for r in again]
    assert len({r.body["ticket"] for r in first}) == 85
    tree = STRtree([c.polygon() for c in district.of_level(3)])
    outside = 0
    for report in first:
        lon, lat = to_wgs84(report.body["lon"], report.body["lat"], CoordSys(report.body["coord_sys"]))
        outside += not len(tree.query(Point(lon, lat), predicate="intersects"))
        assert "{" not in report.body["text"]
    assert outside == 2


@pytest.mark.parametrize(("text", "expected"), [("30/min", 30), ("2/s", 120), ("90/h", 1.5), ("12", 12)])
def test_rates(text: str, expected: float) -> None:
    assert parse_rate(text) == expected


@pytest.mark.parametrize("text", ["", "fast", "0/min", "-3", "101/s", "30/day"])
def test_rates_that_make_no_sense(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_rate(text)

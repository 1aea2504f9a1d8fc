"""How demo cases end: closed, still open in every light, or suspended. Each function fills a table's instants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from api.demo.profiles import profile_of
from api.demo.timing import HOUR_US, MINUTE_US, NEVER, Clockwork
from dispatch.segments import DAY_US
from dispatch.states import CaseState

if TYPE_CHECKING:
    from api.demo.cases import CaseTable, Maker

Ints = NDArray[np.int64]

_STATES = tuple(CaseState)
_HOTLINE = 2  # counts from the next day
_TRIES = 160
#: Share of the open cases in each state; what is left is being handled.
_OPEN_SHARES = (
    (CaseState.REPORTED, 0.02),
    (CaseState.ACCEPTED, 0.012),
    (CaseState.FILED, 0.012),
    (CaseState.RETURNED, 0.022),
    (CaseState.DISPATCHED, 0.17),
    (CaseState.HANDLED, 0.14),
    (CaseState.CHECKED, 0.06),
)
#: Share of the lights among cases whose clock runs.
_GREEN, _YELLOW = 0.56, 0.22


def close(maker: Maker, table: CaseTable) -> None:
    """Take cases all the way to closed."""
    clock, rng = maker.clock, maker.rng
    n = len(table)
    _dispatch(clock, table)
    late_share = np.array([profile_of(code).late for code in maker.minor])[table.category]
    late = (rng.random(n) < late_share) & (table.due < clock.now - 8 * HOUR_US)
    window = table.due - table.dispatched
    share = rng.beta(1.3, 2.4, n) * 0.95 + 0.02
    handled = table.dispatched + np.maximum((window * share).astype(np.int64), 6 * MINUTE_US)
    handled = clock.into_the_day(np.minimum(handled, table.due), table.due)
    overrun = clock.exponential(7 * HOUR_US, n) + 20 * MINUTE_US
    handled = np.where(late, clock.into_the_day(table.due + overrun, table.due + overrun + 12 * HOUR_US), handled)
    checked = handled + clock.exponential(25 * MINUTE_US, n)
    closed = clock.into_the_day(checked + clock.exponential(70 * MINUTE_US, n), checked + DAY_US)
    # Whatever is closed was closed by now: fold the tail of young cases back into the time that has passed.
    young = closed > clock.now - 2 * MINUTE_US
    room = (clock.now - 3 * MINUTE_US - table.dispatched) * rng.uniform(0.5, 0.97, n)
    factor = np.where(young, room / (closed - table.dispatched), 1.0)
    handled, checked, closed = (
        np.where(young, table.dispatched + ((t - table.dispatched) * factor).astype(np.int64), t)
        for t in (handled, checked, closed)
    )
    table.handled[:], table.closed[:] = handled, closed
    by_checker = rng.random(n) < 0.35
    table.checked[by_checker] = checked[by_checker]
    _acknowledge(clock, table, np.arange(n), handled)
    _return_some(rng, table, 0.014)
    rework = (rng.random(n) < 0.02) & (handled <= table.due) & (handled - table.acknowledged > 20 * MINUTE_US)
    busy = handled - table.acknowledged
    table.first_handled[rework] = (table.acknowledged + busy * 0.45).astype(np.int64)[rework]
    table.reworked[rework] = (table.acknowledged + busy * 0.7).astype(np.int64)[rework]
    overdue = handled > table.due
    table.escalated[overdue] = table.due[overdue] + clock.uniform(50_000, 2_000_000, int(overdue.sum()))
    # The sweep cannot fire after the instant of handling.
    table.escalated[overdue] = np.minimum(table.escalated[overdue], handled[overdue] - 1000)
    table.level[:] = rng.choice([3, 2, 1], size=n, p=[0.915, 0.075, 0.01])
    _by_hand(table, (table.level < 3) & (table.desk == 0))
    table.state[:] = _STATES.index(CaseState.CLOSED)


def suspend(maker: Maker, table: CaseTable) -> None:
    """Park cases (挂账): approved before they were due, to a day still ahead and at most a year after."""
    clock, rng = maker.clock, maker.rng
    n = len(table)
    age = clock.now - table.reported
    # At least some days old; and at most eight months, since nothing may be suspended for more than a year.
    table.reported[:] += np.where(age > 245 * DAY_US, 140 * DAY_US, np.where(age < 12 * DAY_US, -14 * DAY_US, 0))
    _dispatch(clock, table)
    window = np.minimum(table.due, clock.now - 2 * HOUR_US) - table.dispatched
    at = table.dispatched + (window * rng.uniform(0.35, 0.85, n)).astype(np.int64)
    at = clock.into_the_day(at, np.minimum(table.due, clock.now) - HOUR_US)
    _acknowledge(clock, table, np.arange(n), at)
    table.suspended[:] = at
    latest = np.minimum(at + 360 * DAY_US, clock.now + 210 * DAY_US)
    until = clock.now + DAY_US + ((latest - clock.now - 2 * DAY_US) * rng.random(n)).astype(np.int64)
    # People name a day, not an instant: the pause ends at a local midnight.
    table.suspended_until[:] = until // DAY_US * DAY_US + 16 * HOUR_US
    table.state[:] = _STATES.index(CaseState.SUSPENDED)


def keep_open(maker: Maker, table: CaseTable) -> None:
    """Leave cases in the middle of their way, in every state and every light."""
    clock, rng = maker.clock, maker.rng
    n = len(table)
    states = np.full(n, _STATES.index(CaseState.HANDLING))
    start = 0
    for state, share in _OPEN_SHARES:
        count = min(max(1, round(n * share)), n - start) if n >= 20 else (rng.random() < n * share) * 1
        states[start : start + count] = _STATES.index(state)
        start += count
    table.state[:] = states
    wanted = np.array([0, 1, 2])[np.searchsorted([_GREEN, _GREEN + _YELLOW], rng.permutation(n) / max(n, 1), "right")]
    _age(maker, table, wanted)
    waiting = np.isin(states, [_STATES.index(s) for s in (CaseState.REPORTED, CaseState.ACCEPTED, CaseState.FILED)])
    _wait(clock, table, waiting)
    running = np.isin(
        states, [_STATES.index(s) for s in (CaseState.HANDLING, CaseState.DISPATCHED, CaseState.RETURNED)]
    )
    overdue = running & (table.due < clock.now)
    fired = table.due + clock.uniform(50_000, 2_000_000, n)
    table.escalated[overdue] = np.minimum(fired, clock.now)[overdue]
    since = np.where(waiting, clock.now, table.dispatched)
    passed = clock.now - since
    acknowledged = (
        ~waiting & (states != _STATES.index(CaseState.DISPATCHED)) & (states != _STATES.index(CaseState.RETURNED))
    )
    _acknowledge(clock, table, np.flatnonzero(acknowledged), np.full(n, clock.now))
    returned = states == _STATES.index(CaseState.RETURNED)
    table.returned[returned] = (since + passed * 0.3).astype(np.int64)[returned]
    done = np.isin(states, [_STATES.index(s) for s in (CaseState.HANDLED, CaseState.CHECKED)])
    after = np.where(acknowledged, table.acknowledged, since)
    handled = (after + (clock.now - after) * rng.uniform(0.4, 0.85, n)).astype(np.int64)
    table.handled[done] = handled[done]
    late = done & (handled > table.due)
    table.escalated[late] = np.minimum(fired, handled - 1000)[late]
    checked = states == _STATES.index(CaseState.CHECKED)
    table.checked[checked] = (handled + (clock.now - handled) * 0.5).astype(np.int64)[checked]


def _dispatch(clock: Clockwork, table: CaseTable) -> None:
    """Accept, file and dispatch: at once by rule, or some minutes later by the desk; then start the clock."""
    n = len(table)
    wait = np.minimum(3 * MINUTE_US + clock.exponential(4 * MINUTE_US, n), 25 * MINUTE_US)
    table.dispatched[:] = table.reported + np.where(table.desk == 1, wait, 0)
    table.accepted[:] = table.filed[:] = table.dispatched
    starts = clock.clock_starts(table.dispatched, table.channel == _HOTLINE)
    table.due[:], table.warn[:], table.provisional[:] = clock.due(starts, table.condition)


def _by_hand(table: CaseTable, where: NDArray[np.bool_]) -> None:
    """What went to a head above was sent there by the desk: it came in some minutes before, on the same local day."""
    into_the_day = (table.reported + 8 * HOUR_US) % DAY_US
    wait = np.minimum((3 + table.salt % 15) * MINUTE_US, into_the_day)
    table.reported[where] -= wait[where]
    table.desk[where] = 1


def _acknowledge(clock: Clockwork, table: CaseTable, rows: Ints, before: Ints) -> None:
    room = (before - table.dispatched)[rows]
    wait = np.minimum(clock.exponential(9 * MINUTE_US, len(rows)), (room * 0.6).astype(np.int64))
    table.acknowledged[rows] = table.dispatched[rows] + np.maximum(wait, 1000)


def _return_some(rng: np.random.Generator, table: CaseTable, share: float) -> None:
    """Send some cases back and out again before they were acknowledged; the deadline stays (a return buys nothing)."""
    room = table.acknowledged - table.dispatched
    some = (rng.random(len(table)) < share) & (room > 2 * MINUTE_US)
    table.returned[some] = (table.dispatched + room * 0.35).astype(np.int64)[some]
    table.redispatched[some] = (table.dispatched + room * 0.7).astype(np.int64)[some]


def _age(maker: Maker, table: CaseTable, wanted: Ints) -> None:
    """Find for each case a report instant at which its clock shows the wanted light: draw many, keep the first hit."""
    clock, rng = maker.clock, maker.rng
    n = len(table)
    span = maker.limit_us[table.condition]
    # Half of the tries near the limit itself, half far enough for nights and weekends that do not count.
    near = rng.uniform(0.05, 1.4, (n, _TRIES // 2)) * np.maximum(span, HOUR_US)[:, None]
    far = rng.uniform(0.05, 1.0, (n, _TRIES // 2)) * (span * 4.5 + 4 * DAY_US)[:, None]
    age = np.clip(np.concatenate([near, far], axis=1), 45 * MINUTE_US, 30 * DAY_US).astype(np.int64)
    age = rng.permuted(age, axis=1)
    every = np.repeat(np.arange(n), _TRIES)
    reported = clock.now - age
    tries = table.take(every)
    tries.reported[:] = reported.reshape(-1)
    _dispatch(clock, tries)
    light = np.where(clock.now > tries.due, 2, np.where(clock.now >= tries.warn, 1, 0)).reshape(n, _TRIES)
    hit = light == wanted[:, None]
    # Few people report at night: prefer a hit by day, then any hit.
    hour = (reported + 8 * HOUR_US) % DAY_US // HOUR_US
    # Nobody leaves a dispatched case unacknowledged for days.
    fresh = (age < 2 * HOUR_US) & (table.state == _STATES.index(CaseState.DISPATCHED))[:, None]
    score = fresh * 4 + hit * 2 + ((hour >= 7) & (hour < 21)) * 1
    pick = np.arange(n) * _TRIES + np.argmax(score, axis=1)
    for name in ("reported", "accepted", "filed", "dispatched", "due", "warn", "provisional"):
        getattr(table, name)[:] = getattr(tries, name)[pick]


def _wait(clock: Clockwork, table: CaseTable, waiting: NDArray[np.bool_]) -> None:
    """Undo dispatch for cases that wait at the desk, because their condition is not certain."""
    rows = np.flatnonzero(waiting)
    age = clock.uniform(4 * MINUTE_US, 80 * MINUTE_US, len(rows))
    table.reported[rows] = clock.now - age
    table.desk[rows] = 1
    for column in (table.dispatched, table.due, table.warn):
        column[rows] = NEVER
    table.provisional[rows] = 0
    table.condition[rows] = -1
    known = table.state[rows] != _STATES.index(CaseState.REPORTED)
    table.accepted[rows] = np.where(known, table.reported[rows] + age * 2 // 5, NEVER)
    filed = table.state[rows] == _STATES.index(CaseState.FILED)
    table.filed[rows] = np.where(filed, table.reported[rows] + age * 3 // 5, NEVER)

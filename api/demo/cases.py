"""The demo's cases: about 169,000 of the past year, whose totals are the published figures.

Everything is drawn from one seed and kept as columns; texts are written only when rows are written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from api.demo.geometry import District
from api.demo.outcomes import close, keep_open, suspend
from api.demo.places import SUBDISTRICTS, Subdistrict
from api.demo.placing import Placer
from api.demo.profiles import LEDGER_CLASSES, profile_of
from api.demo.timing import HOUR_US, MINUTE_US, NEVER, Clockwork
from dispatch.calendars import WorkingCalendar
from dispatch.catalogue import Catalogue
from dispatch.states import CaseState
from geo.coordinates import CoordSys

Ints = NDArray[np.int64]

STATES = tuple(CaseState)
LEDGERS = ("", "ledger_issue", "social_information", "three_illegals")
SYSTEMS = tuple(CoordSys)
#: code, zh, en, start rule, coordinate system, ticket prefix
CHANNELS: tuple[tuple[str, str, str, str, CoordSys, str], ...] = (
    ("patrol", "网格巡查", "Grid patrol", "dispatch", CoordSys.WGS84, "XC"),
    ("city_app", "城市服务 App", "City app", "dispatch", CoordSys.GCJ02, "APP"),
    ("12345", "12345 热线", "12345 hotline", "next_day", CoordSys.GCJ02, "RX"),
    ("camera", "视频监控", "Camera", "dispatch", CoordSys.CGCS2000, "SP"),
    ("mini_program", "小程序", "Mini program", "dispatch", CoordSys.BD09, "XCX"),
)
_SHARES = {"street": (0.54, 0.17, 0.12, 0.12, 0.05), "social": (0.56, 0.08, 0.32, 0.0, 0.04)}
_OUT_OF_GRID = 5
_SEES = ("E0401", "E0402", "E0403", "E0404", "E0499", "E0101", "E0405", "E0304", "E0105", "P0302")


@dataclass(slots=True, kw_only=True)
class CaseTable:
    """Columns of the cases, oldest first. Shape: (n,) each.

    Instants are microseconds UTC, `NEVER` where nothing happened; `condition` is an index into the catalogue's
    conditions (-1: not certain), `cell` an index among the level-3 cells (-1: out of grid).
    """

    subdistrict: Ints
    ledger: Ints
    category: Ints
    condition: Ints
    channel: Ints
    state: Ints
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    raw_x: NDArray[np.float64]
    raw_y: NDArray[np.float64]
    cell: Ints
    street: Ints
    spot: Ints
    desk: Ints
    reported: Ints
    accepted: Ints
    filed: Ints
    dispatched: Ints
    returned: Ints
    redispatched: Ints
    acknowledged: Ints
    first_handled: Ints
    reworked: Ints
    handled: Ints
    checked: Ints
    closed: Ints
    suspended: Ints
    suspended_until: Ints
    due: Ints
    warn: Ints
    provisional: Ints
    escalated: Ints
    level: Ints
    salt: Ints

    def __len__(self) -> int:
        return len(self.reported)

    def take(self, rows: Ints) -> CaseTable:
        """Return some of the rows."""
        return CaseTable(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cases that are counted together: a subdistrict, and a ledger of it if it has one."""

    subdistrict: int
    ledger: int
    closed: int
    open: int
    suspended: int


@dataclass(slots=True, kw_only=True)
class Maker:
    """What the drawing functions share."""

    district: District
    catalogue: Catalogue
    clock: Clockwork
    rng: np.random.Generator
    placer: Placer
    minor: list[str] = field(init=False)
    first_condition: Ints = field(init=False)
    condition_count: Ints = field(init=False)
    limit_us: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.minor = [c.code for c in self.catalogue.categories if c.parent]
        of = [c.category for c in self.catalogue.conditions]
        self.first_condition = np.array([of.index(code) for code in self.minor])
        self.condition_count = np.array([of.count(code) for code in self.minor])
        self.limit_us = np.array([c.limit.span_us for c in self.catalogue.conditions], dtype=np.int64)


def groups(*, scale: float = 1.0) -> list[Group]:
    """Split the published totals into groups; `scale` thins closed cases only and is for tests."""
    made: list[Group] = []
    for k, spec in enumerate(SUBDISTRICTS):
        made.extend(_groups_of(k, spec, scale))
    return made


def _groups_of(k: int, spec: Subdistrict, scale: float) -> list[Group]:
    parts = [(LEDGERS.index(f.ledger), f.total, f.closed) for f in spec.ledgers]
    rest = (0, spec.total - sum(p[1] for p in parts), spec.closed - sum(p[2] for p in parts))
    parts = [p for p in (rest, *parts) if p[1]]
    unsolved = spec.total - spec.closed
    made: list[Group] = []
    left = spec.open_cases
    for n, (ledger, total, closed) in enumerate(parts):
        last = n == len(parts) - 1
        # Slow ledgers (三非) wait for procedures: their share of open work is smaller than of what is unsolved.
        still = left if last else min(left, max(3, round(spec.open_cases * (total - closed) / unsolved)))
        still = min(still, total - closed)
        left -= still
        made.append(
            Group(
                subdistrict=k,
                ledger=ledger,
                closed=round(closed * scale),
                open=still,
                suspended=total - closed - still,
            )
        )
    return made


def make_cases(
    district: District,
    catalogue: Catalogue,
    calendar: WorkingCalendar,
    *,
    now: datetime,
    seed: int,
    scale: float = 1.0,
    tell: Callable[[int, int], None] | None = None,
) -> CaseTable:
    """Draw all cases. The same seed, instant and scale give the same cases.

    Cost: about five seconds and 150 MB at full scale.
    """
    rng = np.random.default_rng(seed)
    maker = Maker(
        district=district,
        catalogue=catalogue,
        clock=Clockwork(calendar, [c.limit for c in catalogue.conditions], now, rng),
        rng=rng,
        placer=Placer(district, rng),
    )
    tables: list[CaseTable] = []
    todo = groups(scale=scale)
    for done, group in enumerate(todo):
        for count, finish in ((group.closed, close), (group.open, keep_open), (group.suspended, suspend)):
            if count:
                table = _draw(maker, group, count, slow=finish is suspend)
                finish(maker, table)
                tables.append(table)
        if tell:
            tell(done + 1, len(todo))
    tables.append(_outside(maker))
    joined = CaseTable(**{f.name: np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(CaseTable)})
    return joined.take(np.argsort(joined.reported, kind="stable"))


def _classes(maker: Maker, group: Group) -> NDArray[np.float64]:
    """Weights of the minor classes: a few classes make most of the cases, as everywhere (Zipf-like)."""
    allowed = LEDGER_CLASSES.get(LEDGERS[group.ledger])
    weights = np.array([profile_of(code).weight for code in maker.minor])
    if allowed is not None:
        weights = np.where(np.isin(maker.minor, allowed), weights, 0.0)
    else:
        weights *= np.array([0.12 if code[0] == "S" else 1.0 for code in maker.minor])
        weights *= np.array([0.0 if code in LEDGER_CLASSES["three_illegals"] else 1.0 for code in maker.minor])
    # Every subdistrict has its own worries.
    weights = weights * maker.rng.uniform(0.75, 1.3, len(weights))
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _draw(maker: Maker, group: Group, n: int, *, slow: bool) -> CaseTable:
    rng = maker.rng
    category = rng.choice(len(maker.minor), size=n, p=_classes(maker, group))
    extra = rng.integers(0, 10_000, n) % maker.condition_count[category]
    condition = maker.first_condition[category] + np.where(rng.random(n) < 0.6, 0, extra)
    if slow:
        _prefer_slow(maker, group, category, condition)
    profiles = [profile_of(code) for code in maker.minor]
    social = np.char.startswith(np.array(maker.minor), "S")[category]
    channel = np.where(social, rng.choice(5, size=n, p=_SHARES["social"]), rng.choice(5, size=n, p=_SHARES["street"]))
    # A camera sees the street, not a dispute or a dead lamp in a courtyard.
    blind = (channel == 3) & ~np.isin(np.array(maker.minor)[category], _SEES)
    channel[blind] = 0
    kinds = sorted({p.places for p in profiles})
    wish = np.array([kinds.index(p.places) for p in profiles])[category]
    systems = np.array([SYSTEMS.index(c[4]) for c in CHANNELS])[channel]
    placed = maker.placer.place(group.subdistrict, kinds, wish, systems)
    reported = maker.clock.reported(profiles, category, min_age_us=50 * MINUTE_US)
    desk = (rng.random(n) < np.where(channel == 2, 0.7, 0.2)).astype(np.int64)
    never = np.full(n, NEVER)
    return CaseTable(
        subdistrict=np.full(n, group.subdistrict),
        ledger=np.full(n, group.ledger),
        category=category,
        condition=condition,
        channel=channel,
        state=np.full(n, STATES.index(CaseState.REPORTED)),
        lon=placed.lon,
        lat=placed.lat,
        raw_x=placed.raw_x,
        raw_y=placed.raw_y,
        cell=placed.cell,
        street=placed.street,
        spot=placed.spot,
        desk=desk,
        reported=reported,
        level=np.full(n, 3),
        provisional=np.zeros(n, dtype=np.int64),
        salt=rng.integers(0, 2**62, n),
        **{name: never.copy() for name in _INSTANTS},
    )


_INSTANTS = (
    "accepted", "filed", "dispatched", "returned", "redispatched", "acknowledged", "first_handled", "reworked",
    "handled", "checked", "closed", "suspended", "suspended_until", "due", "warn", "escalated",
)  # fmt: skip


def _prefer_slow(maker: Maker, group: Group, category: Ints, condition: Ints) -> None:
    """Suspension is for work that takes long: draw again what would be done in hours. Changes its arguments."""
    rng = maker.rng
    weights = _classes(maker, group)
    slowest = np.array(
        [
            first + int(np.argmax(maker.limit_us[first : first + count]))
            for first, count in zip(maker.first_condition.tolist(), maker.condition_count.tolist(), strict=True)
        ]
    )
    patient = maker.limit_us[slowest] >= 16 * HOUR_US
    weights = np.where(patient, weights, 0.0)
    category[:] = rng.choice(len(weights), size=len(category), p=weights / weights.sum())
    condition[:] = slowest[category]


def _outside(maker: Maker) -> CaseTable:
    """Reports from just outside every subdistrict: accepted all the same, waiting for somebody to decide."""
    clock, rng = maker.clock, maker.rng
    table = _draw(maker, Group(subdistrict=0, ledger=0, closed=0, open=0, suspended=0), _OUT_OF_GRID, slow=False)
    lon, lat = table.lon, table.lat
    ones = maker.district.of_level(1)
    for k in range(_OUT_OF_GRID):
        ring = ones[k % len(ones)].ring
        while True:
            corner = ring[int(rng.integers(len(ring)))]
            x = corner[0] + int(rng.integers(-22_000, 22_000))
            y = corner[1] + int(rng.integers(-18_000, 18_000))
            if maker.placer.find_cells(np.array([x / 1e7]), np.array([y / 1e7]))[0] < 0:
                lon[k], lat[k] = x / 1e7, y / 1e7
                break
    table.raw_x[:], table.raw_y[:] = lon, lat
    table.channel[:] = 0
    table.cell[:] = -1
    table.spot[:] = -1
    table.subdistrict[:] = -1
    table.reported[:] = clock.now - clock.uniform(10 * MINUTE_US, 30 * HOUR_US, _OUT_OF_GRID)
    return table

"""Where demo cases happen: repeat sites on streets and around hot spots, in the right subdistrict.

Real problems come back to the same places. Each subdistrict therefore gets a fixed set of sites with Zipf-like
weights; a case picks a site of a kind that its category likes and falls a few metres beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from api.demo.geometry import SCALE, District
from api.demo.places import SUBDISTRICTS
from geo.coordinates import CoordSys, from_wgs84, snap_to_grid, to_wgs84
from geo.lookup.edges import CellBoundary
from geo.lookup.index import CellIndex, Kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = (
    "street", "home", "market", "night_market", "school", "station", "hospital", "mall", "construction", "park",
)  # fmt: skip
_DEG_LAT_M = 110_940.0
_DEG_LON_M = 91_500.0
# How far cases scatter around a site of each kind. Units: metres, one standard deviation.
_SPREAD_M = {"street": 7.0, "home": 24.0, "construction": 30.0, "park": 26.0, "market": 22.0}
_SYSTEMS = tuple(CoordSys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place where problems recur. `spot` indexes the district's spots, -1 for a stretch of street or a courtyard.

    `along` is the vector of a street's stretch: its cases line the kerb. Units: degrees.
    """

    kind: str
    lon: float
    lat: float
    street: int
    spot: int
    weight: float
    along: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Positions of n cases. SRID: 4326 for lon, lat; raw in the declared system. Shape: (n,) each.

    `cell` is the index among the district's level-3 cells, -1 outside the grid.
    """

    lon: Floats
    lat: Floats
    raw_x: Floats
    raw_y: Floats
    cell: Ints
    street: Ints
    spot: Ints


class Placer:
    """Draws positions; the cell of a position is decided by the product's own lookup, never by the generator."""

    def __init__(self, district: District, rng: np.random.Generator) -> None:
        self.district = district
        self.rng = rng
        self.leaves = district.of_level(3)
        self._index = CellIndex.build(
            0,
            [
                CellBoundary(cell_id=k, level=1, code=cell.code, parent_id=None, boundary=cell.polygon())
                for k, cell in enumerate(self.leaves)
            ],
        )
        self._cell_ids = np.array([*self._index.cell_ids, -1], dtype=np.int64)
        codes = [s.code for s in SUBDISTRICTS]
        self.subdistrict_of = np.array([codes.index(c.code[:9]) for c in self.leaves] + [-1], dtype=np.int64)
        self.sites = [self._make_sites(k) for k in range(len(SUBDISTRICTS))]

    def find_cells(self, lon: Floats, lat: Floats) -> Ints:
        """Return the index of the level-3 cell of each position, -1 for none. Boundary: by the tie rule."""
        return self._cell_ids[self._index.find_many(lon, lat, kernel=Kernel.NUMPY)]

    def place(self, subdistrict: int, kinds: list[tuple[str, ...]], wish: Ints, systems: Ints) -> Placed:
        """Draw a position for each case.

        Parameters
        ----------
        kinds
            Sets of site kinds; the first of a set is drawn most often.
        wish
            Which set each case draws from. Shape: (n,).
        systems
            Index into `CoordSys` of the system each case declares. Shape: (n,).
        """
        n = len(wish)
        out = Placed(
            lon=np.zeros(n), lat=np.zeros(n), raw_x=np.zeros(n), raw_y=np.zeros(n),
            cell=np.full(n, -1), street=np.zeros(n, dtype=np.int64), spot=np.full(n, -1),
        )  # fmt: skip
        left = np.arange(n)
        for attempt in range(40):
            if not left.size:
                return out
            self._draw(subdistrict, kinds, wish[left], systems[left], left, out, calm=attempt > 25)
            out.cell[left] = self.find_cells(out.lon[left], out.lat[left])
            # A street on the edge of the subdistrict throws half of its cases over the edge: draw those again.
            left = left[self.subdistrict_of[out.cell[left]] != subdistrict]
        raise RuntimeError("a site lies outside its subdistrict")

    def _draw(
        self, subdistrict: int, kinds: list[tuple[str, ...]], wish: Ints, systems: Ints, rows: Ints, out: Placed,
        *, calm: bool,
    ) -> None:  # fmt: skip
        rng = self.rng
        sites = self.sites[subdistrict]
        weights = np.array([s.weight for s in sites])
        kind_of = np.array([KINDS.index(s.kind) for s in sites])
        chosen = np.zeros(len(rows), dtype=np.int64)
        for k, wanted in enumerate(kinds):
            mine = np.flatnonzero(wish == k)
            if not mine.size:
                continue
            liking = np.zeros(len(KINDS))
            for rank, kind in enumerate(wanted):
                liking[KINDS.index(kind)] = 1.0 / (rank + 1.4)
            share = weights * liking[kind_of] if not calm else np.where(kind_of == KINDS.index("home"), weights, 0)
            chosen[mine] = rng.choice(len(sites), size=mine.size, p=share / share.sum())
        spread = np.array([_SPREAD_M.get(s.kind, 15.0) for s in sites])[chosen]
        along = np.array([s.along for s in sites])[chosen] * rng.uniform(-0.5, 0.5, (rows.size, 1))
        lon = np.array([s.lon for s in sites])[chosen] + along[:, 0] + rng.normal(size=rows.size) * spread / _DEG_LON_M
        lat = np.array([s.lat for s in sites])[chosen] + along[:, 1] + rng.normal(size=rows.size) * spread / _DEG_LAT_M
        out.street[rows] = np.array([s.street for s in sites])[chosen]
        out.spot[rows] = np.array([s.spot for s in sites])[chosen]
        for k, system in enumerate(_SYSTEMS):
            mine = systems == k
            if mine.any():
                x, y = from_wgs84(lon[mine], lat[mine], system)
                # A phone or a map click gives six decimals; that is what was really sent.
                x, y = np.round(x, 6), np.round(y, 6)
                out.raw_x[rows[mine]], out.raw_y[rows[mine]] = x, y
                back_x, back_y = to_wgs84(x, y, system)
                out.lon[rows[mine]], out.lat[rows[mine]] = snap_to_grid(back_x), snap_to_grid(back_y)

    def _make_sites(self, subdistrict: int) -> list[Site]:
        """Lay out the sites of a subdistrict: spots, stretches of street, courtyards."""
        rng = self.rng
        spec = SUBDISTRICTS[subdistrict]
        district = self.district
        sites: list[Site] = []
        for k, spot in enumerate(district.spots):
            if spot.cell.startswith(spec.code):
                at = (spot.at[0] / SCALE, spot.at[1] / SCALE)
                sites.append(self._site(spot.kind, at, spot.street, k, float(rng.uniform(2, 9))))
        mine = {p for c in self.leaves if c.code.startswith(spec.code) for p in c.ring}
        edges = [(s, a, b) for s in district.streets for a, b in pairwise(s.line) if a in mine and b in mine]
        order = rng.permutation(len(edges))
        # Zipf over stretches of street, lifted on large streets: few stretches have most of the trouble.
        for rank, which in enumerate(order):
            street, a, b = edges[which]
            at = ((a[0] + b[0]) / 2 / SCALE, (a[1] + b[1]) / 2 / SCALE)
            weight = (4 - street.level) * 14.0 / (rank + 6) ** 0.8
            along = ((b[0] - a[0]) / SCALE, (b[1] - a[1]) / SCALE)
            sites.append(self._site("street", at, street.id, -1, weight, along))
        near = {a: s.id for s in district.streets for a in s.line}
        homes = [c for c in self.leaves if c.code.startswith(spec.code)]
        for cell in homes:
            for _ in range(5):
                corner = cell.ring[int(rng.integers(len(cell.ring)))]
                t = float(rng.uniform(0.35, 0.9))
                at = (
                    (corner[0] + (cell.label[0] - corner[0]) * t) / SCALE,
                    (corner[1] + (cell.label[1] - corner[1]) * t) / SCALE,
                )
                sites.append(self._site("home", at, near[corner], -1, float(rng.pareto(1.6) + 0.3)))
        return sites

    @staticmethod
    def _site(
        kind: str,
        at: tuple[float, float],
        street: int,
        spot: int,
        weight: float,
        along: tuple[float, float] = (0.0, 0.0),
    ) -> Site:
        return Site(kind=kind, lon=at[0], lat=at[1], street=street, spot=spot, weight=weight, along=along)

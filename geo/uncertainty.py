"""A position with an error: the cells it may lie in, their shares of the error circle, and whether to go and look.

The position is taken as uniformly distributed over a disc of radius ``accuracy_m``. A cell's share is the part of the
disc that the cell covers beyond its child cells, in the jurisdiction's projected system (areas in m²). The rule
`CONFIRM_RULE`: below `SURE_SHARE` for the best cell somebody has to confirm the place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import dict_row

from geo.errors import BadInputError
from geo.storage.uow import Unit

__all__ = [
    "CONFIRM_RULE",
    "MOST_ACCURACY_M",
    "SURE_SHARE",
    "Candidate",
    "Inaccurate",
    "Uncertainty",
    "assess",
    "assess_many",
    "boundary_distances",
    "check_accuracy",
    "is_clear",
    "judged",
]

CONFIRM_RULE: Final = "share-1"
SURE_SHARE: Final = 0.9
MOST_ACCURACY_M: Final = 5_000.0
_MOST_CANDIDATES: Final = 20
_LEAST_SHARE: Final = 1e-4

#: The buffer of a circle and its true radius differ by less than this.
_CLEAR: Final = 1.01

# How far it is to where the answer changes: the outline of the covering cell, or a cell inside it.
_BOUNDARY_M = """CASE WHEN own.id IS NOT NULL THEN least(
           ST_Distance(ST_Boundary(own.boundary)::geography, a.location::geography),
           (SELECT min(ST_Distance(child.boundary::geography, a.location::geography))
              FROM geo.cell AS child WHERE child.parent_id = own.id)) END"""

# The circle is a polygon of 256 sides, 0.01 % smaller than the disc; shares are of the polygon, so they add up. Cells
# are cut in degrees, where their edges are straight, and only the small piece is projected for its area. Where the
# circle stays clear of every outline nothing is cut: the one cell has it all, which is most positions of a good phone.
# A centimetre at least: a smaller circle has no area in floating point.
_SHARES = f"""
WITH asked AS MATERIALIZED (
  SELECT a.place, a.version_id, a.accuracy_m, j.metric_srid AS srid,
         ST_SetSRID(ST_MakePoint(a.lon, a.lat), 4326) AS location
    FROM unnest(%(jurisdictions)s::text[], %(versions)s::int[], %(lons)s::float8[], %(lats)s::float8[],
                %(accuracies)s::float8[]) WITH ORDINALITY AS a (jurisdiction, version_id, lon, lat, accuracy_m, place)
    JOIN geo.jurisdiction AS j ON j.code = a.jurisdiction),
placed AS MATERIALIZED (
  SELECT a.*, own.id AS cell_id, {_BOUNDARY_M} AS boundary_m
    FROM asked AS a
    LEFT JOIN LATERAL geo.covering_cell(a.version_id, a.location) AS found ON true
    LEFT JOIN geo.cell AS own ON own.id = found.id),
circles AS MATERIALIZED (
  SELECT p.*, coalesce(p.boundary_m > {_CLEAR} * p.accuracy_m, false) AS is_clear,
         CASE WHEN NOT coalesce(p.boundary_m > {_CLEAR} * p.accuracy_m, false) THEN ST_Transform(
           ST_Buffer(ST_Transform(p.location, p.srid), greatest(p.accuracy_m, 0.01), 'quad_segs=64'), 4326) END AS disc
    FROM placed AS p)
SELECT k.place, k.boundary_m, n.*
  FROM circles AS k
  LEFT JOIN LATERAL (
    SELECT c.id, c.parent_id, c.level, c.code, c.name_zh, c.name_en, c.kind, 1.0::float8 AS share
      FROM geo.cell AS c WHERE k.is_clear AND c.id = k.cell_id
    UNION ALL
    SELECT c.id, c.parent_id, c.level, c.code, c.name_zh, c.name_en, c.kind,
           ST_Area(ST_Transform(CASE WHEN ST_CoveredBy(c.boundary, k.disc) THEN c.boundary
                                     ELSE ST_Intersection(c.boundary, k.disc) END, k.srid))
             / ST_Area(ST_Transform(k.disc, k.srid)) AS share
      FROM geo.cell AS c
     WHERE NOT k.is_clear AND c.version_id = k.version_id AND c.boundary && k.disc
       AND ST_Intersects(c.boundary, k.disc)) AS n ON true
 ORDER BY k.place
"""  # noqa: S608 - constants only
_DISTANCES = f"""
SELECT {_BOUNDARY_M}
  FROM (SELECT place, cell_id, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS location
          FROM unnest(%(cells)s::bigint[], %(lons)s::float8[], %(lats)s::float8[])
               WITH ORDINALITY AS p (cell_id, lon, lat, place)) AS a
  LEFT JOIN geo.cell AS own ON own.id = a.cell_id
 ORDER BY a.place
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A cell that the position may lie in. ``share`` of the disc, 0 to 1."""

    level: int
    code: str
    name_zh: str
    name_en: str
    kind: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """What an inaccurate position allows to say. Units: metres.

    ``candidates`` are ranked by share, then code; ``outside_share`` is the part of the disc that no cell covers.
    ``boundary_m`` is the geodesic distance to where the answer changes: the outline of the covering cell or of a cell
    inside it. None outside, where the nearest cells tell their distances.
    """

    accuracy_m: float
    candidates: tuple[Candidate, ...]
    outside_share: float
    boundary_m: float | None

    @property
    def confirm_on_site(self) -> bool:
        """Whether the place is ambiguous by `CONFIRM_RULE`."""
        return max((candidate.share for candidate in self.candidates), default=0.0) < SURE_SHARE


def check_accuracy(accuracy_m: float) -> None:
    """Refuse what is no usable radius.

    Raises
    ------
    BadInputError
        ``geo.accuracy_out_of_range``.
    """
    if not 0.0 < accuracy_m <= MOST_ACCURACY_M:  # NaN fails as well
        raise BadInputError("geo.accuracy_out_of_range", accuracy_m=str(accuracy_m), most=MOST_ACCURACY_M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inaccurate:
    """A position with an error, to be looked at in a grid version. SRID: 4326. Units: degrees, metres."""

    jurisdiction: str
    version_id: int
    lon: float
    lat: float
    accuracy_m: float


async def assess(
    unit: Unit, jurisdiction: str, version_id: int, lon: float, lat: float, accuracy_m: float
) -> Uncertainty:
    """Rank the cells of a version that a position with an error may lie in: `assess_many` of one."""
    asked = Inaccurate(jurisdiction=jurisdiction, version_id=version_id, lon=lon, lat=lat, accuracy_m=accuracy_m)
    return (await assess_many(unit, [asked]))[0]


async def assess_many(unit: Unit, asked: Sequence[Inaccurate]) -> list[Uncertainty]:
    """Rank, for each of many positions, the cells it may lie in.

    Returns
    -------
    list of Uncertainty
        In the order asked.

    Raises
    ------
    BadInputError
        ``geo.accuracy_out_of_range``.

    Notes
    -----
    Cost: one round trip; about 0.2 ms a position whose circle stays inside its cell, 0.1 ms for every cell that the
    edge of the circle crosses.
    """
    for one in asked:
        check_accuracy(one.accuracy_m)
    values = {
        "jurisdictions": [one.jurisdiction for one in asked],
        "versions": [one.version_id for one in asked],
        "lons": [one.lon for one in asked],
        "lats": [one.lat for one in asked],
        "accuracies": [one.accuracy_m for one in asked],
    }
    rows: list[list[dict[str, Any]]] = [[] for _ in asked]
    boundary: list[float | None] = [None] * len(asked)
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SHARES, values)
        for row in await cursor.fetchall():
            place = row["place"] - 1
            boundary[place] = row["boundary_m"]
            if row["id"] is not None:
                rows[place].append(row)
    return [judged(one.accuracy_m, found, distance) for one, found, distance in zip(asked, rows, boundary, strict=True)]


async def boundary_distances(
    unit: Unit, cell_ids: Sequence[int | None], lons: Sequence[float], lats: Sequence[float]
) -> list[float | None]:
    """Return how far each position is from where its cell's answer changes; None where no cell covers it.

    SRID: 4326. Units: metres, geodesic. Cost: one round trip; about 20 µs a position, more in cells of many vertices.
    """
    values = {"cells": list(cell_ids), "lons": list(lons), "lats": list(lats)}
    driver = await unit.driver()
    found = await driver.execute(_DISTANCES, values, binary=True)
    return [row[0] for row in await found.fetchall()]


def is_clear(accuracy_m: float, boundary_m: float | None) -> bool:
    """Whether the circle stays clear of every outline, so that the covering cell has it all."""
    return boundary_m is not None and boundary_m > _CLEAR * accuracy_m


def judged(accuracy_m: float, rows: Sequence[Mapping[str, Any]], boundary_m: float | None) -> Uncertainty:
    """Rank what was measured: rows of ``id``, ``parent_id``, ``share`` and the cell's own facts."""
    candidates = own_shares(rows)
    return Uncertainty(
        accuracy_m=accuracy_m,
        candidates=candidates[:_MOST_CANDIDATES],
        outside_share=max(0.0, round(1.0 - sum(candidate.share for candidate in candidates), 4)),
        boundary_m=None if boundary_m is None else round(boundary_m, 1),
    )


def own_shares(rows: Sequence[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    """Take from each cell what its children cover, because a point there belongs to the child; rank the rest."""
    share: dict[object, float] = {row["id"]: float(row["share"]) for row in rows}
    own = dict(share)
    for row in rows:
        if row["parent_id"] in own:
            own[row["parent_id"]] -= share[row["id"]]
    found = [
        Candidate(
            level=row["level"],
            code=row["code"],
            name_zh=row["name_zh"],
            name_en=row["name_en"],
            kind=row["kind"],
            share=round(min(own[row["id"]], 1.0), 4),
        )
        for row in rows
        if own[row["id"]] >= _LEAST_SHARE
    ]
    return tuple(sorted(found, key=lambda candidate: (-candidate.share, candidate.code)))

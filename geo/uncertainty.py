"""A position with an error: the cells it may lie in, their shares of the error circle, and whether to go and look.

The position is taken as uniformly distributed over a disc of radius ``accuracy_m``. A cell's share is the part of the
disc that the cell covers beyond its child cells, in the jurisdiction's projected system (areas in m²). The rule
`CONFIRM_RULE`: below `SURE_SHARE` for the best cell somebody has to confirm the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg.rows import dict_row

from geo.errors import BadInputError
from geo.storage.uow import Unit

__all__ = ["CONFIRM_RULE", "MOST_ACCURACY_M", "SURE_SHARE", "Candidate", "Uncertainty", "assess", "check_accuracy"]

CONFIRM_RULE: Final = "share-1"
SURE_SHARE: Final = 0.9
MOST_ACCURACY_M: Final = 5_000.0
_MOST_CANDIDATES: Final = 20
_LEAST_SHARE: Final = 1e-4

# The circle is a polygon of 256 sides, 0.01 % smaller than the disc; shares are of the polygon, so they add up.
# A cell inside the circle needs no intersection, which is most of them when the circle is large.
_CELLS = """
WITH circle AS MATERIALIZED (
  SELECT j.metric_srid AS srid,
         ST_Buffer(ST_Transform(p.location, j.metric_srid), %(accuracy)s, 'quad_segs=64') AS disc, p.location
    FROM geo.jurisdiction AS j, (SELECT ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326) AS location) AS p
   WHERE j.code = %(jurisdiction)s),
near AS MATERIALIZED (
  SELECT c.id, c.parent_id, c.level, c.code, c.name_zh, c.name_en, c.kind, ST_Transform(c.boundary, k.srid) AS shape
    FROM circle AS k
    JOIN geo.cell AS c ON c.version_id = %(version)s AND c.boundary && ST_Transform(k.disc, 4326))
SELECT n.id, n.parent_id, n.level, n.code, n.name_zh, n.name_en, n.kind,
       CASE WHEN ST_CoveredBy(n.shape, k.disc) THEN ST_Area(n.shape)
            ELSE ST_Area(ST_Intersection(n.shape, k.disc)) END / ST_Area(k.disc) AS share
  FROM near AS n, circle AS k
 WHERE ST_Intersects(n.shape, k.disc)
"""
# Geodesic, to the outline of the cell that covers the point.
_BOUNDARY = """
SELECT ST_Distance(ST_Boundary(c.boundary)::geography, p.location::geography)
  FROM (SELECT ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326) AS location) AS p
  CROSS JOIN LATERAL geo.covering_cell(%(version)s, p.location) AS found
  JOIN geo.cell AS c ON c.id = found.id
"""


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
    ``boundary_m`` is the distance to the outline of the covering cell, None outside.
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


async def assess(
    unit: Unit, jurisdiction: str, version_id: int, lon: float, lat: float, accuracy_m: float
) -> Uncertainty:
    """Rank the cells of a version that a position with an error may lie in.

    Parameters
    ----------
    lon, lat
        Units: degrees. SRID: 4326.

    Notes
    -----
    Cost: a few milliseconds for a circle over ten cells; about 0.1 ms a cell that its edge crosses.
    """
    check_accuracy(accuracy_m)
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "version": version_id, "lon": lon, "lat": lat, "accuracy": accuracy_m}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CELLS, values)
        candidates = own_shares(await cursor.fetchall())
    found = await (await driver.execute(_BOUNDARY, values)).fetchone()
    return Uncertainty(
        accuracy_m=accuracy_m,
        candidates=candidates[:_MOST_CANDIDATES],
        outside_share=max(0.0, round(1.0 - sum(candidate.share for candidate in candidates), 4)),
        boundary_m=round(float(found[0]), 1) if found else None,
    )


def own_shares(rows: Sequence[dict[str, object]]) -> tuple[Candidate, ...]:
    """Take from each cell what its children cover, because a point there belongs to the child; rank the rest."""
    share: dict[object, float] = {row["id"]: float(str(row["share"])) for row in rows}
    own = dict(share)
    for row in rows:
        if row["parent_id"] in own:
            own[row["parent_id"]] -= share[row["id"]]
    found = [
        Candidate(
            level=int(str(row["level"])),
            code=str(row["code"]),
            name_zh=str(row["name_zh"]),
            name_en=str(row["name_en"]),
            kind=str(row["kind"]),
            share=round(min(own[row["id"]], 1.0), 4),
        )
        for row in rows
        if own[row["id"]] >= _LEAST_SHARE
    ]
    return tuple(sorted(found, key=lambda candidate: (-candidate.share, candidate.code)))

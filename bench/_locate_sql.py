"""The SQL side of ``bench locate``: the same cells and points in PostGIS, joined in the best ways known."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import psycopg
import shapely

from geo.coordinates import SRID_WGS84
from geo.lookup import CellBoundary

_TABLES = """
CREATE UNLOGGED TABLE cell (level int NOT NULL, code text COLLATE "C" NOT NULL, number int,
                            boundary geometry(MultiPolygon, 4326) NOT NULL);
CREATE UNLOGGED TABLE point (id int NOT NULL, location geometry(Point, 4326) NOT NULL);
"""
_NUMBER = """
UPDATE cell SET number = ranked.number
  FROM (SELECT code, row_number() OVER (ORDER BY level DESC, code) - 1 AS number FROM cell) AS ranked
 WHERE ranked.code = cell.code
"""
# The joins see the deepest cells only (a third of the work), bare of every other column, in both physical forms.
_PREPARE = """
CREATE INDEX ON cell USING gist (boundary);
CREATE UNLOGGED TABLE leaf AS SELECT number, boundary FROM cell WHERE level = (SELECT max(level) FROM cell)
  ORDER BY ST_GeoHash(ST_Centroid(boundary));
CREATE UNLOGGED TABLE leaf_indexed AS TABLE leaf;
CREATE INDEX ON leaf_indexed USING gist (boundary);
ALTER TABLE point SET (parallel_workers = 2);
ALTER TABLE leaf SET (parallel_workers = 2);
"""
_SETTINGS = """
SET work_mem = '512MB'; SET maintenance_work_mem = '512MB'; SET jit = off;
SET max_parallel_workers_per_gather = 2; SET max_parallel_workers = 4; SET max_parallel_maintenance_workers = 2;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
"""
_FROM_POINTS = """
SELECT count(*), sum(c.number) FROM point AS p JOIN leaf_indexed AS c ON ST_Covers(c.boundary, p.location)
"""
_FROM_CELLS = """
SELECT count(*), sum(c.number) FROM leaf AS c JOIN point_indexed AS p ON ST_Covers(c.boundary, p.location)
"""
# The tie rule over all levels: `number` counts the cells in its order.
_ANSWERS = """
SELECT found.id, c.code
  FROM (SELECT p.id, min(c.number) AS number FROM point AS p JOIN cell AS c ON ST_Covers(c.boundary, p.location)
         GROUP BY p.id) AS found
  JOIN cell AS c USING (number)
"""


class SqlSide:
    """One connection with the benchmark's tables."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def load(self, cells: Sequence[CellBoundary], lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> None:
        """Copy cells and points in, number the cells by the tie rule, build indexes, gather statistics."""
        self._connection.execute(_SETTINGS)
        self._connection.execute(_TABLES)
        shapes = _ewkb(np.array([cell.boundary for cell in cells], dtype=object))
        spots = _ewkb(np.asarray(shapely.points(lon, lat)))
        with self._connection.cursor() as cursor:
            with cursor.copy("COPY cell (level, code, boundary) FROM STDIN") as copy:
                for cell, shape in zip(cells, shapes, strict=True):
                    copy.write_row((cell.level, cell.code, shape))
            with cursor.copy("COPY point (id, location) FROM STDIN") as copy:
                for number, spot in enumerate(spots):
                    copy.write_row((number, spot))
        self._connection.execute(_NUMBER)
        self._connection.execute(_PREPARE)
        for table in ("cell", "leaf", "leaf_indexed", "point"):
            self._connection.execute(f"VACUUM ANALYZE {table}")

    def join_from_points(self) -> None:
        """For each point, its cells by the cells' index. The cells' index is free of charge, as ours is."""
        self._connection.execute(_FROM_POINTS)

    def join_from_cells(self) -> None:
        """Index the points first, then for each cell its points: each cell is prepared once for all its points."""
        self._connection.execute("DROP TABLE IF EXISTS point_indexed")
        self._connection.execute("CREATE UNLOGGED TABLE point_indexed AS TABLE point")
        self._connection.execute("CREATE INDEX ON point_indexed USING gist (location)")
        self._connection.execute("ANALYZE point_indexed")
        self._connection.execute(_FROM_CELLS)

    def answers(self, count: int) -> list[str | None]:
        """Code of the one cell of every point by the tie rule over all levels, None outside."""
        codes: list[str | None] = [None] * count
        for number, code in self._connection.execute(_ANSWERS):
            codes[number] = code
        return codes


def _ewkb(shapes: npt.NDArray[np.object_]) -> list[str]:
    shapes = shapely.set_srid(shapes, SRID_WGS84)
    texts: list[str] = shapely.to_wkb(shapes, hex=True, include_srid=True).tolist()
    return texts

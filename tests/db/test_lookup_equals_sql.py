"""PostGIS and the index in memory give the same answer, edges and corners included."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psycopg
import pytest
import shapely
import shapely.geometry
from shapely.geometry.base import BaseGeometry

from bench._locate_sql import SqlSide
from bench._ties import judge
from bench.tiling import make_tiling
from geo.coordinates import GRID_PER_DEGREE, to_grid
from geo.lookup import CellBoundary, CellIndex, Kernel
from geo.storage.cluster import Cluster

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
Grid = npt.NDArray[np.int64]


@pytest.fixture
def sql(cluster: Cluster) -> Iterator[SqlSide]:
    name = "lookup_equals_sql"
    cluster.create_database(name)
    url = cluster.url(name).replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION postgis")
    with SqlSide(url) as side:
        yield side
    cluster.drop_database(name)


def compare(sql: SqlSide, cells: list[CellBoundary], grid: Grid) -> int:
    """Ask both about every point; every difference must be a proven decimal tie. Gives back how many there were."""
    lon, lat = (np.ascontiguousarray(grid[:, axis] / GRID_PER_DEGREE) for axis in (0, 1))
    index = CellIndex.build(1, cells)
    sql.load(cells, lon, lat)
    by_sql = sql.answers(len(lon))
    numbers = index.find_many(lon, lat, kernel=Kernel.NUMPY)
    assert (numbers == index.find_many(lon, lat, kernel=Kernel.COMPILED)).all()
    by_index = [index.codes[number] if number >= 0 else None for number in numbers.tolist()]
    differ = [place for place in range(len(grid)) if by_index[place] != by_sql[place]]
    ties = judge(cells, grid[differ], [by_sql[place] for place in differ], [by_index[place] for place in differ])
    assert [str(tie) for tie in ties if not tie.is_proven] == []
    sample = range(0, len(lon), 7)
    assert [index.find(float(lon[place]), float(lat[place])) for place in sample] == numbers[::7].tolist()
    return len(ties)


def test_on_a_hundred_thousand_points_of_an_irregular_tiling(sql: SqlSide) -> None:
    tiling = make_tiling(40, 30)
    cells = list(tiling.cells())
    grid = tiling.points(np.random.default_rng(20261121), 120_000, 30_000)
    ties = compare(sql, cells, grid)
    # Doubles lose about every third tie on a slanting edge; were there none, the points would not lie where they claim.
    assert 3_000 < ties < 20_000


def test_where_only_straight_edges_and_vertices_are_hit_sql_never_differs(sql: SqlSide) -> None:
    """Along meridians and parallels, and at vertices, doubles are exact: not one difference is excused."""
    side, west, south = 10_000, 1_136_000_000, 347_000_000
    cells = [
        _cell(number, f"{number * 37 % 100:02d}", shapely.box(x, y, x + side, y + side))
        for number, (x, y) in enumerate((west + side * (n % 10), south + side * (n // 10)) for n in range(100))
    ]
    rng = np.random.default_rng(3)
    along = np.column_stack([rng.integers(-1, 12, 20_000) * side, rng.integers(-500, 100_500, 20_000)])
    corners = np.stack(np.meshgrid(np.arange(11), np.arange(11)), axis=-1).reshape(-1, 2) * side
    grid: Grid = np.concatenate([along, along[:, ::-1], corners]) + np.array([west, south])
    assert compare(sql, cells, grid) == 0


def test_where_branches_are_unequally_deep(sql: SqlSide) -> None:
    """Level-2 cells of which every third has no children."""
    cells = list(make_tiling(16, 16, block=4).cells())
    childless = [cell.code for number, cell in enumerate(cell for cell in cells if cell.level == 2) if number % 3 == 0]
    kept = [cell for cell in cells if not (cell.level == 3 and cell.code[:-4] in childless)]
    assert len({cell.level for cell in kept if cell.parent_id is not None}) == 2
    compare(sql, kept, _everywhere_and_vertices(kept, 40_000))


@pytest.mark.parametrize("name", ["zhengzhou_townships_2000", "zurich_districts_wgs84"])
def test_on_real_boundaries(sql: SqlSide, name: str) -> None:
    """Long edges, lakes, and neighbours that do not quite meet; an invented outline where the real data is absent."""
    cells = _real_cells(SHARED / f"{name}.geojson.gz") or list(make_tiling(9, 9, size_deg=0.05).cells())
    compare(sql, cells, _everywhere_and_vertices(cells, 40_000))


def _everywhere_and_vertices(cells: list[CellBoundary], free: int) -> Grid:
    vertices = to_grid(shapely.get_coordinates([cell.boundary for cell in cells]))
    rng = np.random.default_rng(11)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return np.concatenate([rng.integers(low - 1000, high + 1000, size=(free, 2)), vertices[:80_000]])


def _real_cells(path: Path) -> list[CellBoundary]:
    """Read polygons and, where they carry a district code, put the union of each district above them."""
    if not path.is_file():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        features = json.load(file)["features"]
    units = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    shapes = [_valid(shapely.transform(shape, lambda pairs: np.rint(pairs * 1e7))) for shape in units]
    districts: dict[str, list[int]] = {}
    for number, feature in enumerate(features):
        districts.setdefault(str(feature["properties"].get("district", "")), []).append(number)
    cells: list[CellBoundary] = []
    for place, (district, members) in enumerate(sorted(districts.items())):
        parent = 10_000 + place if district else None
        if district:
            union = _valid(shapely.union_all([shapes[number] for number in members], grid_size=1.0))
            cells.append(_cell(10_000 + place, district, union))
        for number in members:
            code = f"{district}{number:04d}"
            cells.append(_cell(number, code, shapes[number], level=2 if district else 1, parent_id=parent))
    return cells


def _valid(shape: BaseGeometry) -> BaseGeometry:
    """Rounding to the grid may pinch a sliver; what is left must be polygons with whole coordinates."""
    if not shape.is_valid:
        shape = shapely.set_precision(shapely.make_valid(shape), 1.0)
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    return shapely.MultiPolygon(parts)


def _cell(
    cell_id: int, code: str, shape: BaseGeometry, *, level: int = 1, parent_id: int | None = None
) -> CellBoundary:
    """A cell from a shape in grid units."""
    degrees = shapely.transform(shape, lambda pairs: np.rint(pairs) / GRID_PER_DEGREE)
    parts = shapely.MultiPolygon(shapely.get_parts(degrees).tolist())
    return CellBoundary(cell_id=cell_id, level=level, code=code, parent_id=parent_id, boundary=parts)

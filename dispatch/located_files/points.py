"""What a file of points is, whatever its format: batches of rows with positions, and the rows that have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from dispatch.importing.rows import Rejection
from geo.coordinates import CoordSys, check_position, snap_to_grid, to_wgs84
from geo.errors import BadInputError
from geo.uncertainty import check_accuracy

__all__ = ["OWN_PREFIX", "Batch", "PointFile", "PointOptions", "Raw", "judge", "read_shapes", "refusal"]

Floats = npt.NDArray[np.float64]
#: Our columns begin so; such columns of an earlier run are replaced.
OWN_PREFIX = "gw_"
BATCH_ROWS = 10_000
_LON_NAMES = ("lon", "lng", "longitude", "经度", "x")
_LAT_NAMES = ("lat", "latitude", "纬度", "y")
_SHAPE_NAMES = ("wkt", "geometry", "geom")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointOptions:
    """How to read a file of points.

    Parameters
    ----------
    lon, lat, geometry
        Names of columns; guessed from the usual names when none is given.
    coord_sys
        Declared system; None takes what the file says of itself (GeoParquet), and is refused where it says nothing.
    accuracy
        Radius of the error in metres, or the column that holds it. Units: metres.
    """

    lon: str | None = None
    lat: str | None = None
    geometry: str | None = None
    coord_sys: CoordSys | None = None
    accuracy: float | str | None = None
    encoding: str | None = None
    delimiter: str | None = None

    def columns(self, names: Sequence[str]) -> tuple[str, str] | str:
        """The pair of columns, or the one with geometries.

        Raises
        ------
        BadInputError
            ``locating.no_columns``, ``locating.half_columns``, ``locating.column_unknown``.
        """
        if (self.lon is None) != (self.lat is None):
            raise BadInputError("locating.half_columns")
        for wanted in (self.lon, self.lat, self.geometry, self.accuracy if isinstance(self.accuracy, str) else None):
            if wanted is not None and wanted not in names:
                raise BadInputError("locating.column_unknown", column=wanted, known=list(names))
        if self.geometry is not None:
            return self.geometry
        if self.lon is not None and self.lat is not None:
            return self.lon, self.lat
        by_name = {name.strip().lower(): name for name in reversed(names)}
        lon = next((by_name[name] for name in _LON_NAMES if name in by_name), None)
        lat = next((by_name[name] for name in _LAT_NAMES if name in by_name), None)
        if lon is not None and lat is not None:
            return lon, lat
        shape = next((by_name[name] for name in _SHAPE_NAMES if name in by_name), None)
        if shape is None:
            raise BadInputError("locating.no_columns", known=list(names))
        return shape


@dataclass(slots=True, kw_only=True)
class Raw:
    """Rows as read. ``x`` and ``y`` are longitude and latitude in the source's system; NaN where ``faults`` say why."""

    table: pa.Table
    rows: Sequence[int]
    lines: Sequence[int]
    x: Floats
    y: Floats
    accuracy: Sequence[Any] | None = None
    faults: dict[int, BadInputError] = field(default_factory=dict)
    unreadable: list[Rejection] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that can be located, with their positions in WGS84 on the 1e-7° grid, and those that cannot."""

    table: pa.Table
    lon: Floats
    lat: Floats
    accuracy: Sequence[float | None]
    rejected: Sequence[Rejection]
    last_line: int


class PointFile(Protocol):
    """A file whose shape is known."""

    @property
    def schema(self) -> pa.Schema:
        """Columns that are carried over."""

    @property
    def header(self) -> Sequence[str]:
        """Names of all columns, for the reject file."""

    @property
    def coord_sys(self) -> CoordSys:
        """The system that raw positions are in."""

    @property
    def total(self) -> int:
        """How many lines or rows there are; 0 when nobody knows."""

    def batches(self) -> Iterator[Raw]:
        """Read the file, a batch of rows at a time."""


def kept(names: Sequence[str]) -> list[str]:
    """Columns to carry over: all but those of an earlier run."""
    return [name for name in names if not name.startswith(OWN_PREFIX)]


def read_shapes(shapes: Sequence[Any], faults: dict[int, BadInputError]) -> tuple[Floats, Floats]:
    """Coordinates of geometries (shapely objects, None where there is none); what is no point becomes a fault."""
    found = np.asarray(shapes, dtype=object)
    is_point = (shapely.get_type_id(found) == shapely.GeometryType.POINT) & ~shapely.is_empty(found)
    x, y = np.full(len(found), np.nan), np.full(len(found), np.nan)
    x[is_point], y[is_point] = shapely.get_x(found[is_point]), shapely.get_y(found[is_point])
    for place in np.flatnonzero(~is_point).tolist():
        if place not in faults:
            shape = found[place]
            if shape is None or shape.is_empty:
                faults[place] = BadInputError("locating.no_position")
            else:
                faults[place] = BadInputError("locating.not_a_point", kind=shape.geom_type)
    return x, y


def judge(raw: Raw, coord_sys: CoordSys, accuracy: float | str | None) -> Batch:
    """Part the rows that can be located from those that cannot, and convert the positions of the former."""
    radii: list[float | None] = [None] * len(raw.rows)
    for place, (x, y) in enumerate(zip(raw.x.tolist(), raw.y.tolist(), strict=True)):
        if place in raw.faults:
            continue
        try:
            check_position(x, y)
            if raw.accuracy is not None:
                radii[place] = _radius(raw.accuracy[place])
            elif isinstance(accuracy, float):
                radii[place] = accuracy
        except BadInputError as error:
            raw.faults[place] = error
    rejected = list(raw.unreadable)
    for place, fault in raw.faults.items():
        values = [_text(value) for value in raw.table.slice(place, 1).to_pylist()[0].values()]
        rejected.append(refusal(raw.rows[place], raw.lines[place], fault, values))
    last = max((*raw.lines, *(each.line for each in raw.unreadable)), default=0)
    good = np.ones(len(raw.rows), dtype=bool)
    good[list(raw.faults)] = False
    lon, lat = to_wgs84(raw.x[good], raw.y[good], coord_sys)
    return Batch(
        table=raw.table.filter(pa.array(good)) if raw.faults else raw.table,
        lon=np.asarray(snap_to_grid(lon)),
        lat=np.asarray(snap_to_grid(lat)),
        accuracy=[radius for radius, is_good in zip(radii, good.tolist(), strict=True) if is_good],
        rejected=rejected,
        last_line=last,
    )


def refusal(row: int, line: int, fault: BadInputError, values: Sequence[str]) -> Rejection:
    """A row that was not located, with the reason."""
    params = {
        name: ", ".join(map(str, said)) if isinstance(said, list) else said for name, said in fault.params.items()
    }
    return Rejection(row=row, line=line, code=fault.code, params=params, values=values)


def _radius(value: Any) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    radius = read_number(value, "accuracy")
    check_accuracy(radius)
    return radius


def read_number(value: Any, column: str) -> float:
    """A number as files write it.

    Raises
    ------
    BadInputError
        ``locating.not_a_number``, ``locating.no_position`` for nothing at all.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadInputError("locating.no_position")
    # Python reads "1_1" as a number; nobody else does.
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise BadInputError("locating.not_a_number", column=column, value=str(value)[:60])
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadInputError("locating.not_a_number", column=column, value=str(value)[:60]) from None


def _text(value: Any) -> str:
    return "" if value is None else value.hex() if isinstance(value, bytes) else str(value)


def open_points(path: Path, options: PointOptions) -> PointFile:
    """Look at a file: CSV (also .gz), or Parquet with or without the geometries of GeoParquet.

    Raises
    ------
    BadInputError
        ``import.file_missing`` and the other faults of files; ``locating.*`` for what is particular to points.
    """
    from dispatch.located_files.csv_points import CsvPoints
    from dispatch.located_files.parquet_points import ParquetPoints

    if not path.is_file():
        raise BadInputError("import.file_missing", file=path.name)
    with path.open("rb") as start:
        is_parquet = start.read(4) == b"PAR1"
    return ParquetPoints.open(path, options) if is_parquet else CsvPoints.open(path, options)

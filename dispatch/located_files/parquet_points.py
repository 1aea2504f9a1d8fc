"""Points in Parquet: GeoParquet 1.x geometries (WKB or native points, any reference system), or two plain columns.

Source: GeoParquet specification 1.1.0. Coordinates are always in the order x, y there, whatever the system's axes say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from dispatch.located_files.points import BATCH_ROWS, Floats, PointOptions, Raw, kept, read_number, read_shapes
from geo.coordinates import CoordSys
from geo.errors import BadInputError

__all__ = ["ParquetPoints"]

_WGS84 = ("OGC:CRS84", "OGC:CRS84h", "EPSG:4326", "EPSG:4979")
_CGCS2000 = ("EPSG:4490", "EPSG:4480")


@dataclass(frozen=True, slots=True)
class ParquetPoints:
    """A Parquet file of points; columns keep their types."""

    file: pq.ParquetFile
    where: tuple[str, str] | str
    is_native: bool
    accuracy: str | None
    coord_sys: CoordSys
    transform: Transformer | None

    @classmethod
    def open(cls, path: Path, options: PointOptions) -> Self:
        """Read the file's schema and what it says of its geometries."""
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as broken:
            raise BadInputError("import.file_unreadable", reason=str(broken)[:200]) from broken
        names = file.schema_arrow.names
        geo = _geo(file.schema_arrow.metadata or {})
        if options.geometry is None and options.lon is None and options.lat is None and geo is not None:
            primary = str(geo.get("primary_column"))
            if primary not in names:
                raise BadInputError("locating.geo_metadata", reason=f"primary_column {primary}")
            options = replace(options, geometry=primary)
        where = options.columns(names)
        accuracy = options.accuracy if isinstance(options.accuracy, str) else None
        if isinstance(where, tuple):
            if options.coord_sys is None:
                raise BadInputError("locating.coord_sys_required", known=[system.value for system in CoordSys])
            return cls(file, where, False, accuracy, options.coord_sys, None)
        described = _described(geo, where)
        encoding = str(described.get("encoding", "WKB"))
        if encoding not in {"WKB", "point"}:
            raise BadInputError("locating.encoding", column=where, encoding=encoding[:40])
        is_native = encoding == "point"
        coord_sys, transform = _system(described, options.coord_sys, is_described=geo is not None)
        return cls(file, where, is_native, accuracy, coord_sys, transform)

    @property
    def header(self) -> Sequence[str]:
        """Names of the columns."""
        return [str(name) for name in self.file.schema_arrow.names]

    @property
    def schema(self) -> pa.Schema:
        """Columns that are carried over, with what the file says of them."""
        schema = self.file.schema_arrow
        names, metadata = kept(schema.names), dict(schema.metadata or {})
        geo = _geo(metadata)
        if geo is not None and not set(geo["columns"]) <= set(names):
            del metadata[b"geo"]  # it would speak of a column of ours that is made anew
        return pa.schema([schema.field(name) for name in names], metadata=metadata)

    @property
    def total(self) -> int:
        """Rows of the file."""
        return int(self.file.metadata.num_rows)

    def batches(self) -> Iterator[Raw]:
        """Read the file, a batch of rows at a time."""
        done = 0
        for batch in self.file.iter_batches(batch_size=BATCH_ROWS):
            whole = pa.Table.from_batches([batch])
            numbers = range(done + 1, done + 1 + whole.num_rows)
            done += whole.num_rows
            faults: dict[int, BadInputError] = {}
            x, y = self._positions(whole, faults)
            yield Raw(
                table=whole.select(self.schema.names).cast(self.schema),
                rows=numbers,
                lines=numbers,
                x=x,
                y=y,
                accuracy=whole.column(self.accuracy).to_pylist() if self.accuracy else None,
                faults=faults,
            )

    def _positions(self, whole: pa.Table, faults: dict[int, BadInputError]) -> tuple[Floats, Floats]:
        if isinstance(self.where, tuple):
            x, y = (_numbers(whole.column(name).to_pylist(), name, faults) for name in self.where)
            return x, y
        values = whole.column(self.where).to_pylist()
        if self.is_native:
            x, y = (_numbers([value and value.get(axis) for value in values], self.where, faults) for axis in "xy")
        else:
            x, y = _from_wkb(values, self.where, faults)
        if self.transform is not None:
            # What cannot be transformed becomes infinite, and is refused as not finite.
            x, y = self.transform.transform(x, y)
        return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def _geo(metadata: dict[bytes, bytes]) -> dict[str, Any] | None:
    if b"geo" not in metadata:
        return None
    try:
        geo = json.loads(metadata[b"geo"])
    except (ValueError, RecursionError) as broken:
        raise BadInputError("locating.geo_metadata", reason=str(broken)[:200]) from broken
    if not isinstance(geo, dict) or not isinstance(geo.get("columns"), dict):
        raise BadInputError("locating.geo_metadata", reason="columns")
    return geo


def _described(geo: dict[str, Any] | None, column: str) -> dict[str, Any]:
    found = (geo or {"columns": {}})["columns"].get(column, {})
    if not isinstance(found, dict):
        raise BadInputError("locating.geo_metadata", reason=f"columns.{column}")
    return found


def _system(
    described: dict[str, Any], declared: CoordSys | None, *, is_described: bool
) -> tuple[CoordSys, Transformer | None]:
    """The system of the raw positions, and how to reach WGS84 from a system that is none of ours."""
    # Left out means OGC:CRS84 by the specification; null means that nobody knows.
    if not is_described or ("crs" in described and described["crs"] is None):
        if declared is None:
            raise BadInputError("locating.coord_sys_required", known=[system.value for system in CoordSys])
        return declared, None
    try:
        crs = CRS.from_user_input(described.get("crs", "OGC:CRS84"))
    except (CRSError, TypeError) as unknown:
        raise BadInputError("locating.crs_unknown", reason=str(unknown)[:200]) from unknown
    authority = crs.to_authority(min_confidence=100)
    name = ":".join(authority) if authority else crs.name
    if name in _WGS84:
        # A file cannot say GCJ-02; whoever knows better says so.
        return declared or CoordSys.WGS84, None
    if name in _CGCS2000 and declared in (None, CoordSys.CGCS2000):
        return CoordSys.CGCS2000, None
    if declared not in (None, CoordSys.WGS84):
        raise BadInputError("locating.crs_conflict", crs=name, coord_sys=str(declared))
    try:
        return CoordSys.WGS84, Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    except CRSError as unknown:
        raise BadInputError("locating.crs_unknown", reason=f"{name}: {unknown}"[:200]) from unknown


def _numbers(values: Sequence[Any], name: str, faults: dict[int, BadInputError]) -> Floats:
    numbers = np.full(len(values), np.nan)
    for place, value in enumerate(values):
        try:
            numbers[place] = read_number(value, name)
        except BadInputError as error:
            faults.setdefault(place, error)
    return numbers


def _from_wkb(values: Sequence[Any], name: str, faults: dict[int, BadInputError]) -> tuple[Floats, Floats]:
    shapes: list[Any] = []
    for place, value in enumerate(values):
        shape = None
        if isinstance(value, str):
            shape = shapely.from_wkt(value, on_invalid="ignore")
        elif value is not None:
            shape = shapely.from_wkb(value, on_invalid="ignore") if isinstance(value, bytes) else None
        if value and shape is None:
            said = value.hex() if isinstance(value, bytes) else str(value)
            faults[place] = BadInputError("locating.bad_geometry", column=name, value=said[:60])
        shapes.append(shape)
    return read_shapes(shapes, faults)

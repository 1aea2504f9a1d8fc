"""The answer's file: CSV for spreadsheets, or Parquet with the columns' types. It is there when it is whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from dispatch.located_files.points import OWN_PREFIX, Batch
from geo.errors import BadInputError

__all__ = ["ResultFile", "check_target"]

_CSV, _PARQUET = (".csv", ".tsv", ".txt"), (".parquet", ".geoparquet")


def check_target(out: Path, *, overwrite: bool) -> None:
    """Refuse what cannot be written before anything is read.

    Raises
    ------
    BadInputError
        ``locating.output_format``, ``locating.output_exists``, ``locating.output_folder``.
    """
    if out.suffix.lower() not in (*_CSV, *_PARQUET):
        raise BadInputError("locating.output_format", file=out.name, known=[".csv", ".parquet"])
    if not out.parent.is_dir():
        raise BadInputError("locating.output_folder", folder=str(out.parent))
    if out.exists() and not overwrite:
        raise BadInputError("locating.output_exists", file=out.name)


class ResultFile:
    """Writes batches beside the target and moves them there at the end, so that half an answer is never one."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._is_parquet = path.suffix.lower() in _PARQUET
        # What came with geometries keeps them; other points get the one they were located by.
        self._adds_geometry = self._is_parquet and b"geo" not in (schema.metadata or {})
        if self._adds_geometry:
            name = "geometry" if "geometry" not in schema.names else OWN_PREFIX + "geometry"
            schema = schema.append(pa.field(name, pa.binary())).with_metadata(
                {**(schema.metadata or {}), b"geo": json.dumps(_points_in(name)).encode()}
            )
        self._schema = schema
        self._columns_of_shapes = _shape_columns(schema)
        self._parquet: pq.ParquetWriter | None = None
        self._stream: IO[str] | None = None
        self._csv: Any = None
        self._is_whole = False

    def __enter__(self) -> Self:
        if self._is_parquet:
            self._parquet = pq.ParquetWriter(self._part, self._schema, compression="zstd")
        else:
            # With a BOM: spreadsheets take UTF-8 for the machine's old encoding otherwise.
            self._stream = self._part.open("w", encoding="utf-8-sig", newline="")
            delimiter = "\t" if self.path.suffix.lower() == ".tsv" else ","
            self._csv = csv.writer(self._stream, delimiter=delimiter, lineterminator="\r\n")
            self._csv.writerow(self._schema.names)
        return self

    def keep(self) -> None:
        """Say that all is written."""
        self._is_whole = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._parquet is not None:
            self._parquet.close()
        if self._stream is not None:
            self._stream.close()
        if self._is_whole and kind is None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

    async def write(self, batch: Batch, own: Sequence[pa.Array]) -> None:
        """Append the rows of a batch with our columns."""
        columns = [*batch.table.columns, *own]
        if self._adds_geometry:
            columns.append(pa.array(shapely.to_wkb(shapely.points(batch.lon, batch.lat)), type=pa.binary()))
        table = pa.Table.from_arrays(columns, schema=self._schema)
        if self._parquet is not None:
            self._parquet.write_table(table)
            return
        said = [
            [
                _wkt(value) if name in self._columns_of_shapes else _text(value)
                for value in table.column(name).to_pylist()
            ]
            for name in table.column_names
        ]
        self._csv.writerows(zip(*said, strict=True))


def _points_in(column: str) -> dict[str, Any]:
    """GeoParquet's metadata. No "crs" means OGC:CRS84, which is what we locate in."""
    described = {column: {"encoding": "WKB", "geometry_types": ["Point"]}}
    return {"version": "1.1.0", "primary_column": column, "columns": described}


def _shape_columns(schema: pa.Schema) -> frozenset[str]:
    geo = (schema.metadata or {}).get(b"geo")
    return frozenset(json.loads(geo)["columns"]) if geo else frozenset()


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, default=str)


def _wkt(value: Any) -> Any:
    return shapely.from_wkb(value).wkt if isinstance(value, bytes) else _text(value)

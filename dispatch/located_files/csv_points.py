"""Points in delimited text: UTF-8 with or without BOM, or GB18030; two columns, or one of WKT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import shapely

from dispatch.importing.delimited import DelimitedFile, Record, open_delimited
from dispatch.importing.rows import Rejection
from dispatch.located_files.points import BATCH_ROWS, PointOptions, Raw, kept, read_number, read_shapes
from geo.coordinates import CoordSys
from geo.errors import BadInputError

__all__ = ["CsvPoints"]


@dataclass(frozen=True, slots=True)
class CsvPoints:
    """A delimited file of points; every column is text and stays as it is."""

    file: DelimitedFile
    where: tuple[str, str] | str
    accuracy: str | None
    coord_sys: CoordSys
    total: int

    @classmethod
    def open(cls, path: Path, options: PointOptions) -> Self:
        """Look through the file."""
        file = open_delimited(path, encoding=options.encoding, delimiter=options.delimiter)
        where = options.columns(file.header)
        if options.coord_sys is None:
            raise BadInputError("locating.coord_sys_required", known=[system.value for system in CoordSys])
        accuracy = options.accuracy if isinstance(options.accuracy, str) else None
        return cls(file, where, accuracy, options.coord_sys, _count_lines(path))

    @property
    def header(self) -> Sequence[str]:
        """Names of the columns."""
        return self.file.header

    @property
    def schema(self) -> pa.Schema:
        """Columns that are carried over, all of them text."""
        return pa.schema([(name, pa.string()) for name in kept(self.header)])

    def batches(self) -> Iterator[Raw]:
        """Read the file, a batch of rows at a time."""
        records = self.file.records()
        while batch := list(islice(records, BATCH_ROWS)):
            yield self._raw(batch)

    def _raw(self, batch: Sequence[Record]) -> Raw:
        width = len(self.header)
        unreadable = [
            Rejection(
                row=record.row,
                line=record.line,
                code=record.fault,
                params={"expected": width, "found": len(record.values)} if record.values else {},
                values=record.values,
            )
            for record in batch
            if record.fault is not None
        ]
        good = [record for record in batch if record.fault is None]
        columns: dict[str, list[str]] = {
            name: [record.values[place] for record in good] for place, name in enumerate(self.header)
        }
        faults: dict[int, BadInputError] = {}
        x, y = (
            _pairs(columns, self.where, faults)
            if isinstance(self.where, tuple)
            else _shapes(columns[self.where], self.where, faults)
        )
        return Raw(
            table=pa.table({name: columns[name] for name in kept(self.header)}, schema=self.schema),
            rows=[record.row for record in good],
            lines=[record.line for record in good],
            x=x,
            y=y,
            accuracy=columns[self.accuracy] if self.accuracy else None,
            faults=faults,
            unreadable=unreadable,
        )


def _pairs(columns: dict[str, list[str]], where: tuple[str, str], faults: dict[int, BadInputError]) -> Any:
    found = []
    for name in where:
        numbers = np.full(len(columns[name]), np.nan)
        for place, text in enumerate(columns[name]):
            try:
                numbers[place] = read_number(text, name)
            except BadInputError as error:
                faults.setdefault(place, error)
        found.append(numbers)
    return tuple(found)


def _shapes(texts: Sequence[str], name: str, faults: dict[int, BadInputError]) -> Any:
    shapes: list[Any] = shapely.from_wkt(
        np.array([text or None for text in texts], dtype=object), on_invalid="ignore"
    ).tolist()
    for place, (text, shape) in enumerate(zip(texts, shapes, strict=True)):
        if text.strip() and shape is None:
            faults[place] = BadInputError("locating.bad_geometry", column=name, value=text[:60])
    return read_shapes(shapes, faults)


def _count_lines(path: Path) -> int:
    """Lines of a plain file, for the progress bar; 0 for a packed one."""
    with path.open("rb") as stream:
        if stream.read(2) == b"\x1f\x8b":
            return 0
        stream.seek(0)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))

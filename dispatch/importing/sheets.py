"""Small tables as offices send them, CSV or XLSX: a header, rows, and the row number a person sees in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyogrio

from dispatch.importing.delimited import open_delimited
from dispatch.importing.merged_cells import fill_merged
from geo.errors import BadInputError

MOST_BYTES = 20_000_000
"""A catalogue has some hundred rows; a file of this size is something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFault:
    """One reason why a table cannot be taken.

    ``row`` is the line or row as an editor or a spreadsheet counts it, ``column`` the head of the column as the file
    writes it; empty when it is about the whole row.
    """

    file: str
    row: int | None
    code: str
    column: str = ""
    params: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table in memory; every value is stripped text."""

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, Sequence[str]], ...]
    faults: tuple[SheetFault, ...] = ()


def read_sheet(path: Path) -> Sheet:
    """Read a whole table.

    Raises
    ------
    BadInputError
        ``import.file_missing``, ``import.file_too_large``, ``import.file_unreadable``, ``import.no_header``.
    """
    if not path.is_file():
        raise BadInputError("import.file_missing", file=path.name)
    if path.stat().st_size > MOST_BYTES:
        raise BadInputError("import.file_too_large", limit=MOST_BYTES)
    return _read_workbook(path) if path.suffix.lower() == ".xlsx" else _read_delimited(path)


def _read_delimited(path: Path) -> Sheet:
    file = open_delimited(path)
    rows: list[tuple[int, Sequence[str]]] = []
    faults: list[SheetFault] = []
    for record in file.records():
        if record.fault is not None:
            width = {"found": len(record.values), "expected": len(file.header)}
            faults.append(SheetFault(file=path.name, row=record.line, code=record.fault, params=width))
        elif any(value.strip() for value in record.values):
            rows.append((record.line, [value.strip() for value in record.values]))
    return Sheet(file=path.name, header=file.header, rows=tuple(rows), faults=tuple(faults))


def _read_workbook(path: Path) -> Sheet:
    # GDAL reads workbooks already; another library for the same would be one more thing to keep.
    try:
        meta, _, _, columns = pyogrio.raw.read(path, read_geometry=False, HEADERS="FORCE", FIELD_TYPES="STRING")
    except Exception as broken:
        raise BadInputError("import.not_a_workbook", file=path.name, reason=str(broken)[:200]) from broken
    header = tuple(str(name).strip() for name in meta["fields"])
    if not any(header) or len(set(header)) != len(header):
        raise BadInputError("import.no_header", file=path.name)
    rows = [
        (place, [_text(value) for value in values]) for place, values in enumerate(zip(*columns, strict=True), start=2)
    ]
    fill_merged(path, rows)
    return Sheet(file=path.name, header=header, rows=tuple(row for row in rows if any(row[1])))


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return str(value).strip()


def find_columns(
    sheet: Sheet, option: str, wanted: str, aliases: Mapping[str, Sequence[str]], required: Sequence[str]
) -> dict[str, int]:
    """Find our fields in a sheet: those named by the mapping ``code=编码,…``, the others by their usual names.

    Raises
    ------
    BadInputError
        ``import.option_conflict``, ``import.column_missing``.
    """
    found: dict[str, int] = {}
    for pair in filter(None, (each.strip() for each in wanted.split(","))):
        target, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or target not in aliases or target in found:
            raise BadInputError("import.option_conflict", first=option, second=pair[:80])
        if column not in sheet.header:
            raise _missing(sheet, column, target)
        found[target] = sheet.header.index(column)
    for target, names in aliases.items():
        known = next((name for name in names if name in sheet.header), None)
        if target not in found and known is not None:
            found[target] = sheet.header.index(known)
    for target in required:
        if target not in found:
            raise _missing(sheet, aliases[target][0], target)
    return found


def _missing(sheet: Sheet, column: str, target: str) -> BadInputError:
    columns = ", ".join(sheet.header)[:300]
    if len(sheet.header) == 1 and "，" in columns:
        return BadInputError("import.full_width_commas", file=sheet.file)
    return BadInputError("import.column_missing", file=sheet.file, column=column, field=target, columns=columns)

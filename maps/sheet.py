"""Numbers of a map as a file for spreadsheets: names stay text, whatever they begin with. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import xlsxwriter  # type: ignore[import-untyped]

__all__ = ["Sheet", "sheet_csv", "sheet_xlsx"]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_NAME_WIDTH: Final = 26
_NUMBER_WIDTH: Final = 14
_LONGEST_NAME: Final = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table: its finding, heading, lines, and what belongs to it in words."""

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str | float | None]]
    notes: Sequence[str] = field(default_factory=tuple)


def sheet_csv(sheet: Sheet) -> bytes:
    """Return the table as CSV in UTF-8 with its mark: without it Excel takes the file for the old national encoding.

    Examples
    --------
    >>> sheet_csv(Sheet(title="", head=["n"], lines=[["=1+1"], [-3.0]])).decode("utf-8-sig").split()
    ['n', "'=1+1", '-3']
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_plain(word) for word in sheet.head])
    writer.writerows([[_written(value) for value in line] for line in sheet.lines])
    return ("\ufeff" + text.getvalue()).encode()


def _written(value: str | float | None) -> str:
    if value is None:
        return ""
    return _plain(value) if isinstance(value, str) else f"{value:.10g}"


def _plain(word: str) -> str:
    """Keep a name that begins like a formula from becoming one."""
    return f"'{word}" if word.startswith(_FORMULA) else word


def sheet_xlsx(sheet: Sheet, *, name: str) -> bytes:
    """Return the table as an Excel file: numbers as numbers, everything else as text that is never a formula."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold = book.add_format({"bold": True})
    page = book.add_worksheet(_tab(name))
    page.write_string(0, 0, sheet.title, bold)
    row = 1
    for note in sheet.notes:
        if note:
            page.write_string(row, 0, note)
            row += 1
    row += 1
    for column, word in enumerate(sheet.head):
        page.write_string(row, column, word, bold)
    for line in sheet.lines:
        row += 1
        for column, value in enumerate(line):
            if isinstance(value, str):
                page.write_string(row, column, value)
            elif value is not None:
                page.write_number(row, column, value)
    page.set_column(0, 1, _NAME_WIDTH)
    page.set_column(2, max(2, len(sheet.head) - 1), _NUMBER_WIDTH)
    book.close()
    return target.getvalue()


def _tab(name: str) -> str:
    """Return a name that a sheet may have."""
    return "".join("-" if sign in "[]:*?/\\'" else sign for sign in name)[:_LONGEST_NAME] or "1"

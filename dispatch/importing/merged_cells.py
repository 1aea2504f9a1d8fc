"""Merged cells of a workbook's first sheet: one word that an office wrote once for several rows below each other."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["fill_merged"]

_SHEET: Final = re.compile(rb'<(?:\w+:)?sheet\s[^>]*?r:id="([^"]+)"')
_RELATION: Final = re.compile(rb"<(?:\w+:)?Relationship\s[^>]*>")
_PART: Final = re.compile(rb'(Id|Target)="([^"]+)"')
_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\s+ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
#: More of a sheet is not looked through. Units: bytes.
_MOST: Final = 100_000_000


def fill_merged(path: Path, rows: Sequence[tuple[int, list[str]]]) -> None:
    """Write the word of each merged cell into all rows that it spans, in place.

    Only cells merged downwards in one column are filled: there the word holds for every row. Cells merged sideways are
    left as they are, for the columns mean different things.

    Parameters
    ----------
    rows
        Row number as the sheet counts it, and its values.
    """
    by_number = dict(rows)
    for column, first, last in _spans(path):
        top = by_number.get(first)
        if top is None or column >= len(top):
            continue
        for number in range(first + 1, last + 1):
            below = by_number.get(number)
            if below is not None and column < len(below) and not below[column]:
                below[column] = top[column]


def _spans(path: Path) -> Iterator[tuple[int, int, int]]:
    """Column (from 0), first and last row of what is merged downwards."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = _first_sheet(archive)
            if name is None:
                return
            with archive.open(name) as part:
                text = part.read(_MOST)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError):
        # Broken, packed in a way that zipfile has not implemented, or under a password (a RuntimeError). Whoever reads
        # the values says what is wrong with the file.
        return
    for left, first, right, last in _MERGED.findall(text):
        if left == right and int(first) < int(last):
            yield _index(left), int(first), int(last)


def _first_sheet(archive: zipfile.ZipFile) -> str | None:
    found = _SHEET.search(archive.read("xl/workbook.xml"))
    if found is None:
        return None
    for relation in _RELATION.findall(archive.read("xl/_rels/workbook.xml.rels")):
        facts = dict(_PART.findall(relation))
        if facts.get(b"Id") == found.group(1):
            target = facts[b"Target"].decode()
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    return None


def _index(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1

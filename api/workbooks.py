"""A workbook (XLSX) that leaves while it is written: rows become XML, XML becomes a zip that nobody goes back in.

Libraries write the whole file before its first byte can leave, which for a city's cases takes longer than a reverse
proxy waits. ECMA-376: words stand in the cells themselves, so no table of them has to be complete beforehand; names of
the sheets come last, so that what one sheet cannot hold goes on in the next.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import IO, Final
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

__all__ = ["MOST_ROWS", "Cell", "WorkbookStream"]

Cell = str | int | float | bool | datetime | None
#: Of a sheet, its head among them.
MOST_ROWS: Final = 1_048_576
#: Of a cell.
_MOST_LETTERS: Final = 32_767
_NAMESPACE: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
#: Every part is a sheet unless it says what else: how many there will be is not known when this is written.
_CONTENT: Final = (
    f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
    f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Default Extension="xml" ContentType="{_TYPES}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/></Types>'
)
_ROOT: Final = (
    f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
#: 0 plain, 1 bold, 2 a time.
_STYLES: Final = (
    f'{_HEAD}<styleSheet xmlns="{_NAMESPACE}">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_PANE: Final = (
    '<sheetViews><sheetView workbookViewId="0"><pane xSplit="1" ySplit="1" topLeftCell="B2" activePane="bottomRight"'
    ' state="frozen"/></sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/>'
)
#: What XML cannot hold, and what would be read as such: both are written as Excel does, ``_xHHHH_``.
_HIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_EPOCH: Final = datetime(1899, 12, 30, tzinfo=UTC)
_DAY_S: Final = 86_400


class _Outlet(io.RawIOBase):
    """Where the zip writes to: keeps what has not left yet, and cannot go back."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self.kept += piece
        return len(piece)

    def take(self) -> bytes:
        piece = bytes(self.kept)
        self.kept.clear()
        return piece


class WorkbookStream:
    """Writes one table.

    Parameters
    ----------
    zone
        Of the times; a cell of Excel has none of its own.
    """

    def __init__(self, name: str, heads: Sequence[str], zone: ZoneInfo | None, *, most_rows: int = MOST_ROWS) -> None:
        self._name = name[:31]
        self._heads = heads
        self._zone = zone or UTC
        self._most_rows = most_rows
        self._columns = [_letters(number) for number in range(len(heads))]
        self._outlet = _Outlet()
        self._zip = zipfile.ZipFile(self._outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        self._zip.writestr("[Content_Types].xml", _CONTENT)
        self._zip.writestr("_rels/.rels", _ROOT)
        self._zip.writestr("xl/styles.xml", _STYLES)
        self._sheets = 0
        self._row = 0
        self._part: IO[bytes] = self._open()

    def write(self, lines: Iterable[Sequence[Cell]]) -> bytes:
        """Write lines; what of the file is ready to leave."""
        said: list[str] = []
        for line in lines:
            if self._row == self._most_rows:
                self._end("".join(said))
                said.clear()
                self._part = self._open()
            said.append(self._line(line, 0))
        self._part.write("".join(said).encode())
        return self._outlet.take()

    def close(self) -> bytes:
        """End the file; the rest of it."""
        self._end("")
        numbers = range(1, self._sheets + 1)
        names = [self._name if number == 1 else f"{self._name[:27]} {number}" for number in numbers]
        sheets = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
            for number, name in zip(numbers, names, strict=True)
        )
        self._zip.writestr(
            "xl/workbook.xml",
            f'{_HEAD}<workbook xmlns="{_NAMESPACE}" xmlns:r="{_RELATIONS}"><sheets>{sheets}</sheets></workbook>',
        )
        related = "".join(
            f'<Relationship Id="rId{number}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{number}.xml"/>'
            for number in numbers
        )
        styles = f'<Relationship Id="rIdStyles" Type="{_RELATIONS}/styles" Target="styles.xml"/>'
        self._zip.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{related}{styles}</Relationships>',
        )
        self._zip.close()
        return self._outlet.take()

    def _open(self) -> IO[bytes]:
        self._sheets += 1
        self._row = 0
        part = zipfile.ZipInfo(f"xl/worksheets/sheet{self._sheets}.xml")
        part.compress_type = zipfile.ZIP_DEFLATED
        opened = self._zip.open(part, "w", force_zip64=False)
        columns = f'<cols><col min="1" max="{len(self._heads)}" width="18" customWidth="1"/></cols>'
        start = f'{_HEAD}<worksheet xmlns="{_NAMESPACE}">{_PANE}{columns}<sheetData>{self._line(self._heads, 1)}'
        opened.write(start.encode())
        return opened

    def _end(self, said: str) -> None:
        self._part.write(f"{said}</sheetData></worksheet>".encode())
        self._part.close()

    def _line(self, cells: Sequence[Cell], style: int) -> str:
        self._row += 1
        said = "".join(
            self._cell(f"{column}{self._row}", cell, style)
            for column, cell in zip(self._columns, cells, strict=True)
            if cell is not None
        )
        return f'<row r="{self._row}">{said}</row>'

    def _cell(self, place: str, cell: Cell, style: int) -> str:
        if isinstance(cell, bool):
            return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
        if isinstance(cell, int | float):
            return f'<c r="{place}"><v>{cell!r}</v></c>' if isfinite(cell) else ""
        if isinstance(cell, datetime):
            # Whole seconds, as in CSV: a reader would round what it shows.
            days = (cell.astimezone(self._zone).replace(tzinfo=UTC, microsecond=0) - _EPOCH).total_seconds() / _DAY_S
            return f'<c r="{place}" s="2"><v>{days!r}</v></c>'
        if not cell:
            return ""
        bold = f' s="{style}"' if style else ""
        return f'<c r="{place}" t="inlineStr"{bold}><is><t xml:space="preserve">{_words(str(cell))}</t></is></c>'


def _words(text: str) -> str:
    return escape(_HIDDEN.sub(lambda found: f"_x{ord(found[0]):04X}_", text[:_MOST_LETTERS]))


def _letters(column: int) -> str:
    """A, B … Z, AA, AB …"""
    letters = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return letters

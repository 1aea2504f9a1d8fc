"""Workbooks that leave while they are written, read back by a reader that shares no code with them."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import openpyxl

from api.workbooks import Cell, WorkbookStream

AT = datetime(2026, 3, 1, 4, 5, 6, 900_000, tzinfo=UTC)
HOSTILE = (
    "=1+1",
    "+86 138",
    " 前后有空格 ",
    "<script>&amp;'\"</script>",
    "多\n行",
    "_x0041_ 与 _x",
    "控制\x01字符\x0b",
    "井盖" * 20_000,
    "https://example.org/" + "a" * 3000,
    "😀",
)


def test_what_goes_in_is_what_a_reader_finds() -> None:
    stream = WorkbookStream("cases", ("编号", "<b>"), ZoneInfo("Asia/Shanghai"))
    values: list[Cell] = [*HOSTILE, 0, -1.5, 1e-9, 2**53, True, False, None, "", AT]
    body = b"".join([stream.write([(number, cell)]) for number, cell in enumerate(values)]) + stream.close()
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
    book = openpyxl.load_workbook(io.BytesIO(body))
    (sheet,) = book.worksheets
    assert (sheet.title, sheet.freeze_panes) == ("cases", "B2")
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == ("编号", "<b>")
    assert (sheet["A1"].font.b, sheet["A2"].font.b) == (True, False)
    assert [row[0] for row in rows[1:]] == list(range(len(values)))
    found = [row[1] for row in rows[1:]]
    told = [openpyxl.utils.escape.unescape(text) if isinstance(text, str) else text for text in found]
    assert told[: len(HOSTILE)] == [text[:32_767] for text in HOSTILE]
    assert {cell.data_type for cell in sheet["B"][1 : len(HOSTILE) + 1]} <= {"s", "inlineStr"}
    assert found[len(HOSTILE) :] == [
        0,
        -1.5,
        1e-9,
        2**53,
        True,
        False,
        None,
        None,
        AT.replace(hour=12, microsecond=0, tzinfo=None),
    ]


def test_it_leaves_while_it_is_written_and_goes_on_in_the_next_sheet() -> None:
    stream = WorkbookStream("a name that is longer than Excel takes", ("n", "text"), None, most_rows=1001)
    sizes, body = [], b""
    for start in range(0, 2500, 500):
        part = stream.write(
            (number, f"第 {number * 7919 % 100_003} 行 {number * 104_729}") for number in range(start, start + 500)
        )
        sizes.append(len(part))
        body += part
    body += stream.close()
    assert sizes[0] > 0
    assert sum(sizes) > len(body) / 2
    sheets = openpyxl.load_workbook(io.BytesIO(body)).worksheets
    assert [len(sheet.title) <= 31 for sheet in sheets] == [True] * 3
    numbers = [row[0] for sheet in sheets for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert numbers == list(range(2500))
    assert all(sheet["A1"].value == "n" and sheet.max_row <= 1001 for sheet in sheets)


def test_a_table_without_lines_has_its_head() -> None:
    body = WorkbookStream("cells", ("level",), None).close()
    (sheet,) = openpyxl.load_workbook(io.BytesIO(body)).worksheets
    assert [cell.value for cell in sheet[1]] == ["level"]

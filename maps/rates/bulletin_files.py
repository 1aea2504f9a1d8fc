"""A bulletin as Word and as Excel."""

from __future__ import annotations

import io
from typing import Any, Final

import xlsxwriter  # type: ignore[import-untyped]
from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from maps.i18n import Locale, translate
from maps.rates.bulletin import Bulletin, Section

__all__ = ["bulletin_docx", "bulletin_xlsx"]

#: Offices' machines have it; without a named East Asian font Word falls back glyph by glyph.
_FONT: Final = "Microsoft YaHei"
_INK, _QUIET = RGBColor(0x1B, 0x23, 0x28), RGBColor(0x57, 0x62, 0x6A)
_NAME_WIDTH, _NUMBER_WIDTH = 30, 14
_SHEET_NAME: Final = 31


def bulletin_docx(bulletin: Bulletin) -> bytes:
    """Return a Word document on A4: title, sentences, tables whose heads repeat on each page, definitions."""
    document = Document()
    page = document.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = Mm(20)
    page.top_margin = page.bottom_margin = Mm(18)
    for name, size in (("Normal", 10), ("Title", 20), ("Heading 1", 13)):
        style = document.styles[name]
        style.font.name, style.font.size, style.font.color.rgb = _FONT, Pt(size), _INK
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for kind in ("w:eastAsia", "w:ascii", "w:hAnsi"):
            fonts.set(qn(kind), _FONT)
        for kind in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme"):
            if fonts.get(qn(kind)) is not None:
                del fonts.attrib[qn(kind)]
    document.core_properties.title = _clean(bulletin.title)
    document.core_properties.author = "Gridward"
    document.add_heading(_clean(bulletin.title), level=0)
    _quiet(document.add_paragraph(_clean(bulletin.subtitle)))
    for line in bulletin.lead:
        document.add_paragraph(_clean(line))
    for section in bulletin.sections:
        document.add_heading(_clean(section.title), level=1)
        _quiet(document.add_paragraph(_clean(section.lead)))
        if section.rows:
            _table(document, section)
        else:
            document.add_paragraph(_clean(section.empty))
    document.add_paragraph()
    for name, text in bulletin.notes:
        paragraph = document.add_paragraph()
        paragraph.add_run(f"{_clean(name)}  ").bold = True
        paragraph.add_run(_clean(text))
        _quiet(paragraph, size=8)
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def _quiet(paragraph: Any, size: int = 9) -> None:
    for run in paragraph.runs:
        run.font.size, run.font.color.rgb = Pt(size), _QUIET


def _table(document: Any, section: Section) -> None:
    table = document.add_table(rows=1, cols=len(section.columns), style="Light List Accent 1")
    table.style.font.size = Pt(9)
    for _ in section.rows:
        table.add_row()
    lines = [section.columns, *(tuple(_written(value) for value in row) for row in section.rows)]
    for cells, line in zip(table.rows, lines, strict=True):
        for k, (cell, text) in enumerate(zip(cells.cells, line, strict=True)):
            cell.text = _clean(text)
            if section.numeric[k]:
                cell.paragraphs[0].alignment = WD_ALIGN_PARAGRAPH.RIGHT
    head = OxmlElement("w:tblHeader")
    head.set(qn("w:val"), "true")
    table.rows[0]._tr.get_or_add_trPr().append(head)


def _written(value: str | float | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,}"


def _clean(text: str) -> str:
    """XML holds no control characters; a name may."""
    return "".join(sign for sign in text if sign in "\t\n" or (ord(sign) >= 32 and not 0xD800 <= ord(sign) <= 0xDFFF))


def bulletin_xlsx(locale: Locale, bulletin: Bulletin) -> bytes:
    """Return a workbook: one sheet for each table, one for the definitions; names are never formulas."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold, percent = book.add_format({"bold": True}), book.add_format({"num_format": "0.00"})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    for number, section in enumerate(bulletin.sections, start=1):
        sheet = book.add_worksheet(f"{number} {_sheet_name(section.title)}"[:_SHEET_NAME])
        sheet.write_string(0, 0, bulletin.title, bold)
        sheet.write_string(1, 0, bulletin.subtitle)
        sheet.write_string(2, 0, section.lead)
        for column, name in enumerate(section.columns):
            sheet.write_string(4, column, name, bold)
        for line, row in enumerate(section.rows, start=5):
            for column, value in enumerate(row):
                _write(sheet, line, column, value, percent)
        if not section.rows:
            sheet.write_string(5, 0, section.empty)
        sheet.set_column(0, 0, _NAME_WIDTH)
        sheet.set_column(1, len(section.columns), _NUMBER_WIDTH)
        sheet.freeze_panes(5, 1)
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
    notes = book.add_worksheet(_sheet_name(translate(locale, "rates.sheet.definitions"))[:_SHEET_NAME])
    for line, (name, text) in enumerate(bulletin.notes):
        notes.write_string(line, 0, name, bold)
        notes.write_string(line, 1, text, wrapped)
    notes.set_column(0, 0, _NAME_WIDTH)
    notes.set_column(1, 1, 100)
    book.close()
    return target.getvalue()


def _write(sheet: Any, line: int, column: int, value: str | float | None, percent: Any) -> None:
    if value is None:
        return
    if isinstance(value, str):
        plain = value.replace(",", "").replace("−", "-")
        # A percentage is a number with two decimals; a code of digits is a name.
        whole, _, part = plain.lstrip("+-").partition(".")
        if column and whole.isdigit() and len(whole) < 5 and len(part) == 2 and part.isdigit():
            sheet.write_number(line, column, float(plain), percent)
        else:
            sheet.write_string(line, column, value)
    else:
        sheet.write_number(line, column, value)


def _sheet_name(title: str) -> str:
    return "".join(sign for sign in title if sign not in "[]:*?/\\'")

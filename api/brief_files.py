"""A brief as a file to hand on: one HTML document that needs nothing else, or a Word document."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any, Final

from docx import Document
from docx.oxml.ns import qn
from docx.shared import Pt
from markupsafe import Markup

import maps
from api.templating import text_of
from maps.i18n import Locale

__all__ = ["DOCX", "as_docx", "as_html"]

DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
#: Offices' machines have it; without a named East Asian font Word falls back glyph by glyph.
_FONT: Final = "Microsoft YaHei"


def as_html(view: dict[str, Any], locale: Locale) -> bytes:
    """One document with its style inside; it opens anywhere, and prints."""
    return text_of("files/brief.html", {"view": view, "locale": locale, "style": _style()}).encode()


@cache
def _style() -> Markup:
    folder = Path(maps.__file__).parent / "static"
    sheets = ((folder / name).read_text(encoding="utf-8") for name in ("tokens.css", "brief.css"))
    return Markup("\n".join(sheets))  # noqa: S704 - our own files


def as_docx(view: dict[str, Any]) -> bytes:
    """A Word document with the same headings and tables."""
    document = Document()
    style = document.styles["Normal"]
    style.font.name = _FONT
    style.font.size = Pt(9)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), _FONT)
    document.core_properties.title = view["title"]
    document.core_properties.author = "Gridward"
    document.add_heading(view["title"], level=1)
    document.add_paragraph(view["subtitle"])
    _fill(document.add_table(rows=0, cols=2, style="Light Grid Accent 1"), [list(fact) for fact in view["facts"]])
    for table in view["tables"]:
        document.add_heading(table["title"], level=2)
        if not table["rows"]:
            document.add_paragraph(table["empty"])
            continue
        made = document.add_table(rows=0, cols=len(table["columns"]), style="Light Grid Accent 1")
        _fill(made, [table["columns"], *table["rows"]])
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _fill(table: Any, rows: list[list[str]]) -> None:
    for row in rows:
        for cell, value in zip(table.add_row().cells, row, strict=True):
            # XML holds no control characters; a report's words may.
            cell.text = "".join(sign for sign in value if sign in "\t\n" or ord(sign) >= 32)

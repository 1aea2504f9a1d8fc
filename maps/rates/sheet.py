"""A table of rates as an Excel file: numbers as numbers, names as text that is never a formula."""

from __future__ import annotations

import io
from datetime import datetime
from zoneinfo import ZoneInfo

import xlsxwriter  # type: ignore[import-untyped]

from maps.findings import Period
from maps.i18n import Locale, translate
from maps.rates.table import RatesView

__all__ = ["table_xlsx"]

_NAME_WIDTH, _NUMBER_WIDTH = 28, 14


def table_xlsx(locale: Locale, view: RatesView, *, period: Period, as_of: datetime, zone: str, grid: str) -> bytes:
    """Return the file: the table on the first sheet, what each rate means on the second."""
    target = io.BytesIO()
    # Written as text, whatever it begins with: a category called "=1+1" is a name.
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold = book.add_format({"bold": True})
    percent = book.add_format({"num_format": "0.00"})
    sheet = book.add_worksheet(translate(locale, "rates.sheet.table"))
    stand = as_of.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    sheet.write_string(
        0, 0, translate(locale, "rates.sheet.head", first=period.from_on, last=period.to_on, as_of=stand), bold
    )
    sheet.write_string(1, 0, translate(locale, "rates.sheet.grid", grid=grid))
    head = [translate(locale, f"rates.by.{view.dimension.value}"), translate(locale, "rates.code")]
    for rate in view.rates:
        name = translate(locale, f"rates.rate.{rate.value}")
        head += [f"{name} %", translate(locale, "rates.above"), translate(locale, "rates.below")]
    for column, word in enumerate(head):
        sheet.write_string(2, column, word, bold)
    for line, row in enumerate((view.total, *view.rows), start=3):
        sheet.write_string(line, 0, row.name)
        sheet.write_string(line, 1, row.key)
        for place, rate in enumerate(view.rates):
            figure, column = row.figures[rate], 2 + 3 * place
            if figure.percent is not None:
                sheet.write_number(line, column, float(figure.percent.replace(",", "")), percent)
            sheet.write_number(line, column + 1, figure.numerator)
            sheet.write_number(line, column + 2, figure.denominator)
    sheet.set_column(0, 1, _NAME_WIDTH)
    sheet.set_column(2, len(head), _NUMBER_WIDTH)
    sheet.freeze_panes(3, 1)
    meanings = book.add_worksheet(translate(locale, "rates.sheet.definitions"))
    for line, rate in enumerate(view.rates):
        meanings.write_string(line, 0, translate(locale, f"rates.rate.{rate.value}"), bold)
        meanings.write_string(line, 1, translate(locale, f"rates.define.{rate.value}"))
    meanings.set_column(0, 0, _NAME_WIDTH)
    book.close()
    return target.getvalue()

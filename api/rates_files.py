"""Tables of rates as files, for the page and for the API."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from fastapi import Response

from api.formats import MEDIA_TYPES, Form, plain_cell
from api.rates_reading import RatesRead
from maps.i18n import Locale
from maps.rates.sheet import table_xlsx
from maps.rates.table import RatesView, csv_rows

__all__ = ["rates_file"]


def rates_file(form: Form, locale: Locale, read: RatesRead, as_of: datetime, view: RatesView) -> Response:
    """The table as CSV or XLSX."""
    name = f"gridward-rates-{read.asked.period.from_on}-{read.asked.period.to_on}.{form.value}"
    if form is Form.XLSX:
        body = table_xlsx(locale, view, period=read.asked.period, as_of=as_of, zone=read.zone, grid=read.grid(locale))
        kind = MEDIA_TYPES[form]
    else:
        text = io.StringIO()
        csv.writer(text).writerows([[plain_cell(cell) for cell in line] for line in csv_rows(locale, view)])
        # Excel takes a file without the mark for the old national encoding.
        body, kind = ("\ufeff" + text.getvalue()).encode(), "text/csv; charset=utf-8"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Language": locale,
        "Cache-Control": "no-store",
        "Vary": "Accept, Accept-Language",
    }
    return Response(body, media_type=kind, headers=headers)

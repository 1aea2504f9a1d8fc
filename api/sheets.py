"""Tables as CSV, XLSX and GeoJSON, written while they are read: memory is bounded by a batch, not by the result.

CSV begins with a byte order mark, for Excel takes a file without it for the old national encoding. Words that begin
like a formula get an apostrophe in CSV; in XLSX they are written as words.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from zoneinfo import ZoneInfo

import orjson
from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.formats import MEDIA_TYPES, Form, plain_cell
from api.workbooks import Cell, WorkbookStream
from geo.errors import UnavailableError
from maps.i18n import Locale

__all__ = ["Cell", "Sheet", "file_answer", "one_export", "page_answer"]

T = TypeVar("T")
#: Exports in work per process: each holds a connection for as long as its reader takes.
MOST_EXPORTS: Final = 2
_exports = asyncio.Semaphore(MOST_EXPORTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[T]):
    """A table: its columns, and how a thing becomes a line of it.

    Parameters
    ----------
    name
        Beginning of the file's name.
    zone
        Of the times in it. Zone: the jurisdiction's; None writes ISO 8601 in UTC, for programs.
    feature
        The same thing as a GeoJSON feature; None where it has no place.
    """

    name: str
    heads: tuple[str, ...]
    line: Callable[[T], list[Cell]]
    zone: ZoneInfo | None
    feature: Callable[[T], dict[str, Any]] | None = None

    def text(self, cell: Cell) -> str | int | float:
        """A cell as CSV has it."""
        if cell is None:
            return ""
        if isinstance(cell, bool):
            return "true" if cell else "false"
        if isinstance(cell, datetime):
            return self.time(cell)
        return plain_cell(cell) if isinstance(cell, str) else cell

    def time(self, at: datetime) -> str:
        """A time as text: local for people, ISO 8601 for programs."""
        if self.zone is None:
            return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")


@asynccontextmanager
async def one_export() -> AsyncIterator[None]:
    """Take one of the places for exports.

    Raises
    ------
    UnavailableError
        ``export.busy``.
    """
    if _exports.locked():
        raise UnavailableError("export.busy", most=MOST_EXPORTS)
    async with _exports:
        yield


async def page_answer(form: Form, sheet: Sheet[T], things: Sequence[T], *, locale: Locale, **more: str) -> Response:
    """One page as CSV or XLSX."""

    async def once() -> AsyncGenerator[Sequence[T], None]:
        yield things

    body = b"".join([part async for part in _PARTS[form](sheet, once())])
    return Response(body, media_type=_content_type(form), headers=_headers(form, sheet, locale) | _named(more))


async def file_answer(
    form: Form, sheet: Sheet[T], batches: AsyncGenerator[Sequence[T], None], *, locale: Locale, **more: str
) -> Response:
    """Everything as a file. The first batch is read before the answer begins: an error of it is still told in full."""
    headers = _headers(form, sheet, locale) | _named(more)
    parts = _PARTS[form](sheet, batches)
    first = await anext(parts)
    return _FileResponse(_after(first, parts), media_type=_content_type(form), headers=headers)


class _FileResponse(StreamingResponse):
    """Closes what it reads from also when its reader goes away: an export holds a connection and one of two places."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                await close()


def _content_type(form: Form) -> str:
    return MEDIA_TYPES[form] + ("; charset=utf-8; header=present" if form is Form.CSV else "")


def _headers(form: Form, sheet: Sheet[Any], locale: Locale) -> dict[str, str]:
    stand = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return {
        "Content-Disposition": f'attachment; filename="gridward-{sheet.name}-{stand}.{form.value}"',
        "Content-Language": locale,
        "Vary": "Accept, Accept-Language",
        "Cache-Control": "no-store",
    }


def _named(more: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in more.items() if value}


async def _after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part


async def _csv(sheet: Sheet[T], batches: AsyncGenerator[Sequence[T], None]) -> AsyncGenerator[bytes, None]:
    head = "\ufeff" + _lines([[plain_cell(one) for one in sheet.heads]])
    async with aclosing(batches):
        async for batch in batches:
            rows = await asyncio.to_thread(_rows, sheet, batch)
            yield (head + rows).encode()
            head = ""
    if head:
        yield head.encode()


def _rows(sheet: Sheet[T], batch: Sequence[T]) -> str:
    return _lines([[sheet.text(cell) for cell in sheet.line(thing)] for thing in batch])


def _lines(rows: Sequence[Sequence[str | int | float]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


async def _features(sheet: Sheet[T], batches: AsyncGenerator[Sequence[T], None]) -> AsyncGenerator[bytes, None]:
    feature = sheet.feature
    assert feature is not None, sheet.name
    lead = b'{"type":"FeatureCollection","features":['
    async with aclosing(batches):
        async for batch in batches:
            if batch:
                yield lead + b",\n".join([orjson.dumps(feature(thing)) for thing in batch])
                lead = b",\n"
    yield (lead if lead.startswith(b"{") else b"") + b"]}"


async def _book(sheet: Sheet[T], batches: AsyncGenerator[Sequence[T], None]) -> AsyncGenerator[bytes, None]:
    book = WorkbookStream(sheet.name, sheet.heads, sheet.zone)
    async with aclosing(batches):
        async for batch in batches:
            if part := await asyncio.to_thread(book.write, map(sheet.line, batch)):
                yield part
    yield await asyncio.to_thread(book.close)


_PARTS: Final[dict[Form, Callable[..., AsyncGenerator[bytes, None]]]] = {
    Form.CSV: _csv,
    Form.XLSX: _book,
    Form.GEOJSON: _features,
}

"""Pictures and PDF of a map: a headless browser of this machine draws the single file, and nothing else.

The browser gets a folder of its own that is deleted afterwards, no network (every name resolves to nothing), and a
minute. Two at a time: a browser takes some hundred megabytes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Final

from geo.errors import UnavailableError
from maps.i18n import Locale
from maps.own_files import data_url
from maps.sheet import Sheet

__all__ = ["find_browser", "map_pdf", "map_png"]

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "microsoft-edge")
#: A4 lying down at 96 dots per inch; the factor makes 300 of them.
_WIDTH, _HEIGHT, _FACTOR = 1123, 794, 3.125
#: Between two maps beside each other, and the line above both. Units: pixels of 96 to the inch.
_GAP, _CAPTION = 12, 40
#: As wide as the text of a standing page, at 300 dots to the inch.
_PAPER_FACTOR: Final = 2.0
_DOTS_PER_METRE: Final = round(300 / 0.0254)
_TIMEOUT_S: Final = 60.0
_SETTLE_MS: Final = 4_000
_FLAGS: Final = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--force-color-profile=srgb",
    f"--virtual-time-budget={_SETTLE_MS}",
)
_PRINTING = asyncio.Semaphore(2)


def find_browser() -> str | None:
    """Return the browser that draws pictures, or None where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


async def map_png(
    maps: Sequence[str], heading: str = "", *, layer: str = "", factor: float = _FACTOR, is_titled: bool = True
) -> bytes:
    """Return a map, or two beside each other, on A4 lying down: 3509 × 2481 dots, 300 to the inch.

    Parameters
    ----------
    maps, heading
        One document, or two with what is said above both.
    layer
        Which view; the cells when the map has no such one.
    factor
        Dots for each of 96 to the inch.
    is_titled
        Whether a single map says in the picture what it shows; on a page that says so already it need not.

    Raises
    ------
    UnavailableError
        ``maps.no_browser``, ``maps.browser_failed``.
    """
    # Letters only: it becomes part of an address.
    view = "still" if is_titled or len(maps) > 1 else "bare"
    view = f"{view}-{layer}" if layer.isascii() and layer.isalpha() else view
    if len(maps) == 1:
        return _with_dots(await _shoot(maps[0], _WIDTH, _HEIGHT, factor, view=view))
    wide, high = (_WIDTH - 3 * _GAP) // 2, _HEIGHT - _CAPTION - _GAP
    pictures = await asyncio.gather(*(_shoot(each, wide, high, factor, view=view) for each in maps))
    return _with_dots(await _shoot(_beside(pictures, heading, wide, high), _WIDTH, _HEIGHT, factor))


async def _shoot(html: str, width: int, height: int, factor: float, *, view: str = "") -> bytes:
    size = (f"--window-size={width},{height}", f"--force-device-scale-factor={factor}")
    picture = await _draw(html, "--screenshot={target}", *size, view=view)
    if not picture.startswith(b"\x89PNG\r\n\x1a\n"):
        raise UnavailableError("maps.browser_failed")
    return picture


def _beside(pictures: Sequence[bytes], heading: str, width: int, height: int) -> str:
    images = "".join(
        f'<img alt="" width="{width}" height="{height}" src="{data_url("image/png", picture)}">' for picture in pictures
    )
    style = (
        f"body{{margin:0;padding:0 {_GAP}px;background:#fff;color:#1b2328}}p{{height:{_CAPTION}px;margin:0;"
        f"font:600 17px/{_CAPTION}px 'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;white-space:nowrap;"
        f"overflow:hidden}}div{{display:flex;gap:{_GAP}px}}"
    )
    head = f'<!doctype html><html><head><meta charset="utf-8"><style>{style}</style></head>'
    return f"{head}<body><p>{escape(heading)}</p><div>{images}</div></body></html>"


async def map_pdf(
    maps: Sequence[str],
    sheet: Sheet,
    locale: Locale,
    *,
    notes: list[tuple[str, str]],
    layer: str = "",
) -> bytes:
    """Return a document of A4 pages: finding, map, numbers, definitions.

    Parameters
    ----------
    maps
        As for `map_png`.
    notes
        Definitions: word and meaning.
    layer
        Which view of the map.
    """
    picture = await map_png(maps, layer=layer, factor=_PAPER_FACTOR, is_titled=False)
    document = await _draw(_paper(picture, sheet, locale, notes), "--print-to-pdf={target}", "--no-pdf-header-footer")
    if not document.startswith(b"%PDF-"):
        raise UnavailableError("maps.browser_failed")
    return document


def _paper(picture: bytes, sheet: Sheet, locale: Locale, notes: list[tuple[str, str]]) -> str:
    def cell(value: str | float | None) -> str:
        if isinstance(value, str) or value is None:
            return f"<td>{escape(value or '')}</td>"
        return f'<td class="n">{value:,.10g}</td>'

    lines = "".join(f"<tr>{''.join(cell(value) for value in line)}</tr>" for line in sheet.lines)
    head = "".join(f"<th>{escape(word)}</th>" for word in sheet.head)
    words = "".join(f"<p>{escape(note)}</p>" for note in sheet.notes if note)
    meaning = "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in notes)
    style = (
        "@page{size:A4;margin:14mm 14mm 16mm;@bottom-right{content:counter(page) ' / ' counter(pages);font-size:9px;"
        "color:#57626a}}body{font:10px/15px 'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',"
        "sans-serif;color:#1b2328;margin:0;font-variant-numeric:tabular-nums}h1{font-size:18px;line-height:26px;margin:"
        "0 0 4px}p{margin:0 0 2px;color:#57626a}img{width:100%;margin:8px 0;border:1px solid #dedbd2}table{width:100%;"
        "border-collapse:collapse;margin-top:8px}th,td{text-align:left;border-bottom:1px solid #dedbd2;padding:2px 8px"
        " 2px 0;font-weight:400}th{color:#57626a}.n{text-align:right}tr,dd{break-inside:avoid}"
        "thead{display:table-header-group}dt{font-weight:600;margin-top:6px}dd{margin:0;color:#57626a}"
    )
    return (
        f'<!doctype html><html lang="{locale}"><head><meta charset="utf-8"><title>{escape(sheet.title)}</title>'
        f"<style>{style}</style></head><body><h1>{escape(sheet.title)}</h1>{words}"
        f'<img alt="" src="{data_url("image/png", picture)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table><dl>{meaning}</dl></body></html>"
    )


async def _draw(html: str, *how: str, view: str = "") -> bytes:
    browser = find_browser()
    if browser is None:
        raise UnavailableError("maps.no_browser")
    async with _PRINTING:
        with tempfile.TemporaryDirectory(prefix="gridward-print-", ignore_cleanup_errors=True) as folder:
            page = Path(folder) / "map.html"
            target = Path(folder) / "map.png"
            await asyncio.to_thread(page.write_text, html, encoding="utf-8")
            flags = [*_FLAGS, f"--user-data-dir={folder}/profile", *(each.format(target=target) for each in how)]
            # Inside containers and as root the browser's own sandbox cannot be set up; the page is only ever ours.
            if os.geteuid() == 0:
                flags.append("--no-sandbox")
            process = await asyncio.create_subprocess_exec(
                browser,
                *flags,
                f"{page.as_uri()}#{view}" if view else page.as_uri(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                cwd=folder,
                env={"HOME": folder, "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            )
            try:
                await asyncio.wait_for(process.wait(), _TIMEOUT_S)
            except TimeoutError:
                raise UnavailableError("maps.browser_failed") from None
            finally:
                # The whole group: a browser is many processes, and all of them write into the folder.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            if not target.is_file():
                raise UnavailableError("maps.browser_failed")
            return await asyncio.to_thread(target.read_bytes)


def _with_dots(picture: bytes) -> bytes:
    """Write into a PNG how many dots make a metre, before its first pixels."""
    body = struct.pack(">IIB", _DOTS_PER_METRE, _DOTS_PER_METRE, 1)
    chunk = struct.pack(">I", len(body)) + b"pHYs" + body + struct.pack(">I", zlib.crc32(b"pHYs" + body))
    at, kept = 8, [picture[:8]]
    while at < len(picture):
        size, kind = struct.unpack(">I4s", picture[at : at + 8])
        if kind == b"IDAT" and chunk not in kept:
            kept.append(chunk)
        if kind != b"pHYs":
            kept.append(picture[at : at + 12 + size])
        at += 12 + size
    return b"".join(kept)

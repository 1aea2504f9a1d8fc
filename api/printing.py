"""HTML onto paper: by a headless browser of this machine, else by the extra ``pdf``, else a clear refusal."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from geo.errors import UnavailableError

__all__ = ["html_to_pdf"]

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "microsoft-edge")
_PATIENCE_S: Final = 60.0
_FLAGS: Final = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-pdf-header-footer",
    # Nothing on the page names another place; should a text ever do, it is not found.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
#: A browser takes some hundred megabytes.
_AT_ONCE: Final = asyncio.Semaphore(2)


async def html_to_pdf(html: str) -> bytes:
    """Return a PDF of a document that needs no other file.

    Raises
    ------
    UnavailableError
        ``printing.no_printer`` with what to install, ``printing.failed``.
    """
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is not None:
        async with _AT_ONCE:
            return await _print(browser, html)
    if find_spec("weasyprint") is not None:
        return await asyncio.to_thread(_weasyprint, html)
    raise UnavailableError("printing.no_printer")


async def _print(browser: str, html: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="gridward-print-", ignore_cleanup_errors=True) as folder:
        page, target = Path(folder) / "page.html", Path(folder) / "page.pdf"
        await asyncio.to_thread(page.write_text, html, encoding="utf-8")
        flags = [*_FLAGS, f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}"]
        if os.geteuid() == 0:
            # As root the browser's own sandbox cannot be set up; the page is ours, escaped, and runs no script.
            flags.append("--no-sandbox")
        process = await asyncio.create_subprocess_exec(
            browser,
            *flags,
            page.as_uri(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            cwd=folder,
            env={"HOME": folder, "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        )
        try:
            await asyncio.wait_for(process.wait(), _PATIENCE_S)
        except TimeoutError:
            raise UnavailableError("printing.failed") from None
        finally:
            # The whole group: a browser is many processes, and all of them write into the folder.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if not target.is_file():
            raise UnavailableError("printing.failed")
        return await asyncio.to_thread(target.read_bytes)


def _weasyprint(html: str) -> bytes:
    from weasyprint import HTML  # type: ignore[import-not-found,import-untyped,unused-ignore]

    document: bytes = HTML(string=html).write_pdf()
    return document

"""The reject file: every row that was not taken, why, and its original columns, ready to be mended and sent again."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from dispatch.importing.rows import Rejection

Describe = Callable[[Rejection], str]
"""Turns a rejection into a sentence in the user's language; languages live above this floor."""

LEADING = ("row", "line", "reason_code", "reason")


class RejectFile:
    """Writes the reject file as the import goes on, so that memory does not grow with the faults.

    The file is UTF-8 with BOM (spreadsheets then read it right) and is replaced by the next import of the same source.
    Boundary: nothing is written until the first rejection, so a clean import leaves no empty file behind.
    """

    def __init__(self, path: Path, header: Sequence[str], describe: Describe) -> None:
        self.path = path
        self.count = 0
        self._header = header
        self._describe = describe
        self._stream: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        # A stale file of an earlier run would accuse rows that are fine by now.
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, rejections: Iterable[Rejection]) -> None:
        """Append rejections in row order."""
        for each in sorted(rejections, key=lambda rejection: rejection.row):
            if self._stream is None:
                self._stream = self.path.open("w", encoding="utf-8-sig", newline="")
                self._writer = csv.writer(self._stream)
                self._writer.writerow((*LEADING, *self._header))
            self._writer.writerow((each.row, each.line, each.code, self._describe(each), *each.values))
            self.count += 1
        if self._stream is not None:
            self._stream.flush()

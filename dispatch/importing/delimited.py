"""Delimited text as it comes from offices: gzip or not, BOM or not, UTF-8 or GB18030, comma, semicolon or tab."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from geo.errors import BadInputError

_CHUNK = 1 << 20
_SAMPLE = 1 << 16
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of the file.

    Parameters
    ----------
    row
        Number of the data row, from 1; the header is not counted.
    line
        Line of the file on which it ends, from 1, for an editor's "go to line".
    fault
        Code when the row itself could not be read; then ``values`` is what was left of it.
    """

    row: int
    line: int
    values: Sequence[str]
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelimitedFile:
    """A file whose shape is known.

    Parameters
    ----------
    digest
        SHA-256 of the bytes on disk: the file's identity, however it is named.
    size
        Units: bytes, unpacked.
    """

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    digest: str
    size: int

    def records(self) -> Iterator[Record]:
        """Yield the rows one by one; memory does not grow with the file."""
        width = len(self.header)
        with _open(self.path) as raw, io.TextIOWrapper(raw, self.encoding, newline="") as text:
            reader = csv.reader(text, delimiter=self.delimiter, strict=True)
            next(reader)
            row = 0
            while True:
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    row += 1
                    yield Record(row=row, line=reader.line_num, values=(), fault="report.row_unreadable")
                    continue
                if not values:
                    continue  # an empty line is no row
                row += 1
                fault = None if len(values) == width else "report.column_count"
                yield Record(row=row, line=reader.line_num, values=values, fault=fault)


def open_delimited(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> DelimitedFile:
    """Look through a file once: encoding, delimiter, header, identity.

    Raises
    ------
    BadInputError
        ``import.file_missing``, ``import.file_unreadable``, ``import.encoding``, ``import.no_header``.
    """
    if not path.is_file():
        raise BadInputError("import.file_missing", file=path.name)
    try:
        chosen, sample, size = _look_through(path, encoding)
    except (OSError, EOFError, zlib.error) as broken:
        raise BadInputError("import.file_unreadable", reason=str(broken)[:200]) from broken
    first_line = sample.partition("\n")[0]
    used = delimiter or max(DELIMITERS, key=first_line.count)
    try:
        header = next(csv.reader(io.StringIO(sample, newline=""), delimiter=used), [])
    except csv.Error as broken:
        raise BadInputError("import.no_header", file=path.name) from broken
    names = tuple(name.strip() for name in header)
    if not any(names) or len(set(names)) != len(names):
        raise BadInputError("import.no_header", file=path.name)
    with path.open("rb") as stored:
        digest = hashlib.file_digest(stored, "sha256").hexdigest()
    return DelimitedFile(path=path, encoding=chosen, delimiter=used, header=names, digest=digest, size=size)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as start:
        packed = start.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _look_through(path: Path, encoding: str | None) -> tuple[str, str, int]:
    """Decode the whole file once, chunk by chunk: a wrong byte on the last line must not surprise batch 900."""
    with _open(path) as raw:
        # What a spreadsheet calls "Unicode text" begins with this mark, and nothing else does.
        is_utf16 = raw.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    for candidate in (encoding,) if encoding else ("utf-16",) if is_utf16 else ("utf-8-sig", "gb18030"):
        try:
            decoder = codecs.getincrementaldecoder(candidate)()
        except LookupError as unknown:
            raise BadInputError("import.encoding", encoding=candidate) from unknown
        sample, size = "", 0
        try:
            with _open(path) as raw:
                while chunk := raw.read(_CHUNK):
                    size += len(chunk)
                    text = decoder.decode(chunk)
                    if len(sample) < _SAMPLE:
                        sample += text[:_SAMPLE]
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return candidate, sample, size
    raise BadInputError("import.encoding", encoding=encoding or "utf-8, gb18030")

"""Pictures of a few flat colours as small PNG files (indexed colour, one alpha per colour)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["encode_indexed_pngs"]


def encode_indexed_pngs(
    indices: npt.NDArray[np.uint8], palettes: Sequence[Sequence[tuple[int, int, int, int]]]
) -> list[bytes]:
    """Encode one picture in several colourings.

    Parameters
    ----------
    indices
        Shape: (rows, columns), first row on top; every value is a place in each palette.
    palettes
        Red, green, blue, alpha, 0 to 255 each; at most 256 colours.

    Returns
    -------
    list[bytes]
        A PNG file for each palette. The pixels are compressed once. The same input gives the same bytes.
    """
    rows, columns = indices.shape
    # Filter type 0 in front of every row: neighbouring pixels of one band are equal, which deflate likes as it is.
    raw = np.zeros((rows, columns + 1), dtype=np.uint8)
    raw[:, 1:] = indices
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(raw.tobytes(), 6)) + _chunk(b"IEND", b"")
    return [
        b"\x89PNG\r\n\x1a\n"
        + header
        + _chunk(b"PLTE", b"".join(bytes(colour[:3]) for colour in palette))
        + _chunk(b"tRNS", bytes(colour[3] for colour in palette))
        + pixels
        for palette in palettes
    ]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

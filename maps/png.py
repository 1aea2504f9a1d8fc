"""Pictures of a few flat colours as small PNG files (indexed colour, one alpha per colour)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["encode_indexed_png"]


def encode_indexed_png(indices: npt.NDArray[np.uint8], palette: Sequence[tuple[int, int, int, int]]) -> bytes:
    """Encode rows of colour numbers.

    Parameters
    ----------
    indices
        Shape: (rows, columns), first row on top; every value is a place in ``palette``.
    palette
        Red, green, blue, alpha, 0 to 255 each; at most 256 colours.

    Returns
    -------
    bytes
        A PNG file. The same input gives the same bytes.
    """
    rows, columns = indices.shape
    # Filter type 0 in front of every row: neighbouring pixels of one band are equal, which deflate likes as it is.
    raw = np.zeros((rows, columns + 1), dtype=np.uint8)
    raw[:, 1:] = indices
    colours = b"".join(bytes(colour[:3]) for colour in palette)
    alphas = bytes(colour[3] for colour in palette)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, body)
        for kind, body in (
            (b"IHDR", header),
            (b"PLTE", colours),
            (b"tRNS", alphas),
            (b"IDAT", zlib.compress(raw.tobytes(), 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

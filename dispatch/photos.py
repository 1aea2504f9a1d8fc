"""Photos: looked at, written anew without anything but their pixels, kept with hash, time and place (拍照留底)."""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from PIL import ExifTags, Image, ImageOps
from uuid_utils.compat import uuid7

from geo.coordinates import snap_to_grid
from geo.errors import BadInputError

__all__ = ["MOST_BYTES", "MOST_PHOTOS", "Photo", "PhotoKind", "clean_photo"]

MOST_PHOTOS: Final = 9
"""Per request."""
MOST_BYTES: Final = 12 * 1024 * 1024
"""Of one file as sent."""
_MOST_PIXELS: Final = {"JPEG": 120_000_000, "MPO": 120_000_000, "PNG": 25_000_000, "WEBP": 25_000_000}
"""A JPEG is decoded at a fraction of its size; the others unfold to four bytes a pixel first."""
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
"""What is tried; a JPEG with several pictures in it then calls itself MPO."""
_LONGEST_SIDE: Final = 2048
_PREVIEW_SIDE: Final = 320
_QUALITY: Final = 85


class PhotoKind(StrEnum):
    """What a photo shows."""

    REPORT = "report"
    BEFORE = "before"
    AFTER = "after"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo written anew. SRID: 4326 for lon, lat: where the camera says it was.

    Parameters
    ----------
    image, preview
        JPEG without any metadata; the longest side at most 2048 and 320 pixels.
    sent_digest
        SHA-256 of the file as it was sent; proves later which file it was, without keeping it.
    taken_at
        The camera's own clock, without a zone unless it says one.
    """

    id: UUID
    image: bytes
    preview: bytes
    digest: bytes
    sent_digest: bytes
    width: int
    height: int
    lon: float | None
    lat: float | None
    taken_at: str | None


def clean_photo(data: bytes, *, pointer: str = "") -> Photo:
    """Decode a file by what it contains, whatever its name says, and write it anew.

    Raises
    ------
    BadInputError
        ``photo.too_large``, ``photo.not_an_image``, ``photo.too_many_pixels``, ``photo.broken``.

    Notes
    -----
    Cost: 50 to 300 ms, so call it in a thread. Memory: at most about 100 MB.
    """
    if len(data) > MOST_BYTES:
        raise BadInputError("photo.too_large", pointer=pointer, most=MOST_BYTES // 1024 // 1024)
    try:
        with warnings.catch_warnings():
            # The library only warns of pixel bombs, and by a number that suits no camera of today; ours is below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            found = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise BadInputError("photo.too_many_pixels", pointer=pointer, most=_millions("JPEG")) from error
    except Exception as error:  # decoders raise what they like
        raise BadInputError("photo.not_an_image", pointer=pointer) from error
    kind = str(found.format)
    if found.width * found.height > _MOST_PIXELS[kind]:
        raise BadInputError("photo.too_many_pixels", pointer=pointer, most=_millions(kind))
    try:
        exif = found.getexif()
        lon, lat = _position(exif)
        taken = _taken(exif)
    except Exception:  # metadata is the sender's; a broken one is no reason to refuse the picture
        lon = lat = taken = None
    try:
        found.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
        turned = ImageOps.exif_transpose(found)
        if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
            ground = Image.new("RGBA", turned.size, "white")
            ground.alpha_composite(turned.convert("RGBA"))
            turned = ground
        # Nothing but pixels goes on: a new image has no comment, no profile, no second picture behind the first.
        pixels = turned.convert("RGB")
        pixels.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
        image = _jpeg(pixels)
        small = pixels.copy()
        small.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.LANCZOS)
        preview = _jpeg(small)
    except Exception as error:
        raise BadInputError("photo.broken", pointer=pointer) from error
    return Photo(
        id=uuid7(),
        image=image,
        preview=preview,
        digest=hashlib.sha256(image).digest(),
        sent_digest=hashlib.sha256(data).digest(),
        width=pixels.width,
        height=pixels.height,
        lon=lon,
        lat=lat,
        taken_at=taken,
    )


def _millions(kind: str) -> int:
    return _MOST_PIXELS[kind] // 1_000_000


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    bare = Image.frombytes("RGB", image.size, image.tobytes())
    bare.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _position(exif: Image.Exif) -> tuple[float | None, float | None]:
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    lat = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S")
    lon = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W")
    # 0, 0 is what cameras without a fix write.
    if lon is None or lat is None or (lon == 0 and lat == 0) or not (-180 <= lon <= 180 and -90 <= lat <= 90):
        return None, None
    return snap_to_grid(lon), snap_to_grid(lat)


def _degrees(parts: Any, reference: Any, negative: str) -> float | None:
    if parts is None or len(parts) != 3:
        return None
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        return None
    return -value if str(reference).strip().upper().startswith(negative) else value


def _taken(exif: Image.Exif) -> str | None:
    said = exif.get_ifd(ExifTags.IFD.Exif)
    at = str(said.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime) or "").strip("\x00 ")
    zone = str(said.get(ExifTags.Base.OffsetTimeOriginal) or "").strip("\x00 ")
    day, _, clock = at.partition(" ")
    if len(day) != 10 or len(clock) != 8 or not at.replace(":", "").replace(" ", "").isdigit():
        return None
    zone = zone if len(zone) == 6 and zone[0] in "+-" and zone[1:].replace(":", "").isdigit() else ""
    return f"{day.replace(':', '-')}T{clock}{zone}"

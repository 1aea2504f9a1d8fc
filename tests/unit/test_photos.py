"""Photos: hostile files are refused, honest ones come out without anything but their pixels."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from dispatch.photos import MOST_BYTES, clean_photo
from geo.errors import BadInputError


def jpeg(
    width: int = 640, height: int = 480, *, gps: bool = False, orientation: int = 1, comment: bytes = b""
) -> bytes:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SecretPhone"
    exif[ExifTags.Base.Orientation] = orientation
    if gps:
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
        place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLongitudeRef] = "N", "E"
        place[ExifTags.GPS.GPSLatitude] = (IFDRational(34), IFDRational(45), IFDRational(Fraction(36, 2)))
        place[ExifTags.GPS.GPSLongitude] = (IFDRational(113), IFDRational(36), IFDRational(36))
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:03:01 08:30:00"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, comment=comment)
    return out.getvalue()


def test_position_and_instant_are_offered_and_then_gone() -> None:
    sent = jpeg(gps=True, comment=b"caller 13812345678")
    photo = clean_photo(sent)
    assert (photo.lon, photo.lat) == (113.61, 34.755)
    assert photo.taken_at == "2026-03-01T08:30:00"
    for data in (photo.image, photo.preview):
        assert b"Exif" not in data
        assert b"SecretPhone" not in data
        assert b"13812345678" not in data
        assert not Image.open(io.BytesIO(data)).getexif()


def test_a_turned_picture_is_stored_upright_and_large_ones_are_made_smaller() -> None:
    photo = clean_photo(jpeg(400, 300, orientation=6))
    assert (photo.width, photo.height) == (300, 400)
    large = clean_photo(jpeg(5000, 2500))
    assert (large.width, large.height) == (2048, 1024)
    assert max(Image.open(io.BytesIO(large.preview)).size) == 320


def test_transparency_becomes_white_and_a_palette_becomes_colour() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(out, "PNG")
    pixel = Image.open(io.BytesIO(clean_photo(out.getvalue()).image)).getpixel((20, 20))
    assert pixel == (255, 255, 255)


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10_000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "photo.not_an_image"),
        (b"<svg onload=alert(1)>", "photo.not_an_image"),
        (b"<html><script>1</script>", "photo.not_an_image"),
        (b"GIF89a" + b"\0" * 100, "photo.not_an_image"),
        (b"%PDF-1.7\n", "photo.not_an_image"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "photo.not_an_image"),
        (jpeg()[:2000], "photo.broken"),
        (_png_that_claims(60_000, 60_000), "photo.too_many_pixels"),
        (_png_that_claims(6_000, 5_000), "photo.too_many_pixels"),
        (_png_that_claims(500, 500), "photo.broken"),
        (b"\xff" * (MOST_BYTES + 1), "photo.too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_what_is_no_honest_picture_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(BadInputError) as caught:
        clean_photo(data, pointer="/photo/0")
    assert (caught.value.code, caught.value.pointer) == (code, "/photo/0")

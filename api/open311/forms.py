"""A service request as a report: the form of GeoReport v2 read to the letter, all faults at once."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from msgspec.structs import replace
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from api.open311.services import CONDITION
from api.spelling import is_storable
from dispatch.intake import Report
from dispatch.photos import MOST_BYTES, MOST_PHOTOS, Photo
from dispatch.reference import Category
from dispatch.reporters import Reporter, faults_of
from geo.coordinates import CoordSys
from geo.errors import BadInputError, Fault, InvalidRequestError
from geo.gazetteer.places import Place

__all__ = ["Form", "join_media", "read_form", "report_of", "split_media"]

MOST_TEXT: Final = 4000
MOST_ADDRESS: Final = 400
MOST_URL: Final = 2000
_MOST_FIELDS: Final = 200
_MOST_FIELD_BYTES: Final = 64 * 1024
_NUMBER: Final = re.compile(r"[+-]?([0-9]{1,4}(\.[0-9]{0,20})?|\.[0-9]{1,20})", re.ASCII)
_MEDIA: Final = "\nmedia_url: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form as sent; a field that is empty is absent. ``parts``: what an idempotency key is compared by.

    ``files`` are as sent, too: nothing is decoded for somebody without a key.
    """

    fields: Mapping[str, Sequence[str]]
    parts: tuple[bytes, ...]
    files: tuple[bytes, ...] = ()

    def one(self, name: str) -> str:
        """The first value of a field, or nothing."""
        return next(iter(self.fields.get(name, ())), "").strip()


async def read_form(request: Request) -> Form:
    """Read a body: form-encoded as the specification asks, or multipart, by which clients send pictures.

    Raises
    ------
    BadInputError
        ``open311.bad_form`` and other faults of the form as a whole.
    """
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _multipart(request)
    if kind not in {"", "application/x-www-form-urlencoded"}:
        raise BadInputError("open311.bad_form", reason=kind[:80])
    pairs = _urlencoded(body)
    return Form(fields=_fields(pairs), parts=_said(pairs))


def _fields(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if not is_storable(name + value):
            raise BadInputError("open311.bad_character", field=name.encode("ascii", "replace").decode()[:80])
        if value.strip():
            fields.setdefault(name, []).append(value)
    return fields


def _said(pairs: Sequence[tuple[str, str]]) -> tuple[bytes, ...]:
    """What was said, without who says it: the channel's next key asks the same."""
    return tuple(f"{name}={value}".encode("utf-8", "replace") for name, value in pairs if name != "api_key")


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS, separator="&"
        )
    except UnicodeDecodeError:
        raise BadInputError("open311.not_utf8") from None
    except ValueError:
        raise BadInputError("open311.too_many_fields", most=_MOST_FIELDS) from None


async def _multipart(request: Request) -> Form:
    pairs: list[tuple[str, str]] = []
    sent: list[bytes] = []
    try:
        async with request.form(
            max_files=MOST_PHOTOS + 1, max_fields=_MOST_FIELDS, max_part_size=_MOST_FIELD_BYTES
        ) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    data = await value.read(MOST_BYTES + 1)
                    # A browser sends an empty part for a file field that nobody filled.
                    if data:
                        sent.append(data)
                else:
                    pairs.append((name, value))
    except HTTPException as error:
        if "Too many files" in str(error.detail):
            raise BadInputError("photo.too_many", most=MOST_PHOTOS) from error
        raise BadInputError("open311.bad_form", reason=str(error.detail)[:80]) from error
    except MultiPartException as error:
        raise BadInputError("open311.bad_form", reason=error.message[:80]) from error
    except UnicodeDecodeError:
        raise BadInputError("open311.not_utf8") from None
    if len(sent) > MOST_PHOTOS:
        raise BadInputError("photo.too_many", most=MOST_PHOTOS)
    files = tuple(hashlib.sha256(data).digest() for data in sent)
    return Form(fields=_fields(pairs), parts=(*_said(pairs), *files), files=tuple(sent))


def report_of(
    form: Form,
    category: Category | None,
    place: Place | None,
    *,
    channel: str,
    ticket: str,
    photos: Sequence[Photo] = (),
) -> Report:
    """A report for the same desk that the hotline's door uses. The point is WGS84, by specification.

    Raises
    ------
    InvalidRequestError
        All faults at once.
    """
    faults: list[Fault] = []
    condition: int | None = None
    if category is None:
        faults.append(Fault(code="open311.service_needed", pointer="/service_code"))
    else:
        condition = _condition(form, category, faults)
    lon, lat = _point(form, faults)
    address = form.one("address_string")
    accuracy_m: float | None = None
    if place is not None and lon is None:
        lon, lat, accuracy_m = place.lon, place.lat, place.radius_m
    if place is not None and not address:
        address = place.name_zh
    has_no_place = lon is None and not address and not any(photo.lon is not None for photo in photos)
    if has_no_place and not any(fault.pointer in {"/lat", "/long"} for fault in faults):
        faults.append(Fault(code="open311.place_needed", pointer="/lat"))
    text, media = form.one("description"), form.one("media_url")
    for name, value, most in (("description", text, MOST_TEXT), ("address_string", address, MOST_ADDRESS)):
        if len(value) > most:
            faults.append(Fault(code="open311.too_long", pointer=f"/{name}", params={"field": name, "most": most}))
    if media and not _is_url(media):
        faults.append(Fault(code="open311.bad_media_url", pointer="/media_url", params={"most": MOST_URL}))
    if faults or category is None:
        raise InvalidRequestError(faults)
    return Report(
        channel=channel,
        ticket=ticket,
        text=join_media(text, media),
        category=category.code,
        condition=condition,
        x=lon,
        y=lat,
        coord_sys=CoordSys.WGS84 if lon is not None else None,
        address=address,
        accuracy_m=accuracy_m,
        reporter=reporter_of(form),
    )


def reporter_of(form: Form) -> Reporter | None:
    """Who reports, for the sealed store. What is no number or no mail address is left aside, not refused."""
    given, family = form.one("first_name")[:40], form.one("last_name")[:40]
    # 王 and 小明 are written together, family first; Smith and John are not.
    name = f"{given} {family}".strip() if f"{given}{family}".isascii() else f"{family}{given}"
    reporter = Reporter(name=name, phone=form.one("phone")[:40], email=form.one("email")[:254])
    for fault in faults_of(reporter):
        reporter = replace(reporter, **{fault.pointer.rpartition("/")[2]: ""})
    return reporter if reporter.says_something else None


def _condition(form: Form, category: Category, faults: list[Fault]) -> int | None:
    """What is asked beside our attribute is left aside: clients send fields of their own to every city."""
    given = [
        word.strip()
        for name in (f"attribute[{CONDITION}]", f"attribute[{CONDITION}][]")
        for word in form.fields.get(name, ())
    ]
    if not given:
        return None
    pointer = f"/attribute[{CONDITION}]"
    if len(set(given)) > 1:
        faults.append(Fault(code="open311.one_value", pointer=pointer, params={"field": f"attribute[{CONDITION}]"}))
        return None
    number = int(given[0]) if re.fullmatch("[0-9]{1,5}", given[0]) else None
    if number is None or number not in category.conditions:
        known = ", ".join(str(one) for one in sorted(category.conditions)) or "–"
        params = {"field": f"attribute[{CONDITION}]", "value": given[0][:40], "known": known}
        faults.append(Fault(code="open311.unknown_value", pointer=pointer, params=params))
        return None
    return number


def _point(form: Form, faults: list[Fault]) -> tuple[float | None, float | None]:
    lon, lat = (_degrees(form, name, most, faults) for name, most in (("long", 180), ("lat", 90)))
    if bool(form.one("long")) != bool(form.one("lat")):
        missing = "lat" if form.one("long") else "long"
        faults.append(Fault(code="open311.half_point", pointer=f"/{missing}", params={"field": missing}))
        return None, None
    return lon, lat


def _degrees(form: Form, name: str, most: int, faults: list[Fault]) -> float | None:
    text = form.one(name)
    if not text:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not -most <= value <= most:
        params = {"field": name, "value": text[:40], "most": most}
        faults.append(Fault(code="open311.bad_degrees", pointer=f"/{name}", params=params))
        return None
    return value


def _is_url(text: str) -> bool:
    if len(text) > MOST_URL or any(letter.isspace() or not letter.isprintable() for letter in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def join_media(text: str, media: str) -> str:
    """Keep the address of a picture as the last line, where whoever handles the case reads it; nobody fetches it.

    Examples
    --------
    >>> split_media(join_media("a heap", "https://a.example/1.jpg"))
    ('a heap', 'https://a.example/1.jpg')
    """
    return f"{text}{_MEDIA}{media}" if media else text


def split_media(text: str) -> tuple[str, str | None]:
    """The words and the address of the picture, if there is one."""
    words, found, media = text.rpartition(_MEDIA)
    return (words, media) if found and _is_url(media) else (text, None)

"""Cases → service requests of GeoReport v2: the status mapping, and what of a case is told to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncEngine

from api.open311.door import Detail, Reader
from api.open311.forms import split_media
from api.open311.services import CONDITION, condition_name
from api.rendering import instant, local
from dispatch.masking import mask_text
from dispatch.public_requests import (
    RequestNote,
    RequestQuery,
    RequestView,
    RequestWords,
    list_notes,
    list_requests,
    list_words,
)
from dispatch.reference import Reference
from geo.storage.uow import EVERYBODY, read_unit
from maps.i18n import Locale, translate

__all__ = ["due_notice", "read_requests"]

#: Reported events happen at somebody's door: strangers learn the place to about 100 m. Parts stand in the street.
_ROUGH_DIGITS: Final = 3
_FINE_DIGITS: Final = 7


async def read_requests(
    engine: AsyncEngine,
    jurisdiction: str,
    reader: Reader,
    asked: RequestQuery,
    reference: Reference,
    locale: Locale,
    *,
    base: str,
    limit: int,
    offset: int = 0,
    has_extensions: bool = False,
) -> list[dict[str, Any]]:
    """The documents of the requests that are asked for.

    Notes
    -----
    What everybody may know is read with everybody's eyes; words, exact places and pictures are read a second time
    through the caller's own, so that row-level security decides who gets them.
    """
    caller = reader.caller
    eyes = EVERYBODY if reader.public is not Detail.NO or caller is None else caller.viewer
    channel = caller.sees_channel if caller is not None and reader.public is Detail.NO else None
    if channel is not None:
        asked = RequestQuery(**{name: getattr(asked, name) for name in asked.__slots__} | {"channel": channel})
    notes: list[RequestNote] = []
    async with read_unit(engine, viewer=eyes) as unit:
        views = await list_requests(unit, jurisdiction, asked, limit=limit, offset=offset)
        if has_extensions:
            notes = await list_notes(unit, [view.id for view in views])
    words: Mapping[str, RequestWords] = {}
    if caller is not None and views:
        async with read_unit(engine, viewer=caller.viewer) as unit:
            words = await list_words(unit, [view.ref for view in views], channel=caller.sees_channel)
    home = reference.jurisdictions.get(jurisdiction)
    zone = home.time_zone if home is not None else "UTC"
    documents = []
    for view in views:
        document = _request(view, words.get(view.ref), reader.public, locale, zone, base)
        if has_extensions:
            own = [note for note in notes if note.case_id == view.id]
            document |= _extensions(view, words.get(view.ref), reference, own, locale, base)
        documents.append(document)
    return documents


def _request(
    view: RequestView, words: RequestWords | None, public: Detail, locale: Locale, zone: str, base: str
) -> dict[str, Any]:
    text, media = split_media(mask_text(words.text)) if words is not None else ("", None)
    if words is not None and words.photos:
        media = _media_url(words.photos[0], base)
    lon, lat = _place(view, words, public)
    agency = _chosen(view.agency_zh, view.agency_en, locale)
    if words is not None and not agency:
        agency = _chosen(words.post_zh, words.post_en, locale)
    address = mask_text(words.address) if words is not None else ""
    if not address and public is not Detail.STATUS:
        address = _chosen(view.area_zh, view.area_en, locale)
    notes = [translate(locale, f"open311.status.{view.state.value}"), *([words.said] if words and words.said else [])]
    return {
        "service_request_id": view.ref,
        "status": "open" if view.is_open else "closed",
        "status_notes": " ".join(notes),
        "service_name": _chosen(view.category_zh, view.category_en, locale) or view.category,
        "service_code": view.category,
        "description": text or None,
        "agency_responsible": agency or None,
        "service_notice": due_notice(view.due_at, locale, zone) if view.due_at is not None and view.is_open else None,
        "requested_datetime": _second(view.reported_at),
        "updated_datetime": _second(view.updated_at),
        "expected_datetime": _second(view.due_at),
        "address": address or None,
        "address_id": None,
        "zipcode": None,
        "lat": lat,
        "long": lon,
        "media_url": media,
    }


def _place(view: RequestView, words: RequestWords | None, public: Detail) -> tuple[float | None, float | None]:
    if view.lon is None or view.lat is None or (words is None and public is Detail.STATUS):
        return None, None
    digits = _FINE_DIGITS if words is not None or view.kind == "part" else _ROUGH_DIGITS
    return round(view.lon, digits), round(view.lat, digits)


def due_notice(due_at: datetime, locale: Locale, zone: str) -> str:
    """Until when it will be dealt with, for people to read."""
    return translate(locale, "open311.notice_due", due=local(due_at, zone))


def _extensions(
    view: RequestView,
    words: RequestWords | None,
    reference: Reference,
    notes: Sequence[RequestNote],
    locale: Locale,
    base: str,
) -> dict[str, Any]:
    category = reference.categories.get(view.category)
    condition = category.conditions.get(view.condition) if category is not None and view.condition is not None else None
    attributes = []
    if condition is not None:
        attributes = [
            {
                "code": CONDITION,
                "label": translate(locale, "open311.condition"),
                "value": str(condition.number),
                "name": condition_name(condition, locale),
            }
        ]
    photos = [{"media_url": _media_url(photo, base)} for photo in words.photos] if words is not None else []
    return {
        "attributes": attributes,
        "extended_attributes": {"state": view.state.value, "cells": list(view.cells), "photos": photos},
        "notes": [
            {
                "datetime": _second(note.at),
                "description": translate(locale, f"open311.status.{note.state.value}"),
                "type": note.state.value,
            }
            for note in notes
        ],
    }


def _media_url(photo: object, base: str) -> str:
    return f"{base}/media/{quote(str(photo))}.jpg"


def _chosen(name_zh: str, name_en: str, locale: Locale) -> str:
    return (name_en if locale == "en" else name_zh) or name_zh or name_en


def _second(value: datetime | None) -> str | None:
    """W3C date and time: seconds are as fine as clients' parsers can be trusted with."""
    return instant(value.replace(microsecond=0)) if value is not None else None

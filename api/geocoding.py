"""An outside geocoder, if a setting names one: asked last, believed little, and never waited for long."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import structlog

from api.settings import Settings
from dispatch.addressing import Geocoded
from geo.coordinates import CoordSys, check_position
from geo.errors import BadInputError

log = structlog.get_logger("gridward.geocoder")

_MOST_BYTES = 256 * 1024
_MOST_FAILURES = 3
_PAUSE_S = 30.0
_RADIUS_M = 60.0
#: Levels of Amap's answer that name one spot. Source: Amap Web service, geocode/geo, field `level`.
_AMAP_EXACT = frozenset({"门牌号", "单元号", "兴趣点", "道路交叉路口", "楼栋"})
_EXACT_KINDS = frozenset({"house", "address", "rooftop", "building", "intersection"})


class HttpGeocoder:
    """Ask a geocoder over HTTP.

    Parameters
    ----------
    template
        Address of the service with ``{q}`` where the encoded words go; keys and the city are part of it.
    coord_sys
        System of its answers.
    timeout_s
        For everything together. After three failures in a row it is left alone for half a minute, so a geocoder that is
        away costs reports nothing.
    """

    def __init__(self, template: str, coord_sys: CoordSys, *, timeout_s: float) -> None:
        self._template = template
        self._coord_sys = coord_sys
        self._timeout_s = timeout_s
        self._failures = 0
        self._until = 0.0
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=4),
            headers={"Accept": "application/json"},
        )

    async def find(self, address: str) -> Geocoded | None:
        """Look an address up; None when the service knows nothing, answers nonsense or is away."""
        if time.monotonic() < self._until:
            return None
        try:
            document = await self._ask(address)
        except Exception as error:  # whatever happens out there, the report is taken
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                self._until = time.monotonic() + _PAUSE_S
            # Not the address: it may say where somebody lives.
            log.warning("geocoder_failed", error=type(error).__name__, failures=self._failures)
            return None
        self._failures = 0
        return _read(document, self._coord_sys)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def _ask(self, address: str) -> Any:
        async with (
            asyncio.timeout(self._timeout_s),
            self._client.stream("GET", self._template.replace("{q}", quote(address, safe=""))) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise ValueError("too much")
        return orjson.loads(body)


@asynccontextmanager
async def open_geocoder(settings: Settings) -> AsyncIterator[HttpGeocoder | None]:
    """Give the geocoder that the settings name, or None."""
    if not settings.geocoder_url:
        yield None
        return
    geocoder = HttpGeocoder(settings.geocoder_url, settings.geocoder_coord_sys, timeout_s=settings.geocoder_timeout_s)
    try:
        yield geocoder
    finally:
        await geocoder.aclose()


def _read(document: Any, coord_sys: CoordSys) -> Geocoded | None:
    """GeoJSON (Photon, Pelias, Nominatim) or Amap's own shape."""
    try:
        if isinstance(document, dict) and isinstance(document.get("geocodes"), list):
            first = document["geocodes"][0]
            lon, lat = (float(part) for part in str(first["location"]).split(","))
            name, is_exact = str(first.get("formatted_address") or ""), first.get("level") in _AMAP_EXACT
        else:
            features = document["features"]
            lon, lat = (float(part) for part in features[0]["geometry"]["coordinates"][:2])
            said = features[0].get("properties") or {}
            name = str(said.get("label") or said.get("display_name") or said.get("name") or "")
            kinds = {str(said.get(key)) for key in ("accuracy", "layer", "type", "osm_value", "addresstype")}
            # Several answers mean that it was not sure either.
            is_exact = len(features) == 1 and bool(kinds & _EXACT_KINDS)
        check_position(lon, lat)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, BadInputError):
        return None
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return None
    return Geocoded(name=name[:200], lon=lon, lat=lat, coord_sys=coord_sys, is_exact=is_exact, radius_m=_RADIUS_M)

"""An address instead of a point: the local gazetteer first, an outside geocoder if there is one, a person in doubt.

A report is never refused because an address is not found, and nobody is sent anywhere on a guess: only an address that
means one place beyond doubt stands in for a point.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec.structs import replace

from dispatch.intake import PreparedReport, Report
from geo.coordinates import CoordSys, snap_to_grid, to_wgs84
from geo.gazetteer.places import Candidate, Precision, choose

__all__ = ["AddressMatch", "Geocoded", "Geocoder", "find_address", "match_record", "with_position"]

Search = Callable[[str], Awaitable[Sequence[Candidate]]]

_MOST_CANDIDATES = 5
_CAMERA_RADIUS_M = 50.0
_LEAST_TO_PLACE = 0.75
"""A likeness below this is shown to a person but puts nothing on the map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geocoded:
    """What an outside geocoder says. Units: degrees in ``coord_sys``; ``radius_m`` metres."""

    name: str
    lon: float
    lat: float
    coord_sys: CoordSys
    is_exact: bool
    radius_m: float


class Geocoder(Protocol):
    """An outside service; answers None when it knows nothing or is away, and never raises."""

    async def find(self, address: str) -> Geocoded | None:
        """Look an address up."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressMatch:
    """Where an address lies. SRID: 4326; ``lon`` and ``lat`` are None when nothing is like it.

    ``is_sure`` means one place beyond doubt: good enough to send somebody there without asking.
    """

    source: str
    is_sure: bool
    precision: str
    score: float
    name: str
    place_id: int | None
    lon: float | None
    lat: float | None
    radius_m: float | None
    candidates: tuple[Candidate, ...] = ()


async def find_address(address: str, search: Search, geocoder: Geocoder | None = None) -> AddressMatch:
    """Find where an address lies.

    Notes
    -----
    Cost: one query; and the geocoder's time where the gazetteer is not sure.
    """
    candidates = tuple(await search(address))
    chosen = choose(candidates)
    if chosen is not None:
        return _from_candidate(chosen, candidates, is_sure=True)
    found = await geocoder.find(address) if geocoder is not None else None
    if found is not None:
        lon, lat = to_wgs84(found.lon, found.lat, found.coord_sys)
        return AddressMatch(
            source="geocoder",
            is_sure=found.is_exact,
            precision=(Precision.EXACT if found.is_exact else Precision.SIMILAR).value,
            score=1.0 if found.is_exact else 0.5,
            name=found.name,
            place_id=None,
            lon=snap_to_grid(lon),
            lat=snap_to_grid(lat),
            radius_m=found.radius_m,
            candidates=candidates[:_MOST_CANDIDATES],
        )
    likely = candidates[0] if candidates and _is_worth_placing(candidates) else None
    if likely is not None:
        return _from_candidate(likely, candidates, is_sure=False)
    return AddressMatch(
        source="none",
        is_sure=False,
        precision="none",
        score=0.0,
        name="",
        place_id=None,
        lon=None,
        lat=None,
        radius_m=None,
        candidates=candidates[:_MOST_CANDIDATES],
    )


def with_position(report: PreparedReport, match: AddressMatch) -> PreparedReport:
    """Give a report the position of its address; unless that is sure, a person looks before anybody is sent."""
    return replace(
        report,
        lon=match.lon,
        lat=match.lat,
        is_certain=report.is_certain and match.is_sure,
        accuracy_m=match.radius_m if match.lon is not None else None,
        position=match_record(match),
    )


def by_camera(placed: PreparedReport, report: Report) -> PreparedReport:
    """A report that says nothing of its place but has a photo that does: taken for a hint, never for certain.

    Parameters
    ----------
    placed
        The report prepared as if it lay where the camera says.
    """
    return replace(
        placed,
        digest=report.digest(),
        raw_x=None,
        raw_y=None,
        coord_sys=None,
        is_certain=False,
        accuracy_m=_CAMERA_RADIUS_M,
        position={
            "name": "",
            "score": 0.5,
            "source": "photo",
            "is_sure": False,
            "place_id": None,
            "precision": Precision.NEAR.value,
            "candidates": [],
        },
    )


def match_record(match: AddressMatch) -> Mapping[str, Any]:
    """What the first event keeps of a match; keys in the order in which jsonb keeps them."""
    return {
        "name": match.name,
        "score": match.score,
        "source": match.source,
        "is_sure": match.is_sure,
        "place_id": match.place_id,
        "precision": match.precision,
        "candidates": [
            {
                "id": one.place.id,
                "lat": one.place.lat,
                "lon": one.place.lon,
                "kind": one.place.kind.value,
                "score": one.score,
                "name_en": one.place.name_en,
                "name_zh": one.place.name_zh,
                "precision": one.precision.value,
            }
            for one in match.candidates
        ],
    }


def _is_worth_placing(candidates: Sequence[Candidate]) -> bool:
    best = candidates[0]
    if best.precision is Precision.WIDE or best.score < _LEAST_TO_PLACE:
        return False
    # Two places of one name: a point on the map would look like knowledge.
    rivals = [one for one in candidates[1:] if one.score >= best.score and one.key == best.key]
    return not rivals


def _from_candidate(one: Candidate, candidates: tuple[Candidate, ...], *, is_sure: bool) -> AddressMatch:
    return AddressMatch(
        source="gazetteer",
        is_sure=is_sure,
        precision=one.precision.value,
        score=one.score,
        name=one.place.name_zh,
        place_id=one.place.id,
        lon=one.place.lon,
        lat=one.place.lat,
        radius_m=one.place.radius_m,
        candidates=candidates[:_MOST_CANDIDATES],
    )

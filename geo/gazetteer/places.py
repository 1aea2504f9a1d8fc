"""Places with names, and which of them an address means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from geo.gazetteer.addresses import Address, is_detail, is_way, parse_address

__all__ = ["Candidate", "Place", "PlaceKind", "Precision", "choose", "keys_of", "rank"]


class PlaceKind(StrEnum):
    """What a place is."""

    ESTATE = "estate"
    COURTYARD = "courtyard"
    CROSSING = "crossing"
    BUILDING = "building"
    NUMBER = "number"
    LANDMARK = "landmark"
    ROAD = "road"
    AREA = "area"


RADIUS_M = {
    PlaceKind.ESTATE: 60.0,
    PlaceKind.COURTYARD: 40.0,
    PlaceKind.CROSSING: 25.0,
    PlaceKind.BUILDING: 20.0,
    PlaceKind.NUMBER: 15.0,
    PlaceKind.LANDMARK: 40.0,
    PlaceKind.ROAD: 500.0,
    PlaceKind.AREA: 500.0,
}
"""How far from its point a place of unknown size reaches. Units: metres."""
_WIDE = frozenset({PlaceKind.ROAD, PlaceKind.AREA})


class Precision(StrEnum):
    """How well an address is known to mean a place, the best first; only the first may do without a person."""

    EXACT = "exact"
    NEAR = "near"
    SIMILAR = "similar"
    WIDE = "wide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An entry. SRID: 4326. ``radius_m``: how far it reaches from its point, metres."""

    id: int
    source_id: str
    kind: PlaceKind
    name_zh: str
    name_en: str
    aliases: tuple[str, ...]
    keys: tuple[str, ...]
    lon: float
    lat: float
    radius_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A place that an address may mean. ``score`` is 1 for the very name and falls to 0."""

    place: Place
    precision: Precision
    score: float
    key: str


_LEAST = 0.25
_TOO_CLOSE = 0.05


def keys_of(names: Iterable[str]) -> tuple[str, ...]:
    """The folded keys of a place's name and aliases."""
    return tuple(dict.fromkeys(key for name in names if (key := parse_address(name).key)))


def rank(address: Address, places: Iterable[Place]) -> list[Candidate]:
    """The places an address may mean, the likeliest first. Cost: about 10 µs a place."""
    found = []
    for place in places:
        best = max(((*_score(address, key), key) for key in place.keys), default=None)
        if best is None or best[0] < _LEAST:
            continue
        score, is_named, key = best
        precision = Precision.EXACT if is_named else Precision.SIMILAR
        if is_named and address.is_near:
            precision, score = Precision.NEAR, score - 0.1
        if place.kind in _WIDE:
            precision, score = Precision.WIDE, score * 0.8
        found.append(Candidate(place=place, precision=precision, score=round(score, 4), key=key))
    return sorted(found, key=lambda one: (-one.score, one.place.name_zh, one.place.id))


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """The one place that an address means beyond doubt, or None when a person has to look.

    Two estates of one name, a name that is only similar, "opposite", a whole road: all of that waits for a person.
    """
    if not candidates or candidates[0].precision is not Precision.EXACT:
        return None
    best = candidates[0]
    for other in candidates[1:]:
        if other.score < best.score - _TOO_CLOSE:
            break
        # The estate of a building, or the road of a number, is no rival: its name is part of the better one.
        is_same = (other.place.lon, other.place.lat) == (best.place.lon, best.place.lat)
        if other.precision is Precision.EXACT and not is_same and not (other.key != best.key and other.key in best.key):
            return None
    return best


def _score(address: Address, key: str) -> tuple[float, bool]:
    """Likeness of an address and a key, and whether the address names the place and nothing else."""
    asked = address.key
    if asked == key:
        return 1.0, True
    if address.is_crossing or key.startswith("x:"):
        return _alike(asked, key) * 0.8, False
    if len(key) >= 2 and (at := asked.find(key)) >= 0:
        before, after = asked[:at], asked[at + len(key) :]
        share = len(key) / len(asked)
        if (not before or is_way(before)) and (not after or is_detail(after)):
            return 0.9 + 0.1 * share, True
        return 0.45 + 0.4 * share, False
    if len(asked) >= 2 and asked in key:
        return 0.5 + 0.4 * len(asked) / len(key), False
    return _alike(asked, key) * 0.8, False


def _alike(one: str, other: str) -> float:
    """Dice's coefficient over pairs of characters; other numbers mean another place. Source: Dice 1945."""
    first, second = _pairs(one), _pairs(other)
    shared = len(first & second)
    if not shared:
        return 0.0
    alike = 2 * shared / (len(first) + len(second))
    return alike if _numbers(one) == _numbers(other) else alike * 0.7


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1)} or {text}


def _numbers(text: str) -> list[str]:
    return "".join(char if char.isdigit() else " " for char in text).split()

"""Code systems of grid cells: how many digits, cut where, and how the next code is made. Pure.

A code grows with the level: in the 15-digit system a subdistrict has 9 digits (6 county division + 3), a community 12,
a unit cell 15, and a child's code begins with its parent's. Which system a grid version uses is data; ``free`` checks
nothing but that codes are unique.

The county division's six digits are checked for shape only: the list of divisions changes every year and is not ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from geo.errors import BadInputError

ORDER_RULE = "we-ns-1"
"""West to east, then north to south, then the smaller key in code-point order (see `next_codes`)."""
_FREE_DIGITS = 3


class CodeProblem(StrEnum):
    """What is wrong with a code; stable, part of the error codes."""

    LENGTH = "geo.code_length"
    NOT_DIGITS = "geo.code_not_digits"
    DIVISION = "geo.code_division"
    ZERO_SEGMENT = "geo.code_zero_segment"
    LEVEL = "geo.code_level"
    NOT_UNDER_PARENT = "geo.code_not_under_parent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of digits with a meaning. ``level`` is the level of cells whose code ends with it; None before level 1."""

    name: str
    digits: int
    level: int | None = None
    may_be_zero: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSystem:
    """A way to write codes.

    Parameters
    ----------
    segments
        From left to right; empty for ``free``.
    is_published
        Whether the cut was read in a published standard (``source``); otherwise it is this project's default.
    """

    name: str
    segments: tuple[Segment, ...]
    source: str
    is_published: bool

    @property
    def lengths(self) -> Mapping[int, int]:
        """Digits of a code by level."""
        found, total = {}, 0
        for segment in self.segments:
            total += segment.digits
            if segment.level is not None:
                found[segment.level] = total
        return found

    @property
    def has_prefix_rule(self) -> bool:
        """Whether a child's code begins with its parent's."""
        return bool(self.segments)


_COUNTY = Segment(name="county", digits=6)
_SUBDISTRICT = Segment(name="subdistrict", digits=3, level=1)
_COMMUNITY = Segment(name="community", digits=3, level=2)


def _system(name: str, tail: int, source: str, *, is_published: bool) -> CodeSystem:
    cell = Segment(name="cell", digits=tail, level=3)
    return CodeSystem(
        name=name, segments=(_COUNTY, _SUBDISTRICT, _COMMUNITY, cell), source=source, is_published=is_published
    )


CODE_SYSTEMS: Mapping[str, CodeSystem] = MappingProxyType(
    {
        system.name: system
        for system in (
            CodeSystem(name="free", segments=(), source="", is_published=False),
            _system(
                "cn15",
                3,
                "Beijing's DB11 standard of unit cells, 5.2: 6 + 3 + 3 + 3",
                is_published=True,
            ),
            _system("cn14", 2, "project default: 6 + 3 + 3 + 2", is_published=False),
            _system("cn16", 4, "project default: 6 + 3 + 3 + 4", is_published=False),
            CodeSystem(
                name="cn20",
                segments=(
                    # What is managed or served comes first; a city that does not use it writes zeros.
                    Segment(name="object", digits=6, may_be_zero=True),
                    _COUNTY,
                    _SUBDISTRICT,
                    _COMMUNITY,
                    # A community that is not divided has 00.
                    Segment(name="cell", digits=2, level=3, may_be_zero=True),
                ),
                source="CJ/T 349-2010, 5: 6 object + 6 county + 3 subdistrict + 3 community + 2 sequence",
                is_published=True,
            ),
        )
    }
)


def get_code_system(name: str) -> CodeSystem:
    """Return a system by its name.

    Raises
    ------
    BadInputError
        ``geo.code_system_unknown`` with the names there are.
    """
    if name not in CODE_SYSTEMS:
        known = ", ".join(CODE_SYSTEMS)
        raise BadInputError("geo.code_system_unknown", pointer="/code_system", name=name[:40], known=known)
    return CODE_SYSTEMS[name]


def find_problem(system: CodeSystem, code: str, level: int, parent: str | None = None) -> CodeProblem | None:
    """Say what is wrong with a code, or None.

    Parameters
    ----------
    parent
        The parent's code, when the cell has a parent; a child's must begin with it where the system says so.

    Examples
    --------
    >>> cn15 = CODE_SYSTEMS["cn15"]
    >>> find_problem(cn15, "410102001", 1), find_problem(cn15, "410102001002", 2, "410102001")
    (None, None)
    >>> find_problem(cn15, "410102001002", 3).value, find_problem(cn15, "410102002002", 2, "410102001").value
    ('geo.code_length', 'geo.code_not_under_parent')
    """
    if not system.segments:
        return None
    if level not in system.lengths:
        return CodeProblem.LEVEL
    if not (code.isascii() and code.isdigit()):
        return CodeProblem.NOT_DIGITS
    if len(code) != system.lengths[level]:
        return CodeProblem.LENGTH
    for segment, digits in split_code(system, code).items():
        if segment.name == "county" and digits.startswith("0"):
            return CodeProblem.DIVISION
        if not segment.may_be_zero and not digits.strip("0"):
            return CodeProblem.ZERO_SEGMENT
    if parent is not None and parent_code(system, code) != parent:
        return CodeProblem.NOT_UNDER_PARENT
    return None


def check_code(system: CodeSystem, code: str, level: int, parent: str | None = None) -> None:
    """Raise unless a code fits its system, level and parent.

    Raises
    ------
    BadInputError
        One of `CodeProblem`, with the facts of the sentence.
    """
    problem = find_problem(system, code, level, parent)
    if problem is not None:
        raise BadInputError(problem.value, **problem_facts(system, code, level, parent))


def problem_facts(system: CodeSystem, code: str, level: int, parent: str | None) -> dict[str, Any]:
    """Return the facts that every sentence about a wrong code may use."""
    return {
        "value": ascii(code[:40])[1:-1],
        "system": system.name,
        "level": level,
        "length": len(code),
        "expected": system.lengths.get(level, 0),
        "parent": parent or "–",
    }


def split_code(system: CodeSystem, code: str) -> dict[Segment, str]:
    """Cut a code into its segments, as far as it goes.

    Examples
    --------
    >>> [(segment.name, digits) for segment, digits in split_code(CODE_SYSTEMS["cn15"], "410102001002").items()]
    [('county', '410102'), ('subdistrict', '001'), ('community', '002')]
    """
    found: dict[Segment, str] = {}
    at = 0
    for segment in system.segments:
        if at >= len(code):
            break
        found[segment] = code[at : at + segment.digits]
        at += segment.digits
    return found


def level_of(system: CodeSystem, code: str) -> int | None:
    """Level that a code's length says; None when no level has that length, or the system does not say."""
    return next((level for level, length in system.lengths.items() if length == len(code)), None)


def parent_code(system: CodeSystem, code: str) -> str | None:
    """Code of the parent that a code names in its beginning; None at level 1 and where the system does not say.

    Examples
    --------
    >>> parent_code(CODE_SYSTEMS["cn20"], "03010141010200100202")
    '030101410102001002'
    """
    level = level_of(system, code)
    if level is None or level - 1 not in system.lengths:
        return None
    return code[: system.lengths[level - 1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a cell that needs a code lies: its label point. SRID: 4326. ``key`` is the caller's own name for it."""

    key: str
    lon: float
    lat: float


def next_codes(
    system: CodeSystem,
    parent: str,
    places: Iterable[Place],
    *,
    taken: Collection[str] = (),
    row_deg: float | None = None,
) -> Iterator[tuple[Place, str]]:
    """Give the cells of one parent their codes, from west to east, then from north to south.

    A code that was ever used is not used again: numbers go on after the highest one taken, because an old case still
    names the old cell.

    Boundary: of two places at one longitude (equal on the 1e-7° grid) the northern comes first; at one and the same
    place the smaller key in code-point order (rule `ORDER_RULE`).

    Parameters
    ----------
    taken
        Codes under the same parent, past and present.
    row_deg
        Units: degrees. With it, places are read like a page: bands of this height from the northernmost place down,
        each from west to east. Without it longitude alone leads, as the standards' words say.

    Raises
    ------
    BadInputError
        ``geo.codes_exhausted`` when the digits do not suffice; ``geo.code_not_digits`` or ``geo.code_no_parent`` when
        nothing can lie under the parent's own code.

    Examples
    --------
    >>> east, north, south = Place(key="a", lon=2, lat=0), Place(key="b", lon=1, lat=1), Place(key="c", lon=1, lat=0)
    >>> [code[-3:] for place, code in next_codes(CODE_SYSTEMS["cn15"], "410102001002", [east, north, south])]
    ['001', '002', '003']
    >>> [place.key for place, code in next_codes(CODE_SYSTEMS["cn15"], "410102001002", [east, north, south])]
    ['b', 'c', 'a']
    """
    prefix, digits = _under(system, parent)
    used = [int(code[len(prefix) :]) for code in taken if _is_under(code, prefix, digits)]
    number = max(used, default=0)
    given = list(places)
    north = max((place.lat for place in given), default=0.0)

    def order(place: Place) -> tuple[int, int, int, str]:
        row = int((north - place.lat) / row_deg) if row_deg else 0
        return (row, round(place.lon * 1e7), -round(place.lat * 1e7), place.key)

    for place in sorted(given, key=order):
        number += 1
        if number >= 10**digits:
            raise BadInputError("geo.codes_exhausted", parent=parent, most=10**digits - 1)
        yield place, f"{prefix}{number:0{digits}d}"


def _under(system: CodeSystem, parent: str) -> tuple[str, int]:
    if not system.segments:
        return parent, _FREE_DIGITS
    if not (parent.isascii() and parent.isdigit()):
        raise BadInputError(CodeProblem.NOT_DIGITS.value, pointer="/parent", **problem_facts(system, parent, 0, None))
    # The six digits of a county (with what stands before them) are the parent of level 1.
    roots = next(iter(system.lengths.values())) - _digits_of(system, 1)
    above = {roots: 1} | {digits: level + 1 for level, digits in system.lengths.items() if level + 1 in system.lengths}
    if len(parent) not in above:
        facts = problem_facts(system, parent, 0, None) | {"lengths": ", ".join(str(digits) for digits in above)}
        raise BadInputError("geo.code_no_parent", pointer="/parent", **facts)
    return parent, _digits_of(system, above[len(parent)])


def _digits_of(system: CodeSystem, level: int) -> int:
    return next(segment.digits for segment in system.segments if segment.level == level)


def _is_under(code: str, prefix: str, digits: int) -> bool:
    rest = code[len(prefix) :]
    return code.startswith(prefix) and len(rest) == digits and rest.isascii() and rest.isdigit()

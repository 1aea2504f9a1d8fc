"""From a file's columns to a cell's attributes: code, names, kind, level, numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geo.cells import CellKind
from geo.importing.faults import Fault, FaultCode, refuse
from geo.importing.features import RawFeature

FIELDS = (
    "code",
    "name_zh",
    "name_en",
    "kind",
    "level",
    "parent",
    "population",
    "households",
    "parent_name_zh",
    "parent_name_en",
)
MAX_LEVEL = 9
_CODE = re.compile(r"^\w[\w.\-]{0,63}$")
_MAX_TEXT = 200
# Marks that turn the reading direction can make one code look like another; names never need them here.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRule:
    """How a feature's level is known: one for all, by the length of its code, or from a column.

    ``by_length`` maps code length to level, ``{9: 2}``; ``constant`` and ``by_length`` exclude each other; with neither
    the mapped ``level`` column counts.
    """

    constant: int | None = None
    by_length: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAttributes:
    """What a feature says about its cell, checked."""

    number: int | None
    code: str
    name_zh: str
    name_en: str
    kind: CellKind
    level: int
    parent: str | None
    population: int | None
    households: int | None
    parent_name_zh: str = ""
    parent_name_en: str = ""


def parse_mapping(text: str) -> dict[str, str]:
    """Read ``code=gbcode,name_zh=name_zh``: our field on the left, the file's column on the right.

    Raises
    ------
    FileRefusedError
        A field that does not exist, a field twice, or a pair without ``=``.

    Examples
    --------
    >>> parse_mapping("code=gbcode, name_en=ename")
    {'code': 'gbcode', 'name_en': 'ename'}
    """
    mapping: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        target, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not column or target not in FIELDS or target in mapping:
            raise refuse(FaultCode.OPTION_CONFLICT, first="--map", second=pair[:80])
        mapping[target] = column
    if "code" not in mapping:
        raise refuse(FaultCode.OPTION_CONFLICT, first="--map", second="code=?")
    return mapping


def parse_lengths(text: str) -> dict[int, int]:
    """Read ``6:1,9:2`` (code length : level), as used by the level and the dissolve options.

    Examples
    --------
    >>> parse_lengths("6:1,9:2")
    {6: 1, 9: 2}
    """
    found: dict[int, int] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        length, colon, level = pair.partition(":")
        if not colon or not length.strip().isdigit() or not level.strip().isdigit():
            raise refuse(FaultCode.OPTION_CONFLICT, first="LENGTH:LEVEL (6:1)", second=pair[:80])
        found[int(length)] = int(level)
    if not found or not all(1 <= level <= MAX_LEVEL for level in found.values()):
        raise refuse(FaultCode.OPTION_CONFLICT, first="LENGTH:LEVEL (6:1)", second=text[:80])
    return found


def read_attributes(
    features: Sequence[RawFeature], columns: Sequence[str], mapping: Mapping[str, str], rule: LevelRule
) -> tuple[list[CellAttributes], list[Fault]]:
    """Read and check the mapped columns of every feature; a feature with a fault yields no attributes.

    Raises
    ------
    FileRefusedError
        A mapped column is not in the file at all, or no level can be known.
    """
    for target, column in mapping.items():
        if column not in columns:
            raise refuse(FaultCode.COLUMN_MISSING, column=column, field=target, columns=", ".join(columns)[:300])
    if rule.constant is None and not rule.by_length and "level" not in mapping:
        raise refuse(FaultCode.OPTION_CONFLICT, first="--level", second="–")
    found: list[CellAttributes] = []
    faults: list[Fault] = []
    first_of: dict[str, int] = {}
    for feature in features:
        reader = _Reader(feature=feature, mapping=mapping, faults=[])
        attributes = reader.attributes(rule)
        faults += reader.faults
        if attributes is None:
            continue
        if attributes.code in first_of:
            params: dict[str, str | int | float] = {"value": attributes.code, "first": first_of[attributes.code]}
            faults.append(Fault(code=FaultCode.DUPLICATE_CODE, feature=feature.number, params=params))
            continue
        first_of[attributes.code] = feature.number
        found.append(attributes)
    return found, faults


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Reads one feature and collects all its faults, so that the user mends them in one go."""

    feature: RawFeature
    mapping: Mapping[str, str]
    faults: list[Fault]

    def attributes(self, rule: LevelRule) -> CellAttributes | None:
        code = self._code()
        level = self._level(rule, code)
        found = CellAttributes(
            number=self.feature.number,
            code=code,
            name_zh=self._text("name_zh"),
            name_en=self._text("name_en"),
            kind=self._kind(),
            level=level,
            parent=self._text("parent") or None,
            population=self._number("population"),
            households=self._number("households"),
            parent_name_zh=self._text("parent_name_zh"),
            parent_name_en=self._text("parent_name_en"),
        )
        return None if self.faults else found

    def _fault(self, code: FaultCode, **params: str | int | float) -> None:
        self.faults.append(Fault(code=code, feature=self.feature.number, params=params))

    def _value(self, target: str) -> Any:
        column = self.mapping.get(target)
        return None if column is None else self.feature.properties.get(column)

    def _text(self, target: str) -> str:
        value = _as_text(self._value(target))
        odd = next((mark for mark in value if mark in _BIDI or unicodedata.category(mark) in ("Cc", "Cs")), None)
        if odd is not None:
            self._fault(FaultCode.TEXT_UNUSABLE, field=target, mark=f"U+{ord(odd):04X}")
            return ""
        if len(value) > _MAX_TEXT:
            self._fault(FaultCode.TEXT_UNUSABLE, field=target, mark=f"> {_MAX_TEXT}")
            return ""
        return value

    def _code(self) -> str:
        given = self._value("code")
        value = _as_text(given)
        if isinstance(given, bool) or (isinstance(given, float) and not _is_exact(given)):
            # Twenty digits do not fit into a number: what arrives is another cell's code, or nobody's.
            self._fault(FaultCode.CODE_NUMBER, value=repr(given))
        elif not value:
            self._fault(FaultCode.CODE_MISSING)
        elif not _CODE.fullmatch(value):
            self._fault(FaultCode.CODE_UNUSABLE, value=ascii(value[:80]))
        return value

    def _kind(self) -> CellKind:
        value = _as_text(self._value("kind")) or CellKind.ORDINARY.value
        try:
            return CellKind(value)
        except ValueError:
            self._fault(FaultCode.KIND_UNKNOWN, value=ascii(value[:80]))
            return CellKind.ORDINARY

    def _number(self, target: str) -> int | None:
        text = _as_text(self._value(target))
        if not text:
            return None
        if not text.isdecimal() or int(text) > 2**31 - 1:
            self._fault(FaultCode.NUMBER_UNUSABLE, field=target, value=ascii(text[:80]))
            return None
        return int(text)

    def _level(self, rule: LevelRule, code: str) -> int:
        if rule.constant is not None:
            return rule.constant
        if rule.by_length:
            level = rule.by_length.get(len(code))
            if level is None and code:
                self._fault(FaultCode.LEVEL_MISSING, value=code[:80], length=len(code))
            return level or 1
        text = _as_text(self._value("level"))
        if not text.isdecimal() or not 1 <= int(text) <= MAX_LEVEL:
            self._fault(FaultCode.LEVEL_UNUSABLE, value=ascii(text[:80]))
            return 1
        return int(text)


def _is_exact(value: float) -> bool:
    """Whether a number read as floating point still has all the digits that were written."""
    return value.is_integer() and abs(value) <= 2**53


def _as_text(value: Any) -> str:
    """Text of a cell of the table; a whole number loses the ``.0`` that dBase and JSON exporters add to codes."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()

"""Which cell does an address name? By a cell's name or code standing in it; pure, no database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["CellNames", "NamedCell"]

_DIGITS = re.compile(r"(?<!\d)\d{9,20}(?!\d)")
_LEAST = 3
_MOST = 24
_READ = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCell:
    """A cell as addresses call it. ``path``: codes from level 1 down to itself."""

    code: str
    path: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(slots=True)
class CellNames:
    """Finds the cell that an address names.

    Names shorter than three characters are not looked for: they stand in too many addresses by chance.

    Examples
    --------
    >>> names = CellNames.build([
    ...     NamedCell(code="410102001", path=("410102001",), names=("建设路街道",)),
    ...     NamedCell(code="410102001002", path=("410102001", "410102001002"), names=("汝河社区",)),
    ... ])
    >>> names.find("郑州市中原区建设路街道汝河社区3号楼"), names.find("桐柏路 8 号")
    ('410102001002', None)
    """

    _by_name: dict[str, tuple[NamedCell, ...]] = field(default_factory=dict)
    _by_code: dict[str, NamedCell] = field(default_factory=dict)
    _lengths: tuple[int, ...] = ()

    @classmethod
    def build(cls, cells: Iterable[NamedCell]) -> CellNames:
        """Index the names of a version's cells."""
        by_name: dict[str, list[NamedCell]] = {}
        by_code: dict[str, NamedCell] = {}
        for cell in cells:
            by_code[cell.code] = cell
            for name in set(cell.names):
                if _LEAST <= len(name) <= _MOST:
                    by_name.setdefault(name, []).append(cell)
        found: Mapping[str, tuple[NamedCell, ...]] = {name: tuple(each) for name, each in by_name.items()}
        return cls(
            _by_name=dict(found), _by_code=by_code, _lengths=tuple(sorted({len(name) for name in found}, reverse=True))
        )

    def find(self, address: str) -> str | None:
        """Return the code of the deepest cell named without doubt, or None. Cost: some tens of µs."""
        text = address[:_READ]
        for match in _DIGITS.finditer(text):
            if match.group() in self._by_code:
                return match.group()
        groups = self._groups(text)
        if not groups:
            return None
        # A name that several cells bear counts only together with the name of one's ancestor.
        sure = [group[0] for group in groups if len(group) == 1]
        for group in groups:
            if len(group) > 1:
                above = [cell for cell in group if any(other.code in cell.path for other in sure)]
                sure += above if len(above) == 1 else []
        if not sure:
            return None
        deepest = max(sure, key=lambda cell: len(cell.path))
        # Two cells, neither in the other: an address that names both says nothing.
        return deepest.code if all(cell.code in deepest.path for cell in sure) else None

    def _groups(self, text: str) -> list[tuple[NamedCell, ...]]:
        found: list[tuple[NamedCell, ...]] = []
        taken = [False] * len(text)
        for length in self._lengths:
            for start in range(len(text) - length + 1):
                group = self._by_name.get(text[start : start + length])
                # The longest name wins: 建设路街道 is not also 建设路.
                if group is not None and not any(taken[start : start + length]):
                    taken[start : start + length] = [True] * length
                    found.append(group)
        return found

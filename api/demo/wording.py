"""The words of demo cases: reports in Chinese, as people write them, from templates and real places of the map."""

from __future__ import annotations

from api.demo.geometry import District
from api.demo.profiles import SIDES, profile_of
from dispatch.catalogue import Catalogue


class Wording:
    """Writes the text and the address of a case from its place, its class and a little chance (`salt`)."""

    def __init__(self, district: District, catalogue: Catalogue) -> None:
        minor = [c for c in catalogue.categories if c.parent]
        self._texts = [profile_of(c.code).texts or profile_of("").texts for c in minor]
        self._names = [c.name_zh for c in minor]
        self._conditions = [c.name_zh for c in catalogue.conditions]
        self._streets = [s.name_zh for s in district.streets]
        self._spots = [s.name_zh for s in district.spots]
        self._estates = [c.name_zh.split()[-1] for c in district.of_level(3)]

    def text(self, category: int, condition: int, street: int, spot: int, cell: int, salt: int) -> str:
        """Write what was reported."""
        templates = self._texts[category]
        name = self._streets[street]
        estate = self._estates[cell] if cell >= 0 else name
        return templates[salt % len(templates)].format(
            street=name,
            cross=self._streets[(street * 7 + 3 + salt % 5) % len(self._streets)],
            side=SIDES[salt // 7 % len(SIDES)],
            number=salt // 35 % 168 + 1,
            spot=self._spots[spot] if spot >= 0 else estate,
            estate=estate,
            category=self._names[category],
            condition=self._conditions[condition] if condition >= 0 else "待核实",
        )

    def address(self, street: int, salt: int) -> str:
        """Write the nearest address."""
        return f"{self._streets[street]}{salt // 35 % 168 + 1}号附近"

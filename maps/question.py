"""What somebody asks of a planner's map: everything that the address of a page says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from maps.facts.asking import Boundaries
from maps.findings import Period

__all__ = ["Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which cases, and by which cells.

    Attributes
    ----------
    period
        Local days of the report. Boundary: both included.
    level
        Level of the cells.
    categories
        Classes; one with classes below it stands for them as well. Empty for all.
    channel, ledger, state
        Codes; empty for all.
    area
        Code of a cell: only what lies in it; empty for everything.
    boundaries
        On which drawing (see `maps.facts.asking.Boundaries`).
    """

    period: Period
    level: int
    categories: tuple[str, ...] = ()
    channel: str = ""
    ledger: str = ""
    state: str = ""
    area: str = ""
    boundaries: Boundaries = Boundaries.NOW

    def parts(self) -> dict[str, object]:
        """Return the parts of the address, the empty ones too."""
        return {
            "from": self.period.from_on.isoformat(),
            "to": self.period.to_on.isoformat(),
            "category": list(self.categories),
            "channel": self.channel,
            "ledger": self.ledger,
            "state": self.state,
            "area": self.area,
            "level": self.level,
            "boundaries": "" if self.boundaries is Boundaries.NOW else self.boundaries.value,
        }

    def query(self, **changes: object) -> str:
        """Return the query string of this question, with some parts changed.

        Examples
        --------
        >>> from datetime import date
        >>> day = Period(from_on=date(2026, 11, 1), to_on=date(2026, 11, 1))
        >>> Question(period=day, level=3, categories=("E01", "P01")).query(level=2)
        'from=2026-11-01&to=2026-11-01&category=E01&category=P01&level=2'
        """
        parts = {**self.parts(), **changes}
        return urlencode({key: value for key, value in parts.items() if value not in ("", None, [])}, doseq=True)

"""Which drawing of the grid a map or a table is on: today's, or the one of the period's last day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from geo.errors import Fault
from geo.storage.grid_versions import GridVersion, find_active, list_versions
from geo.storage.uow import ReadUnit
from maps.facts.asking import Boundaries
from maps.i18n import Locale, translate

__all__ = ["Drawing", "find_drawing", "grid_name", "parse_boundaries"]

_LONGEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A version, and how history is put into its cells."""

    version: GridVersion
    boundaries: Boundaries

    @property
    def is_recut(self) -> bool:
        """Whether cases of other versions are put in by their position."""
        return self.boundaries is Boundaries.NOW

    def name(self, locale: Locale) -> str:
        """Name the version and the way in one line."""
        return (
            f"{grid_name(locale, self.version)} · {translate(locale, f'hotspots.boundaries.{self.boundaries.value}')}"
        )

    def as_json(self, locale: Locale) -> dict[str, Any]:
        """Name it, so that no two pictures of different boundaries are taken for one."""
        return {
            "boundaries": self.boundaries,
            "boundaries_name": translate(locale, f"hotspots.boundaries.{self.boundaries.value}"),
            "version": self.version.number,
            "name": self.version.name,
            "valid_from": _written(self.version.valid_from),
            "valid_until": _written(self.version.valid_until),
        }


def grid_name(locale: Locale, version: GridVersion) -> str:
    """Return the number of a grid version, its name if it has one, and since when it is valid."""
    since = version.valid_from.date().isoformat() if version.valid_from else ""
    key = "planner.grid.named" if version.name else "planner.grid"
    return translate(locale, key, number=version.number, name=version.name, since=since)


def _written(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def parse_boundaries(given: Mapping[str, str | None], faults: list[Fault]) -> Boundaries:
    """Read the word; today's when there is none. A wrong one is added to the faults."""
    word = given.get("boundaries") or Boundaries.NOW.value
    if word not in set(Boundaries):
        known = ", ".join(each.value for each in Boundaries)
        params = {"boundaries": word[:_LONGEST], "known": known}
        faults.append(Fault(code="maps.unknown_boundaries", pointer="/boundaries", params=params))
        return Boundaries.NOW
    return Boundaries(word)


async def find_drawing(
    unit: ReadUnit, jurisdiction: str, boundaries: Boundaries, *, last_day: date, zone: str, now: datetime
) -> Drawing | None:
    """Return the drawing; None when nothing was ever published.

    Parameters
    ----------
    last_day
        Of the period. Before the first drawing the first one stands: history was put into its cells.
    """
    if boundaries is Boundaries.DAY:
        end = datetime.combine(last_day + timedelta(days=1), time.min, ZoneInfo(zone)).astimezone(UTC)
        at = min(now, end - timedelta(microseconds=1))
        version = await find_active(unit, jurisdiction, at) or await _first(unit, jurisdiction)
    else:
        version = await find_active(unit, jurisdiction)
    return None if version is None else Drawing(version=version, boundaries=boundaries)


async def _first(unit: ReadUnit, jurisdiction: str) -> GridVersion | None:
    published = [each for each in await list_versions(unit, jurisdiction) if each.valid_from is not None]
    return min(published, key=lambda each: each.valid_from or datetime.max.replace(tzinfo=UTC), default=None)

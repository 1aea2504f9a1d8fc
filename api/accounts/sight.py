"""What a caller sees and where a role holds: areas, as one pure rule beside the database's policies.

The policies of the tables (alembic/sql/0011_access.sql) decide behind every exit; this is the same rule for what is
already in memory, such as the events of a live stream, and for which of somebody's roles covers a case. A test holds
the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from api.accounts.roles import Role
from dispatch.belonging import Belonging
from geo.storage.uow import AREA_ROLE, EVERYBODY, NOBODY, Viewer

__all__ = ["EVERYTHING", "NOTHING", "Area", "Grant", "Sight", "limited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """What must hold together; None asks for nothing. A cell means it and all below it."""

    cell: str | None = None
    department: str | None = None
    channel: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is asked for."""
        return self.cell is None and self.department is None and self.channel is None

    def covers(self, case: Belonging) -> bool:
        """Whether a case is in it.

        Examples
        --------
        >>> case = Belonging(cells=("410102001", "410102001001"), departments=("water",), channel="hotline")
        >>> Area(cell="410102001").covers(case), Area(cell="410102001", department="gas").covers(case)
        (True, False)
        """
        return (
            (self.cell is None or self.cell in case.cells)
            and (self.department is None or self.department in case.departments)
            and (self.channel is None or self.channel == case.channel)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role that somebody holds now, and where."""

    role: Role
    area: Area
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Areas of which any is enough."""

    areas: tuple[Area, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether there is no limit at all."""
        return any(area.is_everything for area in self.areas)

    def covers(self, case: Belonging) -> bool:
        """Whether a case is seen."""
        return any(area.covers(case) for area in self.areas)

    def includes(self, other: Sight) -> bool:
        """Whether this sight is at least another one; of areas it knows only whether they are the same.

        Examples
        --------
        >>> mine = Sight(areas=(Area(cell="410102001"),))
        >>> mine.includes(NOTHING), mine.includes(EVERYTHING), EVERYTHING.includes(mine)
        (True, False, True)
        """
        return self.is_everything or set(other.areas) <= set(self.areas)

    def viewer(self) -> Viewer:
        """The eyes of a transaction. Cells outside the grid belong to nobody's area: only the unlimited see them."""
        if self.is_everything:
            return EVERYBODY
        if not self.areas:
            return NOBODY
        words: dict[str, set[str]] = {}
        for area in self.areas:
            for name, word in _settings_of(area):
                words.setdefault(name, set()).add(word)
        return Viewer(role=NOBODY.role, settings={name: tuple(sorted(found)) for name, found in words.items()})

    @property
    def first_place(self) -> tuple[str | None, str | None]:
        """Cell and department that what these areas add belongs to; neither where there is no limit."""
        if self.is_everything or not self.areas:
            return None, None
        return self.areas[0].cell, self.areas[0].department

    def office_words(self) -> tuple[str, ...]:
        """The areas of an administrator as the database reads them (alembic/sql/0021_office_areas.sql).

        Examples
        --------
        >>> Sight(areas=(Area(cell="410102001"), Area(department="water"))).office_words(), EVERYTHING.office_words()
        (('410102001|', '|water'), ('|',))
        """
        if self.is_everything:
            return ("|",)
        return tuple(f"{area.cell or ''}|{area.department or ''}" for area in self.areas)

    def keeping(self, viewer: Viewer, *, sees_all: bool) -> Viewer:
        """These eyes, which may also write what of the office lies in these areas.

        Parameters
        ----------
        sees_all
            They read people and posts everywhere; otherwise in these areas only.
        """
        if self.is_everything and viewer == EVERYBODY:
            return viewer
        words = self.office_words()
        settings = {**viewer.settings, "office": words} if words else dict(viewer.settings)
        return Viewer(role=AREA_ROLE, settings=settings if sees_all else {**settings, "office_sight": words})


def _settings_of(area: Area) -> tuple[tuple[str, str], ...]:
    """The settings of one area: one word, or a pair and the part of it that an index finds it by."""
    match area:
        case Area(cell=str(cell), department=None, channel=None):
            return (("cells", cell),)
        case Area(cell=None, department=str(department), channel=None):
            return (("departments", department),)
        case Area(cell=None, department=None, channel=str(channel)):
            return (("channels", channel),)
        case Area(cell=str(cell), department=str(department), channel=None):
            return (("cell_departments", f"{cell}|{department}"), ("of_departments", department))
        case Area(cell=str(cell), department=None, channel=str(channel)):
            return (("cell_channels", f"{cell}|{channel}"), ("of_channels", channel))
        case Area(cell=None, department=str(department), channel=str(channel)):
            pair = ("department_channels", f"{department}|{channel}")
            return (pair, ("of_channels", channel), ("of_departments", department))
    # Nothing of ours makes an area of three; what the policies cannot say is not seen.
    return ()


EVERYTHING: Final = Sight(areas=(Area(),))
NOTHING: Final = Sight()


def limited(*, channel: str | None, cells: Iterable[str] = (), departments: Iterable[str] = ()) -> Sight:
    """The sight of a key: its channel, if it has to keep to it, inside each of its cells and departments."""
    places = [Area(channel=channel, cell=cell) for cell in cells]
    places += [Area(channel=channel, department=department) for department in departments]
    return Sight(areas=tuple(places) or (Area(channel=channel),))

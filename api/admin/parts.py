"""What an administration page is made of: facts, tables, forms. Values only; the template knows how they look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from api.admin.forms import Form

__all__ = ["Cell", "Facts", "Link", "Note", "Page", "Search", "Section", "Table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way to another page; the address begins behind the root."""

    text: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    is_typed
        People have typed it: kept apart from our own direction of writing.
    mark
        Class of a status (``good``, ``soon``, ``late``, ``off``); it stands as shape before the word.
    forms
        Small forms, mostly one button.
    """

    text: str = ""
    under: str = ""
    to: str = ""
    is_typed: bool = True
    is_number: bool = False
    mark: str = ""
    links: tuple[Link, ...] = ()
    forms: tuple[Form, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; the first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names and values."""

    items: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A sentence that has to be read: ``warn``, ``done`` or ``plain``."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The fields that narrow a list; sent with GET."""

    form: Form
    is_narrowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a page with a title of its own; the id is where links jump to."""

    id: str
    title: str = ""
    hint: str = ""
    search: Search | None = None
    note: Note | None = None
    facts: Facts | None = None
    table: Table | None = None
    following: str = ""
    first: str = ""
    count: str = ""
    links: tuple[Link, ...] = ()
    forms: tuple[Form, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page in the frame."""

    key: str
    title: str
    lead: str = ""
    back: Link | None = None
    sections: tuple[Section, ...] = ()
    problem: str = ""
    once: tuple[str, str] | None = None
    status: int = 200

    def forms(self) -> Iterator[Form]:
        """Every form on the page that changes something."""
        for section in self.sections:
            yield from section.forms
            for row in section.table.rows if section.table else ():
                for cell in row:
                    yield from cell.forms

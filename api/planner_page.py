"""A planner's map that was read: what can be made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from maps.question import Question
from maps.sheet import Sheet

__all__ = ["MapPage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPage:
    """A map that was read: what can be made of it, on demand.

    Attributes
    ----------
    frame
        The map's own document; takes ``static_url``, ``inline`` and ``side`` (0 or 1, for two maps in step).
    context
        Of the template; takes ``root``.
    geojson
        By form (``geojson`` or ``bins``); None where there is nothing to give.
    """

    title: str
    view: Question
    frame: Callable[..., str]
    context: Callable[..., dict[str, Any]]
    sheet: Callable[[], Sheet]
    geojson: Callable[[str], str] | None = None
    single: Callable[[], str] | None = None

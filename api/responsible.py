"""The answer to "who is responsible for this category here?", shared by the questions by cell and by point."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from api.container import Container
from api.posts_json import answer_json
from dispatch.storage.routing import responsible_for
from geo.errors import BadInputError, UnavailableError
from geo.storage.uow import Unit
from maps.i18n import Locale

__all__ = ["responsible_json", "zone_of"]


async def zone_of(container: Container) -> str:
    """The time zone that shifts and sentences are written in.

    Raises
    ------
    UnavailableError
        ``dispatch.no_jurisdiction``.
    """
    code = container.settings.jurisdiction
    # A jurisdiction gets its zone when it is made: questions about points do not wait for fresh rules to learn it.
    known = container.reference.last
    found = known.jurisdictions.get(code) if known is not None else None
    if found is None:
        found = (await container.reference.get()).jurisdictions.get(code)
    if found is None:
        raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=code)
    return found.time_zone


async def responsible_json(
    container: Container, unit: Unit, path: Sequence[str], category: str | None, at: datetime, locale: Locale
) -> dict[str, Any]:
    """Who is responsible in a cell (given by its path of codes), and everybody who was looked at.

    Raises
    ------
    BadInputError
        ``posts.category_unknown``.
    """
    if category is not None and category not in (await container.reference.get()).categories:
        raise BadInputError("posts.category_unknown", pointer="/category", category=category)
    answer = await responsible_for(unit, container.settings.jurisdiction, path, category or "", at)
    return answer_json(answer, locale, await zone_of(container))

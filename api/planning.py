"""The facts of cases for planners: where a process keeps them, and who may be answered from them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings
from geo.errors import ForbiddenError
from geo.storage.engine import create_engine
from geo.storage.uow import DESK_ROLE, Viewer
from maps.facts.keeping import FactKeeper

__all__ = ["Limit", "area_of", "facts_directory", "keep_facts", "limit_of", "open_facts", "sees_everything"]


def facts_directory(settings: Settings) -> Path | None:
    """Return where the columns are kept; None when there is no data directory: then they live in memory only."""
    place = settings.data_dir.absolute()
    return place / "facts" / settings.jurisdiction if place.is_dir() else None


def keep_facts(engine: AsyncEngine, settings: Settings, directory: Path | None = None) -> FactKeeper:
    """Make the keeper of a process or command, on an engine with the service's own rights."""
    return FactKeeper(engine, settings.jurisdiction, directory or facts_directory(settings))


@asynccontextmanager
async def open_facts(settings: Settings) -> AsyncIterator[FactKeeper]:
    """Keep facts for the life of a process; they are read when somebody first asks for them."""
    # No time limit: the first reading of ten million cases takes longer than any request may.
    engine = create_engine(settings.database_url, pool_size=2, statement_timeout_s=0, name="facts")
    keeper = keep_facts(engine, settings)
    try:
        yield keeper
    finally:
        await keeper.close()
        await engine.dispose()


def sees_everything(viewer: Viewer) -> bool:
    """Whether somebody may be answered from the facts, which know no viewers.

    Everybody else is answered by the database behind their own policies: slower, and never more than they may see.
    """
    return viewer.role == DESK_ROLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What somebody's answers from the facts are limited to; None for no limit. Both must hold."""

    area: frozenset[str] | None = None
    channels: frozenset[str] | None = None


def limit_of(viewer: Viewer) -> Limit:
    """Return what somebody's answers from the facts are limited to.

    The facts know cells and channels, and no departments: who sees cases by anything else is not answered from them.

    Raises
    ------
    ForbiddenError
        ``access.area_limited``.
    """
    if sees_everything(viewer):
        return Limit()
    given = {name: words for name, words in viewer.settings.items() if words}
    pairs = [pair.partition("|") for pair in given.get("cell_channels", ())]
    channels = frozenset(channel for _, _, channel in pairs)
    match sorted(given):
        case ["cells"]:
            return Limit(area=frozenset(given["cells"]))
        case ["channels"]:
            return Limit(channels=frozenset(given["channels"]))
        case ["cell_channels", "of_channels"] if len(channels) == 1:
            return Limit(area=frozenset(cell for cell, _, _ in pairs), channels=channels)
    raise ForbiddenError("access.area_limited")


def area_of(viewer: Viewer) -> frozenset[str] | None:
    """Return the cells that somebody's answers from the facts are limited to; None for no limit.

    Raises
    ------
    ForbiddenError
        ``access.area_limited``: for any other limit than cells.
    """
    limit = limit_of(viewer)
    if limit.channels is not None:
        raise ForbiddenError("access.area_limited")
    return limit.area

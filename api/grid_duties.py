"""What the worker does for the grid besides hand-over: tiles made beforehand, channels' coordinate systems watched."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings
from dispatch.datum import DatumDuty
from dispatch.worker import Duty
from geo.storage.tile_duty import TileDuty

__all__ = ["grid_duties"]


def grid_duties(engine: AsyncEngine, settings: Settings) -> tuple[Duty, ...]:
    """Make the duties of one worker; several workers share the work by the rows they write."""
    return (
        TileDuty(engine=engine, jurisdiction=settings.jurisdiction),
        DatumDuty(engine=engine, jurisdiction=settings.jurisdiction),
    )

"""Answers about the gazetteer."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas import CellOut, LocationOut


class PlaceOut(BaseModel):
    """A place with names that an address may mean."""

    id: int
    kind: str
    name: str
    aliases: list[str]
    precision: str = Field(description="exact, near, similar or wide")
    score: float = Field(description="1 is the very name")
    radius_m: float
    location: LocationOut
    chain: list[CellOut] = Field(description="Cells of its point in the grid valid now; empty outside")


class PlacesOut(BaseModel):
    """Places by likeness."""

    query: str
    is_sure: bool = Field(description="Whether the first one is meant beyond doubt: only then a report is dispatched")
    places: list[PlaceOut]


class PlacesStoredOut(BaseModel):
    """What an import did."""

    stored: int
    removed: int
    total: int
    dry_run: bool

"""Settings of the geo floor; read from the environment by ``api/settings.py`` only."""

from __future__ import annotations

from pydantic import BaseModel, Field


class GeoSettings(BaseModel):
    """Where the database is and how patient we are with it."""

    database_url: str = Field("", description="Any PostgreSQL + PostGIS; empty means the embedded cluster")
    pool_size: int = Field(8, ge=2, le=200, description="Connections per process at most")
    pool_timeout_s: float = Field(5.0, gt=0, description="A request waits this long for a connection, then 503")
    statement_timeout_s: float = Field(15.0, gt=0, description="PostgreSQL ends statements that run longer")

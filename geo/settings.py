"""Settings of the geo floor; read from the environment by ``api/settings.py`` only."""

from __future__ import annotations

from pydantic import BaseModel, Field


class GeoSettings(BaseModel):
    """Where the database is and how patient we are with it."""

    database_url: str = Field("", description="Any PostgreSQL + PostGIS; empty means the embedded cluster")
    pool_size: int = Field(8, ge=2, le=200, description="Connections per process at most")
    pool_timeout_s: float = Field(5.0, gt=0, description="A request waits this long for a connection, then 503")
    statement_timeout_s: float = Field(15.0, gt=0, description="PostgreSQL ends statements that run longer")
    coverage_tolerance_m2: float = Field(
        0.01, ge=0, description="Gaps and overlaps smaller than this are counted, not listed (square metres)"
    )
    coverage_sliver_width_m: float = Field(
        0.5, ge=0, description="Gaps and overlaps thinner than this on average are slivers (metres)"
    )
    coverage_snap_m: float = Field(
        0.5, ge=0, le=50, description="How far an offered repair may move an unmatched vertex (metres)"
    )

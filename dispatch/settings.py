"""Settings of the dispatch floor; read from the environment by ``api/settings.py`` only."""

from __future__ import annotations

from pydantic import BaseModel, Field


class DispatchSettings(BaseModel):
    """How the desk and its worker behave."""

    jurisdiction: str = Field("410100", pattern=r"^\d{6}$", description="The jurisdiction whose grid reports belong to")
    intake_writers: int = Field(2, ge=1, le=16, description="Intake statements in flight at most, per process")
    intake_collect: int = Field(128, ge=1, le=1000, description="Reports written by one statement at most")
    intake_backlog: int = Field(2048, ge=1, description="Reports waiting at most before callers are told to come back")
    sweep_every_s: float = Field(1.0, gt=0, description="Pause between deadline sweeps when nothing was due")
    sweep_batch: int = Field(200, ge=1, description="Cases per sweep transaction")
    relay_batch: int = Field(200, ge=1, description="Outbox rows per relay transaction")
    relay_most_attempts: int = Field(8, ge=1, description="After so many failures an outbox row is parked")
    audit_every_s: float = Field(30.0, gt=0, description="Pause between the auditor's looks")
    audit_late_s: float = Field(60.0, gt=0, description="A rung left for longer than this is reported by the auditor")

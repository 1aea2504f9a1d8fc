"""Answers about photos, batches and rehearsals."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import LocationOut, ProblemOut, ReceiptOut, ReportIn


class PhotoOut(BaseModel):
    """A photo of a case."""

    id: str
    kind: str
    url: str
    preview_url: str
    width: int
    height: int
    sha256: str = Field(description="Of the picture as it is served")
    sent_sha256: str = Field(description="Of the file as it was sent")
    position: LocationOut | None = Field(description="Where the camera says it was, WGS84; offered, not used by itself")
    taken_at: str | None = Field(description="The camera's own clock")
    added_at: str
    added_by: str


class PhotosOut(BaseModel):
    """The photos of a case, the oldest first."""

    case: str
    photos: list[PhotoOut]


class ReportedOut(ReceiptOut):
    """Answer to a report with photos."""

    photos: list[PhotoOut] | None = None


class RehearsedOut(BaseModel):
    """What would become of a report; nothing is written."""

    dry_run: bool
    known_case: str | None = Field(description="The case this ticket already has, if any")
    routing: dict[str, Any] = Field(description="The receipt it would get, without case number and status address")


class BatchIn(BaseModel):
    """Many reports at once; each is taken or refused by itself."""

    model_config = ConfigDict(extra="forbid")

    reports: list[ReportIn] = Field(min_length=1, max_length=10_000)


class BatchItemOut(BaseModel):
    """What became of one report."""

    index: int
    status: int = Field(description="201 taken, 200 known ticket, otherwise as a single report would be answered")
    receipt: ReceiptOut | None = None
    problem: ProblemOut | None = None
    rehearsal: RehearsedOut | None = Field(None, description="Instead of a receipt with `dry_run=true`; status 200")


class BatchOut(BaseModel):
    """What became of a batch, in the order in which it was sent."""

    taken: int
    repeated: int
    refused: int
    dry_run: bool = Field(False, description="True when nothing was written; then nothing is taken or repeated")
    results: list[BatchItemOut]

"""Bodies and answers of the field page's doors."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.move_schemas import PositionIn
from api.schemas import Body, Code, Short
from api.spelling import Spelling

__all__ = ["ActionIn", "ActionKind", "ActionOut", "FieldDayOut", "TokenIn", "TokenOut"]

Version = Annotated[int, Field(ge=1, le=999_999_999, strict=True)]
#: As browsers make them; anything else of that alphabet will do.
ActionKey = Annotated[str, Spelling("^[0-9A-Za-z_-]{8,64}$", "0197f0a4-7c3e-7d21")]


class ActionKind(StrEnum):
    """What somebody did out there."""

    MOVE = "move"
    LEG = "leg"
    PHOTOS = "photos"
    SELF_HANDLED = "self_handled"


class ActionIn(BaseModel):
    """One act of somebody in the field, perhaps hours ago and without a network. Photos go beside it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "move",
                    "case": "20260301-0000042",
                    "seen": 4,
                    "move": "report_back",
                    "result": "井盖已更换",
                    "done_at": "2026-03-01T10:42:00+08:00",
                }
            ]
        },
    )

    kind: ActionKind
    person: UUID | None = Field(None, description="Whose act it is; refused when somebody else is signed in meanwhile")
    done_at: AwareDatetime | None = Field(None, description="When, by the phone's clock; kept as a fact")
    case: Code | None = Field(None, description="Number of the case; for all but self_handled")
    seen: Version | None = Field(None, description="Version of the case (of a leg: of the leg) that the actor saw")
    leg: int | None = Field(None, ge=1, le=99, strict=True, description="Number of the leg, for leg")
    move: Code | None = Field(None, description="Name of the move, for move and leg")
    reason: Short = ""
    result: Body = Field("", description="What was done")
    position: PositionIn | None = Field(
        None, description="Where: of a return the evidence, of a report back where it was made, of a record its place"
    )
    accuracy_m: Annotated[float, Field(gt=0, le=5000, allow_inf_nan=False)] | None = None
    until: AwareDatetime | None = Field(None, description="For request_suspend")
    phase: int | None = Field(None, ge=1, le=99, strict=True)
    category: Code | None = Field(None, description="Of a record: minor class")
    text: Body = Field("", description="Of a record: what was found and done")
    address: Short = Field("", description="Of a record: where, in words")


class ActionOut(BaseModel):
    """The case after the act; the same for every delivery of the same key."""

    key: str
    case: str
    version: int
    status: str
    moves: list[str]
    photos: int
    leg_version: int | None
    evidence: dict[str, Any] | None


class FieldDayOut(BaseModel):
    """What somebody in the field has before them."""

    person: dict[str, Any]
    cases: list[dict[str, Any]]
    more: bool = Field(description="Whether there are cases beyond these")
    as_of: datetime


class TokenIn(BaseModel):
    """For whom a city's app asks."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"login": "wang", "minutes": 15}]})

    login: Annotated[str, StringConstraints(min_length=2, max_length=80)]
    minutes: Annotated[int, Field(ge=1, le=60, strict=True)] = 15


class TokenOut(BaseModel):
    """A short-lived token."""

    token: str
    expires_at: datetime
    page: str = Field(description="Address to open; browsers never send the part behind # to anybody")

"""Bodies of moves: of a case, of many, and of one leg of joint work."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.accounts.keys import Caller
from api.schemas import Body, Code, Degrees, Short
from dispatch.deadlines import Limit, LimitUnit
from dispatch.joint import MOST_LEGS, LegPlan
from dispatch.making import Actor, GivenPosition, MoveRequest
from dispatch.workflow import Move
from geo.coordinates import CoordSys

Evidence = Annotated[list[Code], Field(max_length=20)]
LimitValue = Annotated[Decimal, Field(gt=0, le=999_999, decimal_places=2)]


class LimitIn(BaseModel):
    """A limit in its own unit."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": 4, "unit": "working_hour"}]})

    value: LimitValue
    unit: LimitUnit

    def limit(self) -> Limit:
        """As the rules know it."""
        return Limit(value=self.value, unit=self.unit)


class LegIn(BaseModel):
    """One department's part of joint work."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"department": "urban_management"}]})

    department: Code
    task: Short = Field("", description="What this department is to do")
    limit: LimitIn | None = Field(None, description="Its own limit, within the case's; without one, the case's")

    def plan(self) -> LegPlan:
        """As the rules know it."""
        return LegPlan(department=self.department, task=self.task, limit=self.limit.limit() if self.limit else None)


class PositionIn(BaseModel):
    """Where the returner says that it is."""

    model_config = ConfigDict(extra="forbid")

    lon: Degrees
    lat: Degrees
    coord_sys: CoordSys


class MoveIn(BaseModel):
    """A move of the workflow."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"move": "report_back", "result": "井盖已更换"}]}
    )

    move: Code = Field(description="Name of the move, one of the case's `moves`")
    reason: Short = Field("", description="Needed by moves such as decline, void, return and request_extension")
    result: Body = Field("", description="What was done; for report_back and report_phase")
    condition: int | None = Field(None, ge=1, le=32767, strict=True, description="Filing condition, for dispatch")
    until: AwareDatetime | None = Field(None, description="End of a suspension, at most a year away")
    into: Code | None = Field(None, description="Number of the case that a merged case follows")
    department: Code | None = Field(
        None, description="For dispatch and re_dispatch: the department that shall have it, whatever the matrix says"
    )
    cell: Code | None = Field(
        None, description="For dispatch and re_dispatch: the cell that shall answer, where the desk knows better"
    )
    position: PositionIn | None = Field(
        None, description="For return: where it is according to the returner; without one the stored point is evidence"
    )
    legs: list[LegIn] = Field(
        [],
        max_length=MOST_LEGS,
        description="For split_joint: one leg per department; without any, those of the matrix for class and cell",
    )
    phase: int | None = Field(None, ge=1, le=99, strict=True, description="For report_phase; default: the first open")


class LegMoveIn(BaseModel):
    """A move of one leg."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"move": "leg_report_back", "result": "已清运"}]}
    )

    move: Code = Field(description="Name of the move, one of the leg's `moves`")
    reason: Short = Field("", description="Needed by leg_return, leg_settle, leg_reject and leg_withdraw")
    result: Body = Field("", description="What was done; for leg_report_back")
    evidence: Evidence = Field([], description="Photos or documents that prove it, by their ids")
    department: Code | None = Field(None, description="For leg_re_dispatch and leg_settle: who takes it over")


def move_request(body: MoveIn, move: Move, *, ref: str, seen: int, caller: Caller) -> MoveRequest:
    """What the rules are asked for."""
    given = body.position
    return MoveRequest(
        ref=ref,
        move=move,
        actor=Actor(kind=caller.kind, id=caller.id),
        seen_version=seen,
        reason=body.reason,
        result=body.result,
        condition=body.condition,
        channel=caller.sees_channel,
        until=body.until,
        into=body.into,
        department=body.department,
        cell=body.cell,
        position=GivenPosition(x=given.lon, y=given.lat, coord_sys=given.coord_sys) if given else None,
        legs=tuple(leg.plan() for leg in body.legs),
        phase=body.phase,
    )

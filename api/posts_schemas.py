"""Bodies and answers of people, posts, shifts, hand-overs, departments and the matrix."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas import Body, Code, Short, SoundText, WallTime
from api.spelling import Spelling
from dispatch.routing import Mode

Name = Annotated[SoundText, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
Place = Annotated[SoundText, StringConstraints(max_length=40)]
StaffNumber = Annotated[str, Spelling(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$", "ZY-017")]
Phone = Annotated[str, Spelling(r"^\+?[0-9][0-9 -]{3,23}$", "138 0000 0000")]
DepartmentCode = Annotated[str, Spelling(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$", "urban-management")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PersonIn(_In):
    """Somebody who can hold posts."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "张伟", "staff_number": "ZY-017"}]}
    )

    name: Name
    staff_number: StaffNumber | None = Field(None, description="Tells people of one name apart; unique in the office")
    phone: Phone | None = Field(None, description="Kept apart: shown by /v1/people/{id}/phone alone")


class PersonChangeIn(_In):
    """What shall be different of a person; what is left out stays."""

    name: Name | None = None
    staff_number: StaffNumber | None = None
    phone: Phone | None = None
    is_active: bool | None = Field(None, strict=True, description="False: has left; their posts are vacant from now on")


class LeaveIn(_In):
    """An absence. Boundary: ``[starts_at, ends_at)``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"starts_at": "2026-12-01T08:00:00+08:00", "ends_at": "2026-12-05T08:00:00+08:00"}]
        },
    )

    starts_at: AwareDatetime
    ends_at: AwareDatetime
    reason: Short = ""


class LeaveEndIn(_In):
    """When a leave ends instead."""

    ends_at: AwareDatetime


class PostIn(_In):
    """A post of a cell or a department."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"kind": "grid_head", "rank": "B", "cell": "410102001001003", "title_zh": "三网格网格长（B岗）"}
            ]
        },
    )

    kind: Code = Field(description="Such as grid_head, department_handler, dispatcher, shift_leader, leader")
    rank: Literal["A", "B"] = "A"
    cell: Code | None = None
    department: Code | None = None
    title_zh: Name
    title_en: Name | None = None
    is_shared: bool = Field(
        False, strict=True, description="Several holders at a time, who relieve each other by shifts"
    )
    valid_from: AwareDatetime | None = Field(None, description="Default: now")
    valid_until: AwareDatetime | None = None
    holder: UUID | None = Field(None, description="Who holds it from its first moment on")


class EndIn(_In):
    """When something ends."""

    valid_until: AwareDatetime | None = Field(None, description="Default: now")


class AppointmentIn(_In):
    """Who holds a post, from when until when."""

    person: UUID
    valid_from: AwareDatetime | None = Field(None, description="Default: now")
    valid_until: AwareDatetime | None = None


class ShiftIn(_In):
    """A span of duty that comes round. An end that is not after its start lies on the next day."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"starts": "08:00", "ends": "18:00", "on_days": [0, 1, 2, 3, 4], "first_day": "2026-12-01"},
                {"starts": "20:00", "ends": "08:00", "cycle_days": 4, "anchor": "2026-12-01", "on_days": [0],
                 "first_day": "2026-12-01"},
            ]
        },
    )  # fmt: skip

    starts: WallTime = Field(description="WallTime clock of the jurisdiction")
    ends: WallTime
    on_days: list[int] = Field(
        min_length=1, max_length=366, description="Days of the week, 0 is Monday; or of the cycle"
    )
    cycle_days: int = Field(7, ge=1, le=366, strict=True)
    anchor: date | None = Field(None, description="Day 0 of the cycle; only a week needs none")
    first_day: date
    last_day: date | None = None
    person: UUID | None = Field(
        None, description="Only for this holder of the post; default: for everybody who holds it"
    )
    name: Short = ""


class ShiftEndIn(_In):
    """The last day of a pattern."""

    last_day: date


class ExceptionIn(_In):
    """What holds on one day instead of the pattern; without times the day is free."""

    day: date
    starts: WallTime | None = None
    ends: WallTime | None = None
    person: UUID | None = None
    reason: Short = ""


class HandOverIn(_In):
    """A post goes from one to another, now."""

    to_person: UUID
    from_person: UUID | None = Field(None, description="Needed when several hold the post")
    notes: Body = Field("", description="What the one who comes must know")


class DepartmentIn(_In):
    """A line department (条)."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"code": "greening", "name_zh": "园林绿化所"}]}
    )

    code: DepartmentCode
    name_zh: Name
    name_en: Name | None = None


class DepartmentChangeIn(_In):
    """What shall be different of a department."""

    name_zh: Name | None = None
    name_en: Name | None = None
    is_active: bool | None = Field(
        None, strict=True, description="False only when no post and no line of the matrix is left"
    )


class RuleIn(_In):
    """A line of the matrix: a class in a cell's subtree belongs to a department."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"department": "municipal_works", "category": "P01", "mode": "lead"}]},
    )

    department: Code
    cell: Place = Field("", description="A cell of any level; empty is everywhere")
    category: Place = Field("", description="A minor or major class; empty is any")
    mode: Mode = Field(
        Mode.LEAD,
        description="lead: its handler is asked before the grid heads. assist: the head has the case, the department is"
        " named. fallback: what no line speaks of, and what everybody returns",
    )
    note: Short = ""
    valid_from: AwareDatetime | None = Field(None, description="Default: now")
    valid_until: AwareDatetime | None = None
    replaces: bool = Field(
        False, strict=True, description="End the line of the same cell and category that is valid then"
    )


class PostHolderOut(BaseModel):
    """Who holds a post."""

    appointment: int
    person: UUID
    name: str
    staff_number: str | None
    valid_from: datetime
    valid_until: datetime | None
    leave_until: datetime | None
    is_on_shift: bool
    is_available: bool


class PostDetailOut(BaseModel):
    """A post with its holders at the instant asked about."""

    id: int
    kind: str
    kind_name: str
    rank: str
    title: str
    title_zh: str
    title_en: str
    cell: str | None
    department: str | None
    department_name: str | None
    is_shared: bool
    valid_from: datetime
    valid_until: datetime | None
    holders: list[PostHolderOut]


class PostsOut(BaseModel):
    """A page of posts; ``next`` goes into ``after``."""

    posts: list[PostDetailOut]
    next: int | None
    at: datetime


class LookedAtOut(BaseModel):
    """Somebody who was looked at."""

    post: str
    rank: str
    cell: str
    department: str | None
    name: str | None
    standing: str = Field(description="responsible, stands_by, vacant, on_leave, off_shift, no_ack or settled")
    text: str
    until: datetime | None


class ResponsibleOut(BaseModel):
    """Who answers for a category in a cell at an instant, and everybody who was looked at."""

    at: datetime
    cell: str
    category: str
    responsible: dict[str, Any] | None
    grid_head: dict[str, Any] | None
    department: dict[str, Any] | None
    candidates: list[LookedAtOut]
    text: str

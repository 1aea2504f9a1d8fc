"""Bodies and parameters at the door, with examples for the OpenAPI document. Shapes only; rules live below."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.reporter_schemas import ReporterIn
from api.spelling import Spelling, sound
from geo.coordinates import CoordSys
from geo.uncertainty import MOST_ACCURACY_M


def _said(value: str) -> str:
    # Blanks alone are what a form sends for a field that nobody filled.
    if not value.strip():
        raise PydanticCustomError("missing", "blanks only")
    return value


def _on_the_wall(value: time) -> time:
    if value.tzinfo is not None:
        raise PydanticCustomError("timezone_naive", "a time on the wall has no zone")
    return value


SoundText = Annotated[str, AfterValidator(sound)]
Ticket = Annotated[
    str,
    StringConstraints(min_length=1, max_length=120),
    AfterValidator(sound),
    AfterValidator(_said),
    Field(json_schema_extra={"pattern": r"\S"}),
]
Body = Annotated[str, StringConstraints(max_length=4000), AfterValidator(sound)]
Short = Annotated[str, StringConstraints(max_length=400), AfterValidator(sound)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(sound)]
EventType = Annotated[str, Spelling(r"^case\.[a-z_]{1,60}\.v[0-9]{1,3}$", "case.closed.v1")]
WallTime = Annotated[time, AfterValidator(_on_the_wall)]
Degrees = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class ReportIn(BaseModel):
    """A report from a channel. A point or an address must be given; a point needs its coordinate system."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "ticket": "12345-20260301-0042",
                    "text": "锦绣小区南门人行道上井盖缺失，已放路锥",
                    "category": "P0102",
                    "lon": 113.6421,
                    "lat": 34.7402,
                    "coord_sys": "gcj02",
                }
            ]
        },
    )

    ticket: Ticket = Field(description="The channel's own number; the same ticket always answers the same case")
    text: Body = Field(description="What was reported, in the reporter's words; who reported belongs into `reporter`")
    category: Code = Field(description="Minor class, such as P0102 or E0110")
    condition: int | None = Field(None, ge=1, le=32767, strict=True, description="Filing condition of the category")
    lon: Degrees | None = Field(None, description="Longitude in coord_sys, degrees")
    lat: Degrees | None = Field(None, description="Latitude in coord_sys, degrees")
    coord_sys: CoordSys | None = Field(None, description="Coordinate system of lon and lat; required with a point")
    accuracy_m: Annotated[float, Field(gt=0, le=MOST_ACCURACY_M, allow_inf_nan=False, strict=True)] | None = Field(
        None, description="Radius of the position's error, metres; an ambiguous place waits for a person"
    )
    address: Short = Field("", description="Address in words")
    self_handled: bool = Field(
        False, strict=True, description="Dealt with on the spot: kept as a record, not dispatched"
    )
    ledgers: list[Code] = Field([], max_length=20, description="Tags such as three_illegals")
    reporter: ReporterIn | None = Field(None, description="Who reported, if that is known")


class CellOut(BaseModel):
    """A cell of the chain."""

    level: int
    code: str
    name: str
    kind: str


class NearOut(BaseModel):
    """A cell near a point that no cell covers."""

    code: str
    name: str
    distance_m: float = Field(description="Geodesic distance to the cell's boundary, metres")


class PostOut(BaseModel):
    """A post and who holds it."""

    post: str
    rank: str
    cell: str
    name: str | None
    person: UUID | None = Field(description="Whose phone is at /v1/people/{person}/phone")
    on_duty: bool = Field(description="Neither on leave nor off shift; for a case, when it was decided")


class HeadOut(PostOut):
    """The responsible person."""

    why: str = Field(description="Why this person, in the caller's language")
    why_code: str


class NobodyOut(BaseModel):
    """Why a cell has no responsible person at that instant."""

    why: str = Field(description="In the caller's language")
    why_code: Literal["no_post", "all_vacant", "none_on_duty"]


class LocationOut(BaseModel):
    """WGS84, degrees."""

    lon: float
    lat: float


class VersionOut(BaseModel):
    """The grid version that answered."""

    number: int
    name: str


class LocatedOut(BaseModel):
    """How the cell was decided."""

    how: str
    grid_version: VersionOut | None
    rule: str


class WarningOut(BaseModel):
    """Something the channel should look at; the report is taken all the same."""

    code: str
    detail: str


class CandidateOut(CellOut):
    """A cell that an inaccurate position may lie in."""

    share: float = Field(description="Share of the error circle, 0 to 1")


class AccuracyOut(BaseModel):
    """What the position's error allows to say."""

    accuracy_m: float
    confirm_on_site: bool = Field(description="The best candidate has less than 0.9 of the circle (rule share-1)")
    reason: str | None = Field(description="Why the place has to be confirmed on site, in the caller's language")
    rule: str
    candidates: list[CandidateOut] = Field(description="Best first")
    outside_share: float
    boundary_m: float | None = Field(description="Metres to where another cell begins; null outside, see nearest")


class MatchedPlaceOut(BaseModel):
    """A place that the address may mean."""

    id: int
    kind: str
    name: str
    precision: str
    score: float
    location: LocationOut


class AddressMatchOut(BaseModel):
    """What the address was found to mean, when no point was given."""

    source: str = Field(description="gazetteer, geocoder, photo, or none when nothing is like it")
    is_sure: bool = Field(description="Whether it means one place beyond doubt; otherwise a person looks first")
    precision: str
    score: float
    name: str
    place_id: int | None
    candidates: list[MatchedPlaceOut]


class DepartmentOut(BaseModel):
    """The department of the case by the matrix, and what it has to do with it."""

    code: str
    name: str
    mode: str = Field(description="lead, assist or fallback")


class ReceiptOut(BaseModel):
    """Answer to a report; a repeat gets the very same answer."""

    case: str
    ticket: str
    status: str
    status_url: str
    chain: list[CellOut]
    head: HeadOut | None
    backup: PostOut | None
    due_at: datetime | None
    due_provisional: bool
    out_of_grid: bool
    nearest: list[NearOut]
    location: LocationOut | None
    located: LocatedOut
    department: DepartmentOut | None = None
    accuracy: AccuracyOut | None = None
    address_match: AddressMatchOut | None = None
    warnings: list[WarningOut] | None = None


class LocateOut(BaseModel):
    """Who covers a point."""

    chain: list[CellOut]
    head: HeadOut | None
    backup: PostOut | None
    nobody: NobodyOut | None = Field(None, description="Only where cells cover the point and nobody is responsible")
    how: str
    grid_version: VersionOut | None
    rule: str
    location: LocationOut
    nearest: list[NearOut]
    at: datetime | None = Field(None, description="The instant asked about, when one was named")
    accuracy: AccuracyOut | None = None
    for_category: dict[str, Any] | None = Field(
        None, description="As /v1/responsible answers, when a category is given"
    )


class CategoryOut(BaseModel):
    """Category code and name."""

    code: str
    name: str


class StageOut(BaseModel):
    """The clock of the step that the case waits for."""

    clock: str
    due_at: datetime


class LimitOut(BaseModel):
    """What the deadline was counted from."""

    value: str = Field(description="A decimal number")
    unit: str = Field(description="urgent_hour, working_hour, working_day or natural_day")


class CaseOut(BaseModel):
    """A case."""

    case: str
    version: int
    status: str
    light: str
    category: CategoryOut
    condition: int | None
    channel: str
    channel_name: str
    ticket: str
    text: str
    address: str
    departments: list[str] = Field(description="Codes of the departments that have a part in it")
    ledgers: list[str]
    ledger_names: list[str]
    reported_at: datetime
    dispatched_at: datetime | None
    acknowledged_at: datetime | None
    handled_at: datetime | None
    closed_at: datetime | None
    suspended_until: datetime | None
    due_at: datetime | None
    due_provisional: bool
    limit: LimitOut | None
    warn_at: datetime | None
    is_on_time: bool | None
    chain: list[CellOut]
    head: HeadOut | None
    location: LocationOut | None
    coord_sys: str | None
    accuracy_m: float | None = Field(description="Radius of the position's error, metres")
    confirm_on_site: bool = Field(description="The place was ambiguous: confirm it before dispatch")
    out_of_grid: bool
    nearest: list[NearOut]
    origin: str
    clock_epoch: int = Field(description="1, and one more for every reopening")
    asked: str | None = Field(description="A request nobody has decided: extension, suspension or appeal")
    extensions: int = Field(description="Approved extensions")
    returns: int = Field(description="How often it was returned")
    supervised_until: datetime | None = Field(description="Reply to the supervision is expected by")
    follow_up: str | None = Field(description="satisfied, unreachable or dissatisfied")
    is_exempt: bool = Field(description="Left out of statistics after an appeal")
    stage: StageOut | None
    follows: str | None = Field(description="Case that this one was merged into")
    followers: list[str] = Field(description="Cases merged into this one")
    status_url: str


class EventOut(BaseModel):
    """One act of a case's history."""

    seq: int
    type: str
    moves: list[str]
    at: datetime
    actor: str
    to: str
    text: str
    leg: int | None = Field(None, description="Of joint work: which leg it happened to")


class CaseDetailOut(CaseOut):
    """A case with its history and what may be done now."""

    accuracy: AccuracyOut | None = Field(description="Cells the inaccurate position may lie in")
    backup: PostOut | None = Field(description="Who takes over when the head does not answer")
    events: list[EventOut]
    moves: list[str]
    why: list[str] = Field(description="Why this person: the last decision in sentences; the whole is at /trace")


class CaseListOut(BaseModel):
    """A page of cases, newest first."""

    cases: list[CaseOut]
    next: str | None = Field(description="Cursor of the next page, null on the last one")
    as_of: datetime


class InboxesOut(BaseModel):
    """How many cases wait in each inbox."""

    counts: dict[str, int]
    as_of: datetime


class FaultOut(BaseModel):
    """One wrong field."""

    code: str
    pointer: str
    detail: str


class ProblemOut(BaseModel):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FaultOut] | None = None
    params: dict[str, Any] | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for the errors an operation can answer."""
    return {
        status: {
            "description": "Problem",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
        }
        for status in statuses
    }

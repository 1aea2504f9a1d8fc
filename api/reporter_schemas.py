"""Who reported, at the door."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.spelling import sound
from dispatch.reporters import Reporter

__all__ = ["ReasonIn", "ReporterIn", "ReporterOut", "RevealedOut", "reporter_of"]


class ReporterIn(BaseModel):
    """Who reported. Kept apart from the case, encrypted, shown masked, deleted by its date."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(max_length=80, strip_whitespace=True), AfterValidator(sound)] = ""
    phone: Annotated[str, StringConstraints(max_length=40, strip_whitespace=True), AfterValidator(sound)] = ""
    email: Annotated[str, StringConstraints(max_length=254, strip_whitespace=True), AfterValidator(sound)] = ""
    anonymous: bool = Field(
        False, strict=True, description="Wants not to be known: name and number are not kept, only that it is one voice"
    )
    follow_up: bool = Field(False, strict=True, description="Wants to be told what became of it")


class ReporterOut(BaseModel):
    """Who reported a case, masked."""

    case: str
    known: bool = Field(description="Whether there is something to unmask")
    name: str = Field(description="First character and asterisks; empty when not given")
    phone: str
    email: str
    anonymous: bool
    follow_up: bool
    received_at: datetime | None
    erased_at: datetime | None
    erased_why: Literal["expired", "asked"] | None
    may_reveal: bool = Field(description="Whether this caller may unmask it")


class ReasonIn(BaseModel):
    """Why an identity is unmasked."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "回访核实处置结果"}]})

    reason: Annotated[
        str, StringConstraints(min_length=4, max_length=400, strip_whitespace=True), AfterValidator(sound)
    ] = Field(description="Stands in the audit trail")


class RevealedOut(BaseModel):
    """Who reported a case, in clear words."""

    case: str
    name: str
    phone: str
    email: str
    record: int = Field(description="Number of the record in the audit trail")
    left: int = Field(description="How many more this caller may unmask within the hour")


def reporter_of(body: ReporterIn | None) -> Reporter | None:
    """A reporter as the rules know it; None when nothing was said."""
    if body is None:
        return None
    reporter = Reporter(
        name=body.name,
        phone=body.phone,
        email=body.email,
        is_anonymous=body.anonymous,
        wants_follow_up=body.follow_up,
    )
    return reporter if reporter.says_something or reporter.wants_follow_up else None
